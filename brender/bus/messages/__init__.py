"""Every message that travels between roles, declared once: a file for each conversation. Free of zmq: what travels, never how.

A message is one frozen struct; its class name in lower case is its ``type`` on the wire. `brender.bus.codec.decode` checks what
arrives against the declaration before any other code sees it. Times called ``wall`` are seconds since the epoch; times called
``sent`` are the sender's own monotonic clock and mean nothing to anyone else.
"""

from brender.bus.messages.base import PROTOCOL, UNDERSTOOD, Message
from brender.bus.messages.clients import Act, Ask, Done, Event, Sorry, Submit
from brender.bus.messages.files import (
    BlobAt,
    BlobHave,
    BlobPiece,
    BlobWanted,
    FileAck,
    FilePiece,
    FramePiece,
    FrameWanted,
    Lacks,
    NoFile,
    Offer,
)
from brender.bus.messages.keys import Admitted, Enrol, Enrolled, Manage, ManagerPlace
from brender.bus.messages.nodes import (
    Beat,
    Beats,
    Bye,
    Confirm,
    Drain,
    Hello,
    Joined,
    Left,
    LogFrom,
    LogTold,
    LogWanted,
    Look,
    Moved,
    Ping,
    Pong,
    Refused,
    Renew,
    Renewed,
    Seen,
    Stands,
    Welcome,
    WhoAreYou,
)
from brender.bus.messages.work import (
    FINAL,
    Acks,
    AnyReport,
    Cancel,
    Completed,
    End,
    Failed,
    Gone,
    Grants,
    PartDone,
    Progress,
    Recall,
    Recalled,
    Received,
    Report,
    Reports,
    Started,
    Stopped,
    Warned,
)

AnyMessage = (
    Hello | Welcome | Refused | WhoAreYou | Bye | Ping | Pong | Renew | Renewed | Joined | Confirm | Left
    | Grants | Received | Recall | Cancel | Drain | Stands | Moved | Look | Seen | LogWanted | LogFrom | LogTold | Gone
    | Reports | Acks | Progress
    | Beat | Beats | Event
    | Submit | Act | Ask | Done | Sorry
    | Manage | Enrol | Enrolled | Admitted
    | FilePiece | FileAck
    | Offer | Lacks | BlobPiece | BlobHave | BlobWanted | BlobAt | FrameWanted | FramePiece | NoFile
)  # fmt: skip

__all__ = [
    "FINAL",
    "PROTOCOL",
    "UNDERSTOOD",
    "Acks",
    "Act",
    "Admitted",
    "AnyMessage",
    "AnyReport",
    "Ask",
    "Beat",
    "Beats",
    "BlobAt",
    "BlobHave",
    "BlobPiece",
    "BlobWanted",
    "Bye",
    "Cancel",
    "Completed",
    "Confirm",
    "Done",
    "Drain",
    "End",
    "Enrol",
    "Enrolled",
    "Event",
    "Failed",
    "FileAck",
    "FilePiece",
    "FramePiece",
    "FrameWanted",
    "Gone",
    "Grants",
    "Hello",
    "Joined",
    "Lacks",
    "Left",
    "LogFrom",
    "LogTold",
    "LogWanted",
    "Look",
    "Manage",
    "ManagerPlace",
    "Message",
    "Moved",
    "NoFile",
    "Offer",
    "PartDone",
    "Ping",
    "Pong",
    "Progress",
    "Recall",
    "Recalled",
    "Received",
    "Refused",
    "Renew",
    "Renewed",
    "Report",
    "Reports",
    "Seen",
    "Sorry",
    "Stands",
    "Started",
    "Stopped",
    "Submit",
    "Warned",
    "Welcome",
    "WhoAreYou",
]

"""Files on the move: logs, thumbnails and frames up, blobs both ways."""

from typing import Annotated, Literal

import msgspec

from brender.bus.messages.base import Message
from brender.model.bundle import Digest
from brender.model.field_types import Count, Id, Key, Text


class FilePiece(Message, frozen=True, kw_only=True):
    """A piece of a log, a thumbnail, a frame or a piece of a still, its bytes in the raw frame that follows. ``offset`` counts
    bytes. ``worker``: whose it is, by the key that it came with; the manager puts it there. ``file``: 0, or which of a frame's
    further files it is, counted from 1."""

    kind: Literal["log", "thumbnail", "frame", "piece"]
    worker: Key = ""
    job: Id
    attempt: Id
    part: Count = 0
    file: Count = 0
    offset: Count
    last: bool
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Of a frame or a piece of a still: the SHA-256 of the whole."""


class FileAck(Message, frozen=True, kw_only=True):
    """The receiver has ``offset`` bytes of it; ``complete`` once it has all. ``refused``: it takes none of it, now or later, for
    this reason; the sender may forget it."""

    kind: Literal["log", "thumbnail", "frame", "piece"]
    attempt: Id
    part: Count = 0
    file: Count = 0
    offset: Count
    complete: bool
    refused: Text = ""


class Offer(Message, frozen=True, kw_only=True):
    """A client has these blobs; the server answers with those that it `Lacks`."""

    id: Id
    blobs: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=1000)]


class Lacks(Message, frozen=True, kw_only=True):
    id: Id
    blobs: tuple[Digest, ...]


class BlobPiece(Message, frozen=True, kw_only=True):
    """A piece of a blob of ``size`` bytes, from ``offset`` on, in the raw frame that follows."""

    blob: Digest
    size: Count
    offset: Count


class BlobHave(Message, frozen=True, kw_only=True):
    """The receiver has the first ``offset`` bytes of it; ``complete`` once it has all, and they are what the name says."""

    blob: Digest
    offset: Count
    complete: bool


class BlobWanted(Message, frozen=True, kw_only=True):
    """A child asks for the piece from ``offset`` on; answered by a `BlobPiece`, or a `NoFile`. ``linkable``: it would
    take the whole by a link, were it on the same machine; then the answer may be a `BlobAt`."""

    blob: Digest
    offset: Count
    linkable: bool = False


class BlobAt(Message, frozen=True, kw_only=True):
    """The blob, of ``size`` bytes, lies at ``path`` on the asker's own machine. Where it cannot link that, it asks for pieces."""

    blob: Digest
    size: Count
    path: Text


class FrameWanted(Message, frozen=True, kw_only=True):
    """A client asks for the piece of a finished part's file from ``offset`` on; answered by a `FramePiece`, or a `NoFile`.
    ``file``: 0, or which of the frame's further files, counted from 1. ``small``: its small picture instead."""

    job: Id
    part: Count
    file: Count = 0
    offset: Count
    small: bool = False


class FramePiece(Message, frozen=True, kw_only=True):
    """A piece of a finished part's file, from ``offset`` on, in the raw frame that follows. ``size``: bytes of the whole file.
    ``version`` is another where the file was changed or replaced, or "" if the server does not say."""

    job: Id
    part: Count
    file: Count = 0
    size: Count
    offset: Count
    version: Annotated[str, msgspec.Meta(max_length=64, pattern="^[0-9a-f-]*$")] = ""


class NoFile(Message, frozen=True, kw_only=True):
    """What was asked for or sent (a blob by its digest, a frame as job/part) cannot be sent or taken, and why."""

    what: Text
    reason: Text

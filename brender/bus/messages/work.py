"""Grants on their way down, and what workers report of their attempts."""

from typing import Annotated

import msgspec

from brender.bus.messages.base import Message
from brender.model.field_types import Amount, Count, Key, Seconds, Text, Whole
from brender.model.grant import FurtherFile, Grant, Order


class Grants(Message, frozen=True, kw_only=True):
    """Grants, with the orders of all the jobs that they are of."""

    grants: tuple[Grant, ...]
    orders: tuple[Order, ...]


class Received(Message, frozen=True, kw_only=True):
    """A worker has these grants; until it says so the server sends them again."""

    worker: Key
    attempts: tuple[Key, ...]


class Recall(Message, frozen=True, kw_only=True):
    """The server asks grants back; answered by a report, `Recalled` or (it was too late) `Started`."""

    worker: Key
    attempts: tuple[Key, ...]


class Cancel(Message, frozen=True, kw_only=True):
    """The server wants these attempts stopped and forgotten: they were canceled, or another superseded them."""

    worker: Key
    attempts: tuple[Key, ...]
    reason: Text


class Gone(Message, frozen=True, kw_only=True):
    """A worker was asked to stop attempts that it does not have, and now never will."""

    worker: Key
    attempts: tuple[Key, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=str.lower):
    """What a worker says of an attempt. ``number`` counts from 1 within the attempt; the worker keeps the report until
    the server has acknowledged it."""

    attempt: Key
    number: Count


class Started(Report, frozen=True, kw_only=True):
    pass


class PartDone(Report, frozen=True, kw_only=True):
    """A part is finished and its file, if it has one, is published and verified. ``seconds`` is what it took, ``size``
    bytes, ``memory`` the bytes that its render process has held at most. ``kept``: the file was there already. ``digest``: the
    file's SHA-256, where it travels; ``further_files``: the frame's further files; ``noise``: what is left in the picture of a
    frame that is refined pass by pass."""

    part: Count
    seconds: Seconds
    output: Text = ""
    size: Count = 0
    width: Count = 0
    height: Count = 0
    warnings: tuple[Text, ...] = ()
    memory: Count = 0
    kept: bool = False
    digest: Text = ""
    further_files: tuple[FurtherFile, ...] = msgspec.field(default=(), name="extras")
    noise: Seconds | None = None


class End(Report, frozen=True, kw_only=True):
    """Base of the reports that end an attempt which had begun. ``joules``: the electric energy that it used in the
    ``metered_seconds`` in which that was measured."""

    joules: Amount = 0.0
    metered_seconds: Seconds = 0.0


class Completed(End, frozen=True, kw_only=True):
    seconds: Seconds


class Failed(End, frozen=True, kw_only=True):
    """``permanent``: the same again would fail the same way, so nobody should try, or, where ``elsewhere`` is set too, nobody on
    this worker. ``out_of_memory``: the machine had none left,
    and its system killed it."""

    reason: Text
    permanent: bool = False
    seconds: Seconds = 0.0
    out_of_memory: bool = False
    forbidden: bool = False
    """The worker has no right to use a folder of the job."""
    cause: Text = ""
    """Why it failed, as the accounts count it (brender.model.causes), or "" if the worker does not say."""
    elsewhere: bool = False
    """Another worker is to try again, and this one keeps off the job."""


class Stopped(End, frozen=True, kw_only=True):
    """The attempt was ended on purpose: canceled, or its worker was stopped. ``put_off``: its worker cannot use the job's folders
    for now, and does well without this job for a while."""

    reason: Text
    put_off: bool = False


class Recalled(Report, frozen=True, kw_only=True):
    """The grant is given back, not started."""


class Warned(Report, frozen=True, kw_only=True):
    """Something about the job that its owner should know, such as a file that is missing on the worker. ``subject`` is
    what it is about: a job that has a warning about it already gets no second one."""

    warning: Text
    subject: Text = ""


#: The reports after which an attempt has nothing more to say.
FINAL = (Completed, Failed, Stopped, Recalled)

AnyReport = Started | PartDone | Completed | Failed | Stopped | Recalled | Warned


class Reports(Message, frozen=True, kw_only=True):
    worker: Key
    reports: tuple[AnyReport, ...]


class Acks(Message, frozen=True, kw_only=True):
    """The server has committed these: for each attempt, every report up to that number."""

    worker: Key
    acks: tuple[tuple[Key, Count], ...]


class Progress(Message, frozen=True, kw_only=True):
    """How far a running attempt is. May be lost: the next one says more."""

    worker: Key
    attempt: Key
    frame: Whole
    fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    line: Text = ""
    """The last line of its log."""

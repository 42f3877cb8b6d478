"""What clients ask and are answered, and the events that anyone may listen to.

``on_behalf_of`` names the user whom the sender speaks for, as the dashboard does, or "" if it speaks for itself. Only some keys
may (brender.model.rights).
"""

from typing import Any, Literal

from brender.bus.messages.base import Message
from brender.model.field_types import Count, Id, Name, Seconds, Text
from brender.model.job import JobSpec


class Submit(Message, frozen=True, kw_only=True):
    id: Id
    job: JobSpec
    on_behalf_of: Text = ""


class Act(Message, frozen=True, kw_only=True):
    """A change that a person asks for. ``target`` is a job's, a worker's or a manager's id, or the start of it, or its name.
    ``user``: what an admin's own key is to be called in the activity log."""

    id: Id
    action: Literal[
        "pause",
        "resume",
        "cancel",
        "requeue",
        "priority",
        "when",
        "edit",
        "readmit",
        "delete",
        "drain",
        "disable",
        "enable",
        "restart",
        "tags",
        "note",
        "schedule",
        "give-back",
        "sleep",
        "wake",
        "log",
        "log-level",
        "forget",
    ]
    target: Text
    value: int | str | dict[str, Any] | None = None
    user: Text = ""
    on_behalf_of: Text = ""


class Ask(Message, frozen=True, kw_only=True):
    id: Id
    question: Name
    arguments: dict[str, Any] = {}
    on_behalf_of: Text = ""


class Done(Message, frozen=True, kw_only=True):
    """The answer to a client: it is done, and committed."""

    id: Id
    data: Any = None


class Sorry(Message, frozen=True, kw_only=True):
    """The answer to a client: it is not, and why. ``code`` names the error's kind (brender.model.errors)."""

    id: Id
    code: Name
    message: Text


class Event(Message, frozen=True, kw_only=True):
    """Something that was committed (or, for kind ``stats`` and ``progress``, seen). ``change`` is the commit's number. ``number``
    counts the events of one server, so that a listener sees how many it missed; 0: the server does not say."""

    change: Count
    wall: Seconds
    kind: Name
    key: Text
    fields: dict[str, Any]
    number: Count = 0

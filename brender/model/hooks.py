"""Hooks: what is told to web addresses and local programs, and how it is signed. Pure."""

import hashlib
import hmac
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brender.model.errors import BadInput

#: The events, and what happened in words, after the name of the job or worker.
EVENTS: dict[str, str] = {
    "job-submitted": "was submitted",
    "job-started": "has begun to render",
    "job-completed": "is completed",
    "job-failed": "has failed",
    "job-canceled": "was canceled",
    "job-attention": "needs attention",
    "task-failed": "has a task that failed for good",
    "worker-lost": "is lost",
    "worker-not-woken": "could not be woken",
}
#: What somebody asks for with ``brender hooks test``.
TEST = "test"
#: How the reason of a job begins that waits for somebody.
NEEDS_SOMEBODY = "No worker can run it"
KINDS = ("webhook", "program")


@dataclass(frozen=True)
class Hook:
    """Who is told: the web address or the command line ``target``, of ``events`` of jobs in ``project`` ("": of all)."""

    id: str
    kind: str
    target: str
    secret: str
    events: frozenset[str]
    project: str = ""

    def wants(self, event: str, project: str) -> bool:
        """Return whether it is told of *event* of a job in *project*; what is of no project ("") concerns all."""
        return event in self.events and (not self.project or project in ("", self.project))


@dataclass(frozen=True)
class Happening:
    """Something that hooks may be told of: ``fields`` say of what."""

    event: str
    wall: float
    fields: Mapping[str, Any]


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what the header ``Brender-Signature`` has: the HMAC-SHA256 of the *timestamp*, a dot and the *body*.

    >>> signature("secret", "1700000000", b"{}")[:20]
    'sha256=b8569b78799ff'
    """
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def check_target(kind: str, target: str, programs: Sequence[str]) -> str:
    """Return *target*, where a hook of that *kind* may have it. *programs*: those that the server's owner lets hooks run. Raises
    `BadInput`."""
    if kind == "webhook":
        if not target.startswith(("https://", "http://")):
            raise BadInput(f"{target!r} is not a web address: it begins with https:// or http://")
        return target
    words = words_of(target)
    if not words or words[0] not in programs:
        named = f"It lets them run: {', '.join(programs)}" if programs else "It lets them run none"
        raise BadInput(
            f"Hooks may not run {words[0] if words else 'nothing'!r}: the server's owner names what they may, by the whole "
            f"path, with `brender-server --hook-program PATH`. {named}"
        )
    return target


def words_of(command: str) -> list[str]:
    """Return the program and the arguments in *command*, which is never given to a shell. Raises `BadInput`."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise BadInput(f"The command {command!r} cannot be read: {error}") from error

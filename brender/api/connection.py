"""The connection to a farm, by either way: the bus (`brender.api.bus`) or HTTP (`brender.api.http`)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from brender.model.answers import PAGE
from brender.model.beginning import Beginning
from brender.model.edit import Edit

Notify = Callable[[str], None]
"""Hears a sentence for the one at the keyboard, while something goes on."""

Bytes = Callable[[int, int], None]
"""Hears how many bytes are there, of how many."""


def silent(text: str) -> None:
    """Tell nobody."""


def unseen(done: int, total: int) -> None:
    """Show no progress."""


class Asking(Protocol):
    """Answers questions about the farm, by the names of `brender.store.questions`."""

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer to *question*. Raises `BrenderError`."""


@dataclass(frozen=True)
class Change:
    """Something that changed on the farm. ``kind``: of what (``job``, ``task``, ``part``, ``attempt``, ``worker``, …); ``id``: of
    which, for what belongs to a job the job's own, ``"*"`` for many; ``number``: the commit that changed it."""

    kind: str
    id: str
    number: int


_AS_IT_IS, _AT_ONCE = Edit(), Beginning()


@dataclass(frozen=True)
class Again:
    """How a job is submitted again: as *change* makes it, with its frames in the folder ``output`` ("": a new one beside the
    first's), beginning as ``beginning`` says. ``site``: where this machine stands, for paths."""

    change: Edit = _AS_IT_IS
    output: str = ""
    overwrite: bool = False
    paused: bool = False
    beginning: Beginning = _AT_ONCE
    site: str = ""


class Connection(Asking, Protocol):
    """A farm, by the bus or by HTTP. May be used by several threads. ``refusal_is_final``: who refuses at once is no farm that is
    away for a moment, since that says nothing."""

    refusal_is_final: bool

    def act(self, action: str, target: str, value: Any = None) -> dict[str, Any]:
        """Change the job or worker *target*, such as ``pause`` it; returns its new state. Raises `BrenderError`."""

    def submit(self, file: Path | None, options: Mapping[str, Any], notify: Notify, progress: Bytes) -> dict[str, Any]:
        """Submit a job by *options* (`brender.api.options.Options`); returns its ``id`` and what is to be known of it. *notify*
        hears sentences, *progress* the bytes of files that are sent. Raises `BrenderError`."""

    def clone(self, record: Mapping[str, Any], again: Again) -> dict[str, Any]:
        """Submit the job of *record* as *again* says; returns what `submit` does. Raises `BrenderError`."""

    def fetch(self, job: str, part: int, target: Path, progress: Bytes = unseen, file: int = 0) -> None:
        """Fetch the file of the finished *part* of *job*, or one of its further ones, as *target*. Raises `NotFound`,
        `Unreachable` or `OSError`."""

    def changes(self, timeout: float | None) -> Iterator[Change]:
        """Yield what changes from now on, until nothing has for *timeout* seconds (``None``: for ever). Raises
        `Unreachable`."""

    def close(self) -> None:
        """End the connection."""


def asked(connection: Asking, question: str, count: int | None, key: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return the first *count* rows (``None``: all) that answer *question*. Rows are told apart by their *key*, since others
    may move them from one page to the next meanwhile."""
    found: dict[Any, dict[str, Any]] = {}
    offset = 0
    while count is None or len(found) < count:
        page = PAGE if count is None else min(PAGE, count - len(found))
        rows = connection.ask(question, limit=page, **({"offset": offset} if offset else {}), **arguments)
        found |= {row[key]: row for row in rows}
        offset += len(rows)
        if len(rows) < page:
            break
    return list(found.values())

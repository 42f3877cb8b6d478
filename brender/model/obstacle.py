"""Why a worker is not given a task, and what a person can do about it, in words. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from brender.model.text import harmless

#: Workers that a sentence names at most.
NAMES_SHOWN = 3
#: In a remedy: the names of the workers as a command takes them, "it" or "them", and "it has" or "they have".
NAMES, IT, IT_HAS = "<names>", "<it>", "<it has>"
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a worker does not get a task.

    ``one`` is said of one worker, after its name ("lacks the tag gpu"), ``several`` of more ("lack the tag gpu"). ``remedy`` is
    what can be done, as it stands after a colon, with `NAMES`, `IT` and `IT_HAS` for the workers, or "" if there is nothing to
    do. Obstacles that differ in ``one`` only are the same, so that they are counted together.
    """

    one: str = field(compare=False)
    several: str
    remedy: str = ""

    def said_of(self, count: int, names: Sequence[str]) -> str:
        """Return a sentence, without its full stop, that says this of *count* workers. *names*: theirs, or the first of them."""
        shown = [short_name(name) for name in names[:NAMES_SHOWN]]
        if count == 1:
            said = f"The worker {shown[0]} {self.one}"
        elif count <= len(shown):
            said = f"The workers {', '.join(shown[:-1])} and {shown[-1]} {self.several}"
        else:
            said = f"{count:,} workers ({', '.join(shown)} and {count - len(shown):,} more) {self.several}"
        remedy = self.remedy.replace(NAMES, as_words(names, count))
        remedy = remedy.replace(IT, "it" if count == 1 else "them").replace(IT_HAS, "it has" if count == 1 else "they have")
        return f"{said}: {remedy}" if remedy else said


def as_words(names: Sequence[str], count: int) -> str:
    """Return *names*, those of *count* workers or the first of them, as a shell takes them."""
    return " ".join(
        [*(shlex.quote(harmless(name)) for name in names[:NAMES_SHOWN]), *(["…"] if count > len(names[:NAMES_SHOWN]) else [])]
    )


def short_name(name: str) -> str:
    """Return *name* as a sentence can hold it: on one line, and cut where it is long."""
    shown = harmless(name)
    return shown if len(shown) <= _NAME_LENGTH else f"{shown[: _NAME_LENGTH - 1]}…"

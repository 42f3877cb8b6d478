"""When what is open on a farm will be done."""

from math import inf
from typing import Any

import msgspec

from brender.model.spans import estimate_in_words, longer_in_words, precision


class Expected(msgspec.Struct, frozen=True):
    """Seconds until a job is done: probably ``seconds``, in about eight of ten cases between ``least`` and ``most``.

    Where ``seconds`` is ``None`` it takes longer than ``least``, since the forecast ends there, or the job shares workers with
    others whose time nobody knows; without ``least`` nothing is known of it.
    """

    seconds: float | None
    least: float | None
    most: float | None

    def __str__(self) -> str:
        if self.seconds is not None:
            return estimate_in_words(self.seconds, self.least, self.most)
        return "" if self.least is None else longer_in_words(self.least)

    def as_fields(self, name: str = "eta") -> dict[str, Any]:
        """Return what rows say of it, each with *name* before it: ``_seconds``, between ``_least`` and ``_most``; ``_words`` ("":
        nobody knows); and ``_precision``, the seconds to which that is known."""
        known = None if self.seconds is None else precision(self.seconds, self.least, self.most)
        values = {"seconds": self.seconds, "least": self.least, "most": self.most, "words": str(self), "precision": known}
        return {f"{name}_{field}": value for field, value in values.items()}


#: Nobody knows.
NOT_KNOWN = Expected(None, None, None)


class Prospect(msgspec.Struct, frozen=True):
    """When each open job will be done of which that is known, by its id; the project of each, and of how many it is not known."""

    jobs: dict[str, Expected] = {}
    projects: dict[str, str] = {}
    unknown: int = 0

    def last(self, project: str = "") -> Expected | None:
        """Return when the last of these is done, of *project* ("": of all); ``None`` if there are no jobs."""
        those = [expected for id, expected in self.jobs.items() if project in ("", self.projects[id])]
        last = max(those, key=lambda each: inf if each.seconds is None else each.seconds, default=None)
        if last is None or last.seconds is not None:
            return last
        return Expected(None, max(each.least or 0.0 for each in those), None)

    def unknown_of(self, project: str) -> int:
        """Return of how many jobs of *project* it is not known."""
        return sum(of == project and id not in self.jobs for id, of in self.projects.items())

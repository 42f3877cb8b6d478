"""Who is next in a simulated queue, by what users and projects have used of the farm. Pure.

Counted as `brender.scheduling.shares` counts it. All use only grows here, so that an order may be out of date: who seems to be
the first is looked at again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: More would be no number any more.
_DOUBLINGS_MOST = 900.0

Who = tuple[str, str]
"""A project, and a user within it."""
Key = tuple[float, int]
"""What projects are sorted by, and users within one."""


@dataclass(frozen=True)
class Usage:
    """What users within projects have ``used`` of the farm, in seconds of machine as they count now, which count half after each
    ``half_life`` in seconds; and the ``weights`` of ``project`` and ``user`` by name, 1 for the others."""

    used: Mapping[Who, float] = field(default_factory=dict)
    weights: Mapping[tuple[str, str], float] = field(default_factory=dict)
    half_life: float = 3600.0


@dataclass(eq=False)
class Share:
    """What a project has ``used``, or a user within it."""

    number: int
    weight: float
    used: float = 0.0

    @property
    def key(self) -> Key:
        return self.used / self.weight, self.number


@dataclass(eq=False)
class Line:
    """A user within a project, whose jobs stand together."""

    project: Share
    user: Share


class Lines:
    """What users within projects use, from *usage* on."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._projects: dict[str, Share] = {}
        self._lines: dict[Who, Line] = {}
        for (project, user), seconds in usage.used.items():
            self._charge(self.of(project, user), seconds)

    def of(self, project: str, user: str) -> Line:
        """Return where the jobs of *user* within *project* stand."""
        if (project, user) not in self._lines:
            if project not in self._projects:
                self._projects[project] = self._share("project", project, len(self._projects))
            self._lines[project, user] = Line(self._projects[project], self._share("user", user, len(self._lines)))
        return self._lines[project, user]

    def charge(self, line: Line, seconds: float, when: float) -> None:
        """Note that *line* uses so many *seconds* of machine *when* these seconds have passed: the later, the more they count."""
        self._charge(line, seconds * 2.0 ** min(when / self._usage.half_life, _DOUBLINGS_MOST))

    def _charge(self, line: Line, used: float) -> None:
        line.project.used += used
        line.user.used += used

    def _share(self, kind: str, name: str, number: int) -> Share:
        return Share(number, self._usage.weights.get((kind, name), 1.0))

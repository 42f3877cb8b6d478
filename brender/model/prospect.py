"""When what is open on a farm will be done."""

import msgspec


class Expected(msgspec.Struct, frozen=True):
    """Seconds until a job is done: probably ``seconds``, in about eight of ten cases between ``least`` and ``most``."""

    seconds: float
    least: float
    most: float


class Prospect(msgspec.Struct, frozen=True):
    """When each open job will be done of which that is known, by its id; the project of each, and of how many it is not known."""

    jobs: dict[str, Expected] = {}
    projects: dict[str, str] = {}
    unknown: int = 0

    def last(self, project: str = "") -> Expected | None:
        """Return when the last of these is done, of *project* ("": of all); ``None``: there are none."""
        those = (expected for id, expected in self.jobs.items() if project in ("", self.projects[id]))
        return max(those, key=lambda expected: expected.seconds, default=None)

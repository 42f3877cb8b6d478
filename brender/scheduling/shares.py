"""The order among ready jobs: priority, then the share of their project, then that of their user within it. Pure.

A share is the seconds of machine that were used, divided by a weight. Jobs of one priority, project and user are a line. Nothing
is sorted again when a share changes: only the lines of that project and user move, each by a binary search.

Hot path, watched by benchmarks.rounds.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from brender.scheduling.classes import Job, Line, Place, ProjectLine, ProjectShare, Rank, UserShare

#: A worker goes on with the job that it has open as long as the share of its project, or of its user, is so much larger than the
#: smallest at most: to open another costs time.
NEAR = 1.02


class Shares:
    """The shares of projects and users, and the lines of ready jobs in the order that follows from them."""

    def __init__(self) -> None:
        self.projects: dict[str, ProjectShare] = {}
        self.weights: dict[tuple[str, str], float] = {}
        """By ``project`` or ``user`` and name; 1 for the others."""
        self.scale = 1.0
        """What a second of machine counts now. It grows with time, instead of all shares decaying."""
        self._order: list[Place] = []
        self._by_place: dict[tuple[int, int], ProjectLine] = {}
        self._numbers = 0

    # --- changes ----------------------------------------------------------------------------------------------------------

    def set_used(self, project: str, user: str, used: float) -> None:
        """Note that *user* has used so many seconds of machine within *project*."""
        found = self._project(project)
        self._add(found, self._user(found, user), used)

    def charge(self, project: str, user: str, seconds: float) -> None:
        """Note that *user* uses so many seconds more, from now on."""
        found = self._project(project)
        mine = self._user(found, user)
        self._add(found, mine, mine.used + seconds * self.scale)

    def set_weight(self, kind: str, name: str, weight: float) -> None:
        """Let the shares of a project or of a user (*kind*) count with *weight*."""
        self.weights[kind, name] = weight
        for project in self.projects.values():
            for user in project.users.values():
                if (kind, name) in (("project", project.name), ("user", user.name)):
                    self._add(project, user, user.used)

    def rescale(self, factor: float) -> None:
        """Let all that was used count *factor* times what it did."""
        for project in self.projects.values():
            for user in project.users.values():
                self._add(project, user, user.used * factor)

    def enter(self, job: Job, rank: Rank) -> None:
        """Let *job*, which is ready, stand in its line with *rank*."""
        demand, kind = job.demand, job.kind
        project = self._project(demand.project)
        user = self._user(project, demand.user)
        lines = project.lines.get(rank[0])
        if lines is None:
            lines = project.lines[rank[0]] = ProjectLine(project, (rank[0], project.share, project.number))
            self._by_place[rank[0], project.number] = lines
            insort(self._order, lines.place)
        line = lines.lines.get(user.number)
        if line is None:
            line = lines.lines[user.number] = Line(project, user, rank[0], (user.share, user.number))
            insort(lines.order, line.place)
        ranks = line.ready.get(kind)
        if ranks is None:
            ranks = line.ready[kind] = []
            line.mask |= kind.bit
            lines.mask |= kind.bit
        insort(ranks, rank)
        job.line = line

    def leave(self, job: Job, rank: Rank) -> None:
        """Let *job* leave its line, where it stands with *rank*."""
        line = job.line
        assert line is not None, "it is ready"
        job.line = None
        ranks = line.ready[job.kind]
        del ranks[bisect_left(ranks, rank)]
        if ranks:
            return
        del line.ready[job.kind]
        line.mask &= ~job.kind.bit
        if line.ready:
            return
        lines = line.project.lines[line.priority]
        del lines.lines[line.user.number]
        del lines.order[bisect_left(lines.order, line.place)]
        if not lines.lines:
            del line.project.lines[line.priority]
            del self._by_place[line.priority, line.project.number]
            del self._order[bisect_left(self._order, lines.place)]

    # --- the order --------------------------------------------------------------------------------------------------------

    def lines(self, mask: int) -> Iterator[Line]:
        """Yield the lines with jobs of the classes whose bits are in *mask*, the first first."""
        for priority, _, number in self._order:
            lines = self._by_place[priority, number]
            if not lines.mask & mask:
                continue
            found = False
            for _, user in lines.order:
                line = lines.lines[user]
                if line.mask & mask:
                    found = True
                    yield line
            if not found:
                lines.mask = 0
                for line in lines.lines.values():
                    lines.mask |= line.mask

    def is_near(self, job: Job, line: Line) -> bool:
        """Return whether *job*, which is ready, has the priority of *line*, which is the first, and a share that is nearly as
        small, in another line."""
        mine = job.line
        if mine is None or mine is line or mine.priority != line.priority:
            return False
        if mine.project is line.project:
            return mine.user.share <= line.user.share * NEAR
        lines = mine.project.lines[mine.priority]
        first = lines.lines[lines.order[0][1]].user
        return mine.project.share <= line.project.share * NEAR and mine.user.share <= first.share * NEAR

    def used(self, project: str, user: str) -> float:
        """Return the seconds of machine that *user* has used within *project*."""
        found = self._project(project)
        return self._user(found, user).used

    def share_of(self, project: str, user: str) -> tuple[float, float]:
        """Return the share of *project*, and that of *user* within it."""
        found = self._project(project)
        return found.share, self._user(found, user).share

    def standing(self) -> list[tuple[int, str, str, list[Rank]]]:
        """Return all lines in their order: the priority, the project, the user and the ranks of the jobs."""
        return [
            (-priority, line.project.name, line.user.name, sorted(rank for ranks in line.ready.values() for rank in ranks))
            for priority, _, number in self._order
            for line in (lines.lines[user] for lines in (self._by_place[priority, number],) for _, user in lines.order)
        ]

    def take_over(self, other: "Shares") -> None:
        """Have the shares and weights of *other*, but no jobs yet."""
        self.scale, self.weights = other.scale, dict(other.weights)
        for project in other.projects.values():
            mine = self._project(project.name)
            for user in project.users.values():
                self._user(mine, user.name)
                self.set_used(project.name, user.name, user.used)
            mine.used, mine.share = project.used, project.share

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _project(self, name: str) -> ProjectShare:
        found = self.projects.get(name)
        if found is None:
            self._numbers += 1
            found = self.projects[name] = ProjectShare(name, self._numbers)
        return found

    def _user(self, project: ProjectShare, name: str) -> UserShare:
        found = project.users.get(name)
        if found is None:
            self._numbers += 1
            found = project.users[name] = UserShare(name, self._numbers)
        return found

    def _add(self, project: ProjectShare, user: UserShare, used: float) -> None:
        """Note what *user* has *used* of *project*, and move their lines to where they belong."""
        project.used = max(0.0, project.used + used - user.used) if len(project.users) > 1 else used
        user.used = used
        project.share = project.used / self.weights.get(("project", project.name), 1.0)
        user.share = used / self.weights.get(("user", user.name), 1.0)
        for priority, lines in project.lines.items():
            place = priority, project.share, project.number
            if place != lines.place:
                del self._order[bisect_left(self._order, lines.place)]
                lines.place = place
                insort(self._order, place)
            line = lines.lines.get(user.number)
            if line is not None and line.place[0] != user.share:
                del lines.order[bisect_left(lines.order, line.place)]
                line.place = user.share, user.number
                insort(lines.order, line.place)

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
        """The weight of a second of machine now. It grows with time, so that old shares need not decay."""
        self._order: list[Place] = []
        self._numbers = 0

    # --- changes ----------------------------------------------------------------------------------------------------------

    def set_used(self, project: str, user: str, used: float) -> None:
        """Note that *user* has used so many seconds of machine within *project*."""
        found = self._project(project)
        mine = self._user(found, user)
        if used != mine.used:  # what was charged already is mostly all
            self._add(found, mine, used)

    def charge(self, project: str, user: str, seconds: float) -> None:
        """Note that *user* uses so many seconds more, from now on."""
        found = self._project(project)
        mine = self._user(found, user)
        self._add(found, mine, mine.used + seconds * self.scale)

    def set_weight(self, kind: str, name: str, weight: float) -> None:
        """Set the *weight* of a project or of a user (*kind*)."""
        self.weights[kind, name] = weight
        for project in self.projects.values():
            for user in project.users.values():
                if (kind, name) in (("project", project.name), ("user", user.name)):
                    self._add(project, user, user.used)

    def rescale(self, factor: float) -> None:
        """Multiply all that was used by *factor*."""
        for project in self.projects.values():
            for user in project.users.values():
                self._add(project, user, user.used * factor)

    def enter(self, job: Job, rank: Rank) -> None:
        """Add *job*, which is ready, to its line, with *rank*."""
        demand, kind = job.demand, job.kind
        project = self._project(demand.project)
        user = self._user(project, demand.user)
        lines = project.lines.get(rank[0])
        if lines is None:
            lines = project.lines[rank[0]] = ProjectLine(project, rank[0])
            lines.place = rank[0], project.share, project.number, lines
            insort(self._order, lines.place)
        line = lines.lines.get(user.number)
        if line is None:
            line = lines.lines[user.number] = Line(lines, user)
            line.place = user.share, user.number, line
            insort(lines.order, line.place)
        ranks = line.ready.get(kind)
        if ranks is None:
            ranks = line.ready[kind] = []
            lines.reach |= kind.reach
            if kind.need.pool:
                lines.pooled.setdefault(kind.need.pool, {})[line] = None
            if kind.need.licences:
                line.licensed[kind] = None
            else:
                line.reach |= kind.reach
        insort(ranks, rank)
        job.line = line

    def leave(self, job: Job, rank: Rank) -> None:
        """Remove *job* from its line, where it has *rank*."""
        line = job.line
        assert line is not None, "it is ready"
        job.line = None
        ranks = line.ready[job.kind]
        del ranks[bisect_left(ranks, rank)]
        if ranks:
            return
        del line.ready[job.kind]
        line.licensed.pop(job.kind, None)
        lines = line.lines
        line.loose = lines.loose = True
        pool = job.kind.need.pool
        if pool and not any(kind.need.pool == pool for kind in line.ready):
            del lines.pooled[pool][line]
            if not lines.pooled[pool]:
                del lines.pooled[pool]
        if line.ready:
            return
        del lines.lines[line.user.number]
        del lines.order[bisect_left(lines.order, line.place)]
        if not lines.lines:
            del lines.project.lines[lines.priority]
            del self._order[bisect_left(self._order, lines.place)]

    def move(self, job: Job, before: Rank, rank: Rank) -> None:
        """Give *job*, which has the rank *before* in its line, the rank *rank* there."""
        assert job.line is not None, "it is ready"
        ranks = job.line.ready[job.kind]
        del ranks[bisect_left(ranks, before)]
        insort(ranks, rank)

    # --- the order --------------------------------------------------------------------------------------------------------

    def lines(self, bit: int, pool: str = "") -> Iterator[Line]:
        """Yield the lines with jobs that the workers with *bit* can run (`JobClass.reach`), as far as no licence keeps these
        waiting; the first first. *pool*: only those with jobs of that pool, which *bit* is for."""
        for *_, lines in self._order:
            if not lines.reach & bit:
                continue
            found = False
            order = sorted(line.place for line in lines.pooled.get(pool, ())) if pool else lines.order
            for _, _, line in order:
                if (line.reach & bit or line.licensed) and line.serves(bit):
                    found = True
                    yield line
            if not found:
                lines.tighten()

    def is_near(self, job: Job, line: Line) -> bool:
        """Return whether *job*, which is ready, has the priority of *line*, which is the first, and a share that is nearly as
        small, in another line."""
        mine = job.line
        if mine is None or mine is line or mine.priority != line.priority:
            return False
        if mine.project is line.project:
            return mine.user.share <= line.user.share * NEAR
        lines = mine.lines
        first = lines.order[0][2].user
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
            for priority, _, _, lines in self._order
            for _, _, line in lines.order
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

    def audit(self) -> Iterator[str]:
        """Yield a sentence for each fault in the reach of the lines."""
        for *_, lines in self._order:
            all_reach = 0
            for line in lines.lines.values():
                reach = 0
                for kind in line.ready:
                    all_reach |= kind.reach
                    reach |= 0 if kind.need.licences else kind.reach
                if (reach | line.reach if line.loose else reach) != line.reach:
                    yield f"the bits of those that can run jobs of {line.user.name} in {line.project.name} differ"
                if line.licensed.keys() != {kind for kind in line.ready if kind.need.licences}:
                    yield f"the jobs of {line.user.name} in {line.project.name} that need a licence differ"
            pools = {kind.need.pool for line in lines.lines.values() for kind in line.ready if kind.need.pool}
            if lines.pooled != {
                pool: {line: None for line in lines.lines.values() if any(kind.need.pool == pool for kind in line.ready)}
                for pool in pools
            }:
                yield f"the jobs of {lines.project.name} that belong to a pool differ"
            if (all_reach | lines.reach if lines.loose else all_reach) != lines.reach:
                yield f"the bits of those that can run jobs of {lines.project.name} differ"

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
            if lines.place[1] != project.share:
                del self._order[bisect_left(self._order, lines.place)]
                lines.place = priority, project.share, project.number, lines
                insort(self._order, lines.place)
            line = lines.lines.get(user.number)
            if line is not None and line.place[0] != user.share:
                del lines.order[bisect_left(lines.order, line.place)]
                line.place = user.share, user.number, line
                insort(lines.order, line.place)

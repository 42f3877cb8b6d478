"""The simulated folder of frames, which all jobs and workers share, and how the server deletes what jobs made there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brender.roles.server.folder_threads import Action, Alive
from brender.roles.server.made_files import Deletion, made_files, other_with_its_files

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation

Path = tuple[str, str]
"""A folder by its one spelling, and the name of a file in it."""


def copies_of(job: str) -> str:
    """Return the folder that *job* copies its frames to, if it does."""
    return f"/copies/{job}"


@dataclass(frozen=True)
class File:
    """A file that is there: which attempt of which job put it there, and when (by the clock, and as the file's time says)."""

    attempt: str
    job: str
    since: float
    wall: float


class Disk:
    """The files that are there now, and for each path what jobs did at it: since when each counts on it, who deleted it last."""

    def __init__(self) -> None:
        self.files: dict[Path, File] = {}
        self.made: dict[tuple[Path, str], float] = {}
        """By path and job, when the job last put a file there."""
        self.used: dict[tuple[Path, str], float] = {}
        """By path and job, when the job last put a file there, or found it and kept it."""
        self.deleted: dict[Path, str] = {}
        """By path, the job with which its file was deleted last."""
        self.times_tell = True
        """The clock was never set: what was written later has the later time."""
        self.wrong = ""
        """What was deleted that must not be (raised later: the server survives what a folder's thread raises)."""

    def put(self, path: Path, file: File) -> None:
        self.files[path] = file
        self.made[path, file.job] = self.used[path, file.job] = file.since

    def keep(self, path: Path, job: str, now: float) -> None:
        """*job* finds a file of another there, and takes it for its own frame."""
        self.used[path, job] = now

    def delete(self, path: Path, job: str, is_known: bool) -> None:
        """Delete the file at *path* with *job*, and note where it is another's. *is_known*: the record says which
        attempt made it; else only its time tells it from that of *job*, and not to a minute."""
        if (there := self.files.pop(path)).job != job and is_known and self.times_tell:
            self.wrong = f"{path[1]} is deleted with the job {job}, and the job {there.job} had made it"
        self.deleted[path] = job

    def may_be_gone(self, path: Path, job: str) -> bool:
        """Return whether the frame of *job* at *path* may be gone: another has written over it since, and was deleted. Where the
        clock was set, one that only found it there may have been deleted with it too."""
        if (other := self.deleted.get(path)) is None:
            return False
        made = self.made.get((path, other))
        return made >= self.used.get((path, job), 0.0) if made is not None else not self.times_tell


class Placement:
    """No frames travel in a simulated farm: none ever waits to be put into its folder."""

    def waiting(self, job: str) -> set[tuple[str, int]]:
        return set()

    def give_up(self, job: str) -> None:
        pass


class Threads:
    """The threads of folders: each action happens at chance's time, those on one folder in their order."""

    def __init__(self, world: "Simulation", is_alive: Callable[[], bool]) -> None:
        self._world = world
        self._is_alive = is_alive
        self._free: dict[str, float] = {}

    def do(self, folder: str, action: Action) -> None:
        world = self._world
        begins = max(world.clock.now, self._free.get(folder, 0.0)) + world.disk_chance.choice([0.01, 0.3, 4.0])
        self._free[folder] = begins
        world.clock.at(begins - world.clock.now, lambda: self._act(action))

    def _act(self, action: Action) -> None:
        if self._is_alive():
            action(lambda: None)


class Keeper:
    """As much of the server's file keeper as deletion needs."""

    def __init__(self, world: "Simulation", is_alive: Callable[[], bool]) -> None:
        self.threads = Threads(world, is_alive)
        self.placement = Placement()


class SimulatedFiles:
    """The files of jobs on the simulated disk, chosen as in production. A `JobFiles`."""

    def __init__(self, world: "Simulation") -> None:
        self._world = world

    def kept_by_another(self, job: str) -> str:
        tables = self._world.writer.tables
        other = other_with_its_files(tables, tables.Job.get_by_id(job))
        return f"the job {other} keeps frames of it" if other else ""

    def delete(self, deletion: Deletion, alive: Alive) -> Iterator[None]:
        if deletion.what == "record":
            return
        tables, disk = self._world.writer.tables, self._world.disk
        folder = tables.Job.get_by_id(deletion.job).output
        for file in made_files(tables, deletion.job):
            yield
            there = disk.files.get((folder, file.name))
            if there is None:
                continue
            if file.is_as_made(1, there.wall):
                self._world.say(f"{file.name} is deleted with the job {deletion.job}")
                disk.delete(
                    (folder, file.name),
                    deletion.job,
                    tables.Part.get_or_none(attempt=there.attempt, status="completed") is not None,
                )
            else:
                deletion.left += 1

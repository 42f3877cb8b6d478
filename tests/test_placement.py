"""Finished frames on their way into the folders of their jobs: durable, in order, and past folders that do not answer."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brender.roles.effects import PublishFrame
from brender.roles.server.folder_threads import FolderThreads
from brender.roles.server.placement import Placement
from brender.transfer.durable import flush_file
from tests.power import Disk
from tests.tools import until
from tests.world import World, animation, farm_of_two

JOB, OTHER = "a" * 16, "b" * 16


# --- a job and its frames that are not in its folder yet -----------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return farm_of_two()


@pytest.fixture
def waiting(world: World) -> tuple[World, str]:
    """A job whose frames have all come back, to a folder that does not answer."""
    spec = animation("1-2", chunk=1, bundle="b" * 64, file="shot.blend", output="/mnt/show")
    world.hung = True
    world.submit(spec)
    world.finish_everything()
    return world, spec.id


def test_a_job_ends_once_its_frames_are_in_its_folder(waiting: tuple[World, str]) -> None:
    world, job = waiting
    assert world.status(job) == "active" and world.ask("job", id=job)["completed_parts"] == 2
    world.hung = False
    world.run(0.3)
    assert world.status(job) == "completed"


def test_a_job_says_what_its_frames_wait_for(waiting: tuple[World, str]) -> None:
    world, job = waiting
    sentence = "The folder /mnt/show does not answer; 2 finished frames wait to be put there"
    world.hinder({job: sentence})
    world.run(5)
    assert world.ask("job", id=job)["reason"] == sentence
    world.hinder({})
    assert world.ask("job", id=job)["reason"] == ""


def test_a_job_that_still_renders_says_it_too(world: World) -> None:
    spec = animation("1-2", chunk=1, bundle="b" * 64, file="shot.blend", output="/mnt/show")
    world.hung = True
    world.submit(spec)
    world.finish(next(name for name, stub in world.workers.items() if stub.running))
    world.hinder({spec.id: "it does not answer"})
    assert world.status(spec.id) == "active" and world.ask("job", id=spec.id)["reason"] == "it does not answer"
    world.finish_everything()
    assert world.ask("job", id=spec.id)["reason"] == "it does not answer"


def test_a_server_that_starts_again_waits_for_the_frames_that_are_not_in_their_folders(waiting: tuple[World, str]) -> None:
    world, job = waiting
    world.unplaced = world.unplaced[:1]
    world.start_server()
    world.run(1)
    assert world.status(job) == "active"
    world.place(world.unplaced[:1])
    assert world.status(job) == "completed"


def test_a_server_that_was_killed_after_it_placed_the_last_frame_ends_the_job_when_it_starts(
    waiting: tuple[World, str],
) -> None:
    world, job = waiting
    world.unplaced = []
    world.start_server()
    assert world.status(job) == "completed"


# --- folders that hang ---------------------------------------------------------------------------------------------------


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Farm:
    """The folders of jobs below *root*; those in ``hanging`` do not answer."""

    def __init__(self, root: Path, placed: Callable[[list[PublishFrame]], None] | None = None) -> None:
        self.incoming, self.root, self.time = root / "incoming", root, Time()
        self.incoming.mkdir()
        self.hanging: dict[str, threading.Event] = {}
        self.placed: list[PublishFrame] = []
        self.threads = FolderThreads(clock=self.time)
        self.placement = Placement(
            self.threads, self._arrived, self._folder, lambda *_: None, placed or self.placed.extend, self.time
        )

    def _arrived(self, attempt: str, part: int, file: int) -> Path:
        return self.incoming / f"{attempt}-{part}-{file}"

    def _folder(self, into: str) -> Path:
        if into in self.hanging and threading.current_thread().name == "brender-folder":
            self.hanging[into].wait(30)
        return self.root / into

    def arrive(self, part: int, into: str, job: str = JOB, attempt: str = "1" * 16, content: bytes = b"frame") -> PublishFrame:
        """A frame, with one further file, has arrived, and its report is accepted."""
        frame = PublishFrame(attempt, part, into, f"f_{part}.png", (f"deep/f_{part}.exr",), "", job)
        for file in (0, 1):
            self._arrived(attempt, part, file).write_bytes(content)
            flush_file(self._arrived(attempt, part, file))
        self.placement.add(frame)
        return frame

    def later(self, seconds: float) -> None:
        self.time.now += seconds
        self.placement.tick()


@pytest.fixture
def farm_of_folders(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    for event in farm.hanging.values():
        event.set()
    assert farm.threads.close(10)


def test_a_folder_that_hangs_stops_only_its_own_frames_and_loses_none(farm_of_folders: Farm) -> None:
    farm = farm_of_folders
    farm.hanging["hung"] = threading.Event()
    stuck = [farm.arrive(part, "hung") for part in range(3)]
    other = farm.arrive(9, "fine", job=OTHER)
    until(lambda: farm.placed == [other])
    assert (farm.root / "fine" / "f_9.png").read_bytes() == b"frame"
    assert farm.placement.hindrances() == {}, "it may only be slow"
    farm.later(6)
    folder = farm.root / "hung"
    assert farm.placement.hindrances() == {JOB: f"The folder {folder} does not answer; 3 finished frames wait to be put there"}
    assert len(list(farm.incoming.iterdir())) == 6
    farm.hanging["hung"].set()
    assert farm.threads.close(10) and farm.placed == [other, *stuck] and not list(farm.incoming.iterdir())
    assert sorted(path.name for path in folder.rglob("f_*")) == sorted(
        f"f_{n}.{kind}" for n in range(3) for kind in ("exr", "png")
    )
    assert farm.placement.hindrances() == {}


def test_a_folder_that_refuses_frames_gets_them_later_and_the_job_says_why(farm_of_folders: Farm) -> None:
    farm, folder = farm_of_folders, farm_of_folders.root / "out"
    folder.write_text("a file where the folder is to be")
    farm.arrive(1, "out")
    said = until(lambda: farm.placement.hindrances().get(JOB, ""))
    assert said == f"1 finished frame waits to be put into {folder}, which is tried again every 30 seconds: Not a directory"
    folder.unlink()
    farm.later(29)
    assert farm.threads.close(10) and not farm.placed
    farm.later(2)
    assert farm.threads.close(10) and len(farm.placed) == 1 and not farm.placement.hindrances()


def test_a_frame_that_was_rendered_again_is_not_replaced_by_the_earlier_one(farm_of_folders: Farm) -> None:
    farm, folder = farm_of_folders, farm_of_folders.root / "out"
    folder.write_text("a file where the folder is to be")
    farm.arrive(1, "out", content=b"first")
    until(farm.placement.hindrances)
    folder.unlink()
    farm.arrive(1, "out", attempt="2" * 16, content=b"second")
    farm.later(31)
    assert farm.threads.close(10) and (folder / "f_1.png").read_bytes() == b"second"
    assert len(farm.placed) == 2 and not list(farm.incoming.iterdir()), "nobody waits for the first any more"


def test_a_frame_whose_placing_was_cut_is_placed_whole(farm_of_folders: Farm) -> None:
    """The frame itself moves last: while it is there, the next start of the server finds it, and the files that moved before."""
    farm, folder = farm_of_folders, farm_of_folders.root / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "f_1.png").mkdir()
    frame = farm.arrive(1, "out")
    until(farm.placement.hindrances)
    assert (folder / "deep" / "f_1.exr").exists() and [path.name for path in farm.incoming.iterdir()] == [f"{'1' * 16}-1-0"]
    (folder / "f_1.png").rmdir()
    farm.later(31)
    assert farm.threads.close(10) and farm.placed == [frame] and (folder / "f_1.png").read_bytes() == b"frame"


def test_a_copy_that_was_cut_by_a_server_with_the_same_process_id_is_made_anew(
    farm_of_folders: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm, folder = farm_of_folders, farm_of_folders.root / "out"
    folder.mkdir()
    begun = folder / f".f_1.png.{os.getpid()}"  # in a container all servers have the same
    begun.write_bytes(b"fra")
    monkeypatch.setattr("brender.engines.publish._moved", lambda *_: False)  # as if that were another disk
    frame = farm.arrive(1, "out")
    assert farm.threads.close(10) and farm.placed == [frame]
    assert (folder / "f_1.png").read_bytes() == b"frame" and not begun.exists()


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize("same_disk", [True, False])
def test_a_job_is_told_of_a_frame_once_it_survives_a_power_cut_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_disk: bool, planted: bool
) -> None:
    """*planted*: that names are not flushed is noticed."""
    disk, survives = Disk(monkeypatch), list[bool]()
    files = [tmp_path / "new" / "out" / name for name in ("f_1.png", "deep/f_1.exr")]
    farm = Farm(tmp_path, lambda frames: survives.append(all(disk.has(file, tmp_path) for file in files)))
    if planted:
        monkeypatch.setattr("brender.roles.server.placement.flush_folder", lambda folder: None)
    if not same_disk:
        replace = os.replace

        def to_another_disk(source: str, target: str, **directories: int) -> None:
            if target in {"f_1.png", "f_1.exr"} and not source.startswith("."):
                raise OSError(18, "Invalid cross-device link")
            replace(source, target, **directories)

        monkeypatch.setattr(os, "replace", to_another_disk)
    farm.arrive(1, "new/out")
    assert farm.threads.close(10) and survives == [not planted] and not list(farm.incoming.iterdir())

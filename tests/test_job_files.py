"""Files of jobs at the worker: brought, laid out, and given up again."""

import os
import random
import shutil
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from brender.bus.ids import new_id
from brender.engines import job_files
from brender.engines.attempt import Attempt, AttemptFailed, Place
from brender.engines.disk_space import LEAST, shortage
from brender.engines.events import AttemptEvent, Progressed
from brender.engines.job_files import travel
from brender.engines.publish import Lease
from brender.model.bundle import Bundle, BundleFile, as_bytes
from brender.model.grant import Grant, Order, PartGrant
from brender.roles.worker.courier import FileCourier, delete_jobs_of_others
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from tests.test_blobs import digest, kept
from tests.tools import until

GIGABYTE = 2**16
"""What stands for one here."""
LIMIT = 5 * GIGABYTE


class Worker:
    """A worker of the data folder *root*, which gets blobs from the store *above*."""

    def __init__(self, root: Path, name: str, above: BlobStore) -> None:
        data = DataFolder(root)
        self.store = BlobStore(root / "cache" / "blobs", LIMIT, data.laid_out)
        self.moved = 0
        self.fetched: list[str] = []
        self.events: list[AttemptEvent] = []
        self._above = above
        self._place = Place(data.worker(name), (), Lease(), courier=FileCourier(self, self.store))  # type: ignore[arg-type]

    def fetch(self, blob: str, ended: Callable[[str], None], targets: Sequence[Path]) -> None:
        self.fetched.append(blob)
        writer = self.store.writing(blob)
        writer.add(0, self._above.path(blob).read_bytes())
        assert writer.finish(targets)
        ended("")

    def begin(self, job: str, bundle: str) -> Path:
        """Have the files of *job* brought; returns where they are laid out."""
        order = Order(job=job, engine="blender", settings={}, bundle=bundle)
        part = PartGrant(id=1, frame=1, output="1.png")
        grant = Grant(attempt=new_id(), worker="w", task=1, job=job, parts=(part,))
        travel(Attempt(grant, order, self._place, self.events.append))
        return self._place.job_folder(job) / "files"


def scene(above: BlobStore, gigabytes: int, seed: int) -> tuple[str, dict[str, bytes]]:
    """A scene of that size in files of a gigabyte, in *above*; its bundle and its files."""
    chance = random.Random(seed)
    files = {f"tex/{number}.png": chance.randbytes(GIGABYTE) for number in range(gigabytes - 1)}
    files |= {"shot.blend": chance.randbytes(GIGABYTE), "tex/again.png": files["tex/0.png"]}
    listed = tuple(BundleFile(path, kept(above, content), len(content)) for path, content in files.items())
    return kept(above, as_bytes(Bundle(main="shot.blend", files=listed))), files


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cached(store: BlobStore) -> int:
    return sum(path.stat().st_size for path in store.root.glob("??/*"))


@pytest.fixture
def above(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "above")


def test_a_scene_larger_than_the_cache_is_laid_out_whole(tmp_path: Path, above: BlobStore) -> None:
    bundle, files = scene(above, 20, seed=1)
    worker = Worker(tmp_path, "w", above)
    assert contents(worker.begin("a" * 16, bundle)) == files
    assert sorted(worker.fetched) == sorted({bundle, *(digest(content) for content in files.values())}), "each came once"
    worker.begin("a" * 16, bundle)
    assert len(worker.fetched) == 21, "and the next attempt finds them"


def test_jobs_on_one_machine_do_not_take_each_others_files(tmp_path: Path, above: BlobStore) -> None:
    scenes = [scene(above, 8, seed=seed) for seed in range(2)]
    workers = [Worker(tmp_path, f"w{number}", above) for number in range(2)]
    got: dict[int, dict[str, bytes]] = {}

    def work(number: int) -> None:
        got[number] = contents(workers[number].begin(str(number) * 16, scenes[number][0]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert got == {number: files for number, (_, files) in enumerate(scenes)}


def test_what_is_laid_out_counts_in_the_limit_and_goes_when_its_room_is_needed(tmp_path: Path, above: BlobStore) -> None:
    worker = Worker(tmp_path, "w", above)
    first, second, third = (worker.begin(str(number) * 16, scene(above, 2, seed=number)[0]) for number in range(3))
    assert not first.exists() and second.exists() and third.exists()
    assert cached(worker.store) <= LIMIT
    large = worker.begin("9" * 16, scene(above, 7, seed=9)[0])
    assert large.exists() and not second.exists() and not third.exists()
    assert cached(worker.store) <= 7 * GIGABYTE + 1000, "nothing but the scene in use, links to which cost nothing"


def test_what_workers_that_do_not_run_have_laid_out_goes_after_a_week(tmp_path: Path, above: BlobStore) -> None:
    bundle, _ = scene(above, 2, seed=1)
    laid_out = {(name, job): Worker(tmp_path, name, above).begin(job * 16, bundle) for name in ("gone", "runs") for job in "ab"}
    for name in ("gone", "runs"):
        os.utime(laid_out[name, "a"].with_name("boot"), (time.time() - 8 * 86_400,) * 2)
    running = DataFolder(tmp_path).lock("worker-runs")
    delete_jobs_of_others(DataFolder(tmp_path), DataFolder(tmp_path).worker("mine"))
    running.release()
    assert {key for key, path in laid_out.items() if path.exists()} == set(laid_out) - {("gone", "a")}


def test_a_scene_that_the_disk_cannot_take_is_said_in_a_sentence_before_it_is_brought(
    tmp_path: Path, above: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, _ = scene(above, 20, seed=1)
    worker = Worker(tmp_path, "w", above)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, LEAST))
    with pytest.raises(AttemptFailed, match=r"files have 0\.0 GB, and the disk of .* is 0\.0 GB too small .*: make room there"):
        worker.begin("a" * 16, bundle)
    assert worker.fetched == [bundle]


def test_files_laid_out_before_a_power_cut_are_not_trusted(
    tmp_path: Path, above: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, files = scene(above, 2, seed=1)
    laid_out = Worker(tmp_path, "w", above).begin("a" * 16, bundle)
    shutil.rmtree(tmp_path / "cache")
    for path in laid_out.rglob("*.png"):
        path.unlink()
        path.touch()  # as a file system leaves it that had written names, and no contents
    boot = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 50_000)
    assert contents(Worker(tmp_path, "w", above).begin("a" * 16, bundle)) == files


def test_what_was_laid_out_before_an_attempt_was_stopped_is_not_brought_again(tmp_path: Path, above: BlobStore) -> None:
    bundle, files = scene(above, 8, seed=1)
    lost = above.path(digest(files["shot.blend"]))
    lost.rename(tmp_path / "aside")
    worker = Worker(tmp_path, "w", above)
    with pytest.raises(FileNotFoundError):
        worker.begin("a" * 16, bundle)
    (tmp_path / "aside").rename(lost)
    shutil.rmtree(worker.store.root)
    again = Worker(tmp_path, "w", above)
    assert contents(again.begin("a" * 16, bundle)) == files and again.fetched == [digest(files["shot.blend"])]


def until_another(events: list[AttemptEvent]) -> None:
    before = len(events)
    until(lambda: len(events) > before)


def test_bytes_that_come_are_progress(tmp_path: Path, above: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file may take hours."""
    monkeypatch.setattr(job_files, "_LOOK_SECONDS", 0.01)
    bundle, _ = scene(above, 2, seed=1)
    worker = Worker(tmp_path, "w", above)
    fetch = worker.fetch

    def slowly(blob: str, ended: Callable[[str], None], targets: Sequence[Path]) -> None:
        def come() -> None:
            for _ in range(3):
                worker.moved += 1000
                until_another(worker.events)
            fetch(blob, ended, targets)

        threading.Thread(target=come).start()

    worker.fetch = slowly  # type: ignore[method-assign]
    worker.begin("a" * 16, bundle)
    outputs = [event.output for event in worker.events if isinstance(event, Progressed)]
    assert {1000, 2000, 3000} <= set(outputs)


@pytest.mark.skipif(sys.platform != "linux", reason="it has /proc")
def test_what_is_no_disk_is_not_said_to_be_full() -> None:
    assert shortage([Path("/proc")], LEAST) == ""

"""The life of an attempt: whatever happens in it, it ends, in its time and with a sentence."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from brender.engines import life as lives
from brender.engines.attempt import Attempt, Place
from brender.engines.confine import Confinement
from brender.engines.events import AttemptEvent, Cautioned, Ended, PartFinished
from brender.engines.folder_looks import FolderLooks
from brender.engines.life import Life
from brender.engines.publish import Lease
from brender.model.grant import Grant, Order, PartGrant
from tests.tools import as_ordinary_user, until


class Drive:
    """A drive that answers, or not: `look` is what looks at its folders."""

    def __init__(self) -> None:
        self._answers = threading.Event()
        self._answers.set()
        self.looks = 0

    def hang(self) -> None:
        self._answers.clear()

    def go_on(self) -> None:
        self._answers.set()

    def touch(self) -> None:
        self._answers.wait()

    def look(self, folder: Path, least: int) -> str:
        self.looks += 1
        self.touch()
        return ""


@pytest.fixture
def drive() -> Iterator[Drive]:
    made = Drive()
    yield made
    made.go_on()


class Engine:
    """Does *work* for each attempt."""

    def __init__(self, work: Callable[[Attempt], object]) -> None:
        self._work = work

    def run(self, attempt: Attempt) -> None:
        self._work(attempt)


def alive(
    folder: Path,
    engine: Any,
    output: Path | None = None,
    drive: Drive | None = None,
    silence: float = 0.2,
    least_free: int = 0,
    program: str = "import time; time.sleep(1000)",
) -> tuple[Life, list[AttemptEvent]]:
    """The life of an attempt at a program of Python, begun; and its events."""
    looks = FolderLooks(patience=0.2, look=drive.look) if drive is not None else FolderLooks()
    place = Place(folder / "w", (), Lease(), looks=looks, least_free=least_free)
    settings = {"program": sys.executable, "arguments": ["-c", program]}
    order = Order(job="j" * 16, engine="command", settings=settings, output=str(output or folder / "out"))
    grant = Grant(attempt="a" * 16, worker="w", task=1, job="j" * 16, parts=(PartGrant(id=1, frame=1),))
    events: list[AttemptEvent] = []
    life = Life(Attempt(grant, order, place, events.append), engine, silence)
    life.begin()
    return life, events


def end_of(life: Life, events: list[AttemptEvent], seconds: float = 20.0) -> Ended:
    assert life.join(seconds), "the attempt never ended"
    (ended,) = (event for event in events if isinstance(event, Ended))
    return ended


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ValueError("so"), "brender itself failed: ValueError: so"),
        (SystemExit(3), "brender itself failed: SystemExit: 3"),
        (PermissionError(13, "Permission denied", "/home/other"), "Permission denied: /home/other"),
    ],
)
def test_whatever_is_raised_in_an_attempt_is_its_end_with_a_sentence(tmp_path: Path, problem: BaseException, said: str) -> None:
    def fails(attempt: Attempt) -> None:
        raise problem

    assert end_of(*alive(tmp_path, Engine(fails))).reason == said


def test_a_folder_whose_rights_were_taken_away_is_said_to_be_forbidden(tmp_path: Path) -> None:
    def fails(attempt: Attempt) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "out"))

    assert end_of(*alive(tmp_path, Engine(fails))).forbidden
    assert not end_of(*alive(tmp_path, Engine(lambda attempt: None))).forbidden


@pytest.mark.parametrize(("number", "word"), [(28, "No space left on device"), (116, "Stale file handle")])
def test_a_folder_that_is_full_or_gone_puts_the_job_off_and_is_no_failure(tmp_path: Path, number: int, word: str) -> None:
    def fails(attempt: Attempt) -> None:
        raise OSError(number, word, str(tmp_path / "out" / "f.png"))

    end = end_of(*alive(tmp_path, Engine(fails)))
    assert end.put_off and not end.shortage and end.reason == f"{word}: {tmp_path}/out/f.png"


def test_a_folder_that_the_worker_s_owner_does_not_allow_puts_the_job_off_and_is_no_failure(tmp_path: Path) -> None:
    place = Place(tmp_path / "w", (), Lease(), confinement=Confinement(roots=(tmp_path / "show",)))
    order = Order(job="j" * 16, engine="command", settings={}, output=str(tmp_path / "out"))
    grant = Grant(attempt="a" * 16, worker="w", task=1, job="j" * 16, parts=(PartGrant(id=1, frame=1),))
    events: list[AttemptEvent] = []
    life = Life(Attempt(grant, order, place, events.append), Engine(lambda attempt: attempt.output), 0.2)
    life.begin()
    end = end_of(life, events)
    assert end.put_off and end.reason.startswith(f"The job's output folder, {tmp_path}/out, does not lie below {tmp_path}/show")
    assert end.reason.endswith(f"add `--allow-folder {tmp_path}/out` to those that the worker has")


def test_a_worker_s_own_full_folder_is_its_own_trouble(tmp_path: Path) -> None:
    def fails(attempt: Attempt) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "w" / "x"))

    end = end_of(*alive(tmp_path, Engine(fails)))
    assert end.shortage and not end.put_off


def test_an_attempt_whose_folder_does_not_answer_is_not_begun(tmp_path: Path, drive: Drive) -> None:
    drive.hang()
    begun: list[Attempt] = []
    first = end_of(*alive(tmp_path, Engine(begun.append), drive=drive))
    assert first.put_off and first.reason == f"The folder {tmp_path / 'out'} does not answer"
    assert not begun


def test_a_folder_that_is_known_to_be_silent_is_not_waited_for_again(tmp_path: Path, drive: Drive) -> None:
    looks = FolderLooks(patience=0.3, look=drive.look)
    drive.hang()
    assert looks.problem([tmp_path], 0) == f"The folder {tmp_path} does not answer"
    began = time.monotonic()
    assert [looks.problem([tmp_path], 0) for _ in range(20)] == [f"The folder {tmp_path} does not answer"] * 20
    assert time.monotonic() - began < 0.3 and drive.looks == 1, "one thread waits for it, not one a look"
    drive.go_on()
    until(lambda: looks.problem([tmp_path], 0) == "")


def test_an_attempt_whose_folder_falls_silent_is_put_off_and_what_comes_of_it_later_is_not_heard(
    tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "_LOOK_AFTER_SECONDS", 0.0)
    begun = threading.Event()

    def hangs(attempt: Attempt) -> None:
        drive.hang()
        begun.set()
        drive.touch()
        attempt.emit(Cautioned("late"))
        attempt.emit(PartFinished(1, 1.0))

    life, events = alive(tmp_path, Engine(hangs), drive=drive)
    begun.wait(10)
    until(lambda: life.look() or life.join(0.05))
    end = end_of(life, events)
    assert end.put_off and end.reason == f"The folder {tmp_path / 'out'} does not answer"
    drive.go_on()
    until(lambda: not (tmp_path / "w" / "attempts" / ("a" * 16)).exists())
    assert events == [end]


def test_an_attempt_that_moves_bears_with_a_silent_folder(tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "_LOOK_AFTER_SECONDS", 0.0)
    begun = threading.Event()

    def renders(attempt: Attempt) -> None:
        drive.hang()
        for number in range(30):
            attempt.emit(Cautioned(f"sample {number}"))
            life.look()
            time.sleep(0.02)
        begun.set()

    life, events = alive(tmp_path, Engine(lambda attempt: begun.wait(10) and renders(attempt)), drive=drive, silence=0.4)
    begun.set()
    assert end_of(life, events).reason == ""


def test_stopping_ends_an_attempt_whose_engine_hangs(tmp_path: Path, drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "_ENGINE_SECONDS", 0.2)
    begun = threading.Event()

    def hangs(attempt: Attempt) -> None:
        attempt.start_process([sys.executable, "-c", "import time; time.sleep(1000)"], os.environ)
        drive.hang()
        begun.set()
        drive.touch()

    life, events = alive(tmp_path, Engine(hangs), drive=drive)
    begun.wait(10)
    began = time.monotonic()
    life.stop("canceled")
    assert time.monotonic() - began < 0.2, "stopping waits for nothing"
    life.stop("canceled")
    until(lambda: life.look() or life.join(0.05))
    assert end_of(life, events).stopped
    process = life.process
    assert process is not None and process.wait(0.1), "its process is gone"
    assert life.attempt.place.log("j" * 16, "a" * 16).read_text().count("stopping: canceled") == 1, "said once"


LOOK = """
import sys
from pathlib import Path
from brender.engines.shared_folders import look
print(look(Path(sys.argv[1]), "0" * 32, 0.0).problem)
"""
AS_ORDINARY_USER = """
import sys
from pathlib import Path
from brender.engines.command import CommandEngine
from tests.test_attempt_life import alive, end_of
life, events = alive(Path(sys.argv[1]), CommandEngine(), output=Path(sys.argv[2]), program="pass")
print(repr(end_of(life, events).reason))
"""


@pytest.mark.skipif(os.name == "nt", reason="folders have other rights there")
@pytest.mark.parametrize("below", ["show", "x" * 300])
def test_a_folder_that_an_ordinary_user_may_not_look_into_stops_no_worker(tmp_path: Path, below: str) -> None:
    home, env = tmp_path / "home", os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    home.mkdir(mode=0)
    command = [*as_ordinary_user(), sys.executable, "-c", AS_ORDINARY_USER, str(tmp_path), str(home / below)]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    home.chmod(0o700)
    assert ran.stdout.startswith(f"'The output folder {home}/{below} cannot be used: ") and ran.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="folders have other rights there")
def test_what_a_worker_sees_of_a_folder_that_it_may_not_look_into_is_a_sentence(tmp_path: Path) -> None:
    home, env = tmp_path / "home", os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    home.mkdir(mode=0)
    command = [*as_ordinary_user(), sys.executable, "-c", LOOK, str(home / "show")]
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    home.chmod(0o700)
    assert (ran.stdout, ran.stderr) == (f"{home}/show: Permission denied\n", "")

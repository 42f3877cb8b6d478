"""The Python API: over the bus and over HTTP it is the same farm, and the examples of its page run as they stand there."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

import brender
from brender import AsyncFarm, BadInput, Conflict, Farm, Forbidden, Job, NotFound, RenderFailed, Unreachable
from brender.api.connection import silent, unseen
from brender.api.http import Http
from brender.api.in_asyncio import AsyncJob
from brender.api.options import Options
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.commands.submit import submit
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.job import PRIORITY_NORMAL
from brender.store.datafolder import DataFolder
from tests.coloring import configuration, graded_scene
from tests.conftest import SCENES, find_blender
from tests.test_addons import _SCENE as SCENE
from tests.test_addons import extension, is_red, legacy
from tests.tools import in_blender, pixels, render_directly, until
from tests.web import with_token

GUIDE = Path(__file__).parent.parent / "docs" / "reference" / "python.rst"
EXAMPLES = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", GUIDE.read_text("utf-8"), re.MULTILINE)


def test_importing_brender_imports_nothing_else_of_it() -> None:
    asked = "import sys, brender; print(sorted(name for name in sys.modules if name.startswith(('brender.', 'zmq', 'msgspec'))))"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there_and_others_are_not() -> None:
    assert all(getattr(brender, name).__name__ == name for name in brender._PUBLIC)
    assert not hasattr(brender, "Frame")


def test_python_takes_what_the_command_line_takes() -> None:
    of_commands = {"data", "config", "verbose", "server", "as_json", "words", "wait", "pictures", "parameters", "kind"}
    assert set(Options.__annotations__) == {each.name for each in submit.params} - of_commands | {"command", "job_type"}


def test_an_address_that_cannot_be_asked_is_said_at_once(folder: DataFolder) -> None:
    with pytest.raises(BadInput, match="is asked with a token"):
        Farm("http://farm:8888")
    with pytest.raises(BadInput, match="is not the address"):
        Farm("ftp://farm", token="t")
    with pytest.raises(BadInput, match="goes with the address of a farm's page"):
        Farm("farm:7000", token="t")
    with pytest.raises(Unreachable, match="There is no farm in"):
        Farm(data=folder.root)
    with Farm("http://127.0.0.1:9", token="t") as farm, pytest.raises(Unreachable, match="does not answer"):
        farm.jobs()


def test_an_option_that_does_not_exist_is_refused_and_the_one_that_is_meant_is_named(folder: DataFolder) -> None:
    with Farm("http://127.0.0.1:9", token="t") as farm:
        with pytest.raises(BadInput, match="no option resolutoin: did you mean resolution"):
            farm.submit("shot.blend", resolutoin=50)  # type: ignore[call-arg]
        with pytest.raises(BadInput, match="no option xyz: `brender submit --help`"):
            farm.submit("shot.blend", xyz=50)  # type: ignore[call-arg]


class Older:
    """A server that takes submissions as that of an earlier version does, and keeps what it was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent = list[dict[str, Any]]()
        monkeypatch.setattr(Http, "_json", self._json)

    def _json(self, path: str, query: object = None, body: Any = None, seconds: float = 0.0) -> Any:
        if "addons" in body or "site_addons" in body:
            raise BadInput("The body makes no sense: Object contains unknown field `site_addons`")
        self.sent.append(body)
        return {"id": "j" * 16}


def test_a_farm_of_an_earlier_version_is_sent_what_it_knows_and_named_where_that_is_not_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    older, http = Older(monkeypatch), Http("http://farm:8888", "t")
    http.submit(None, {"command": ["true"], "gpu_memory": "8GB", "priority": PRIORITY_NORMAL}, silent, unseen)
    (body,) = older.sent
    assert body.keys() == {"after", "start_at", "output", "job_type", "settings", "gpu_memory"}
    assert body["gpu_memory"] == 8 * 10**9
    with pytest.raises(BadInput, match="is of an earlier brender"):
        http.submit(None, {"job_type": "video", "no_site_addons": True}, silent, unseen)
    with pytest.raises(BadInput, match=r"has no \.blend: leave out --addon"):
        http.submit(None, {"command": ["true"], "addons": ["one.py"]}, silent, unseen)


def test_a_wait_whose_time_is_over_when_files_are_found_gone_says_how_long_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"name": "shot", "status": "completed", "completed_parts": 3, "progress": 1.0}
    job = Job(Http("http://farm:8888", "t"), record)

    def found_gone() -> bool:
        job.record = record | {"status": "active", "progress": 0.5}
        return True

    monkeypatch.setattr(job, "requeue_gone", found_gone)
    with pytest.raises(TimeoutError, match=r"^The job shot is active after 0 seconds, 50% done$"):
        job.wait(timeout=0, files=True)
    job.record = record
    with pytest.raises(TimeoutError, match=r"^The job shot is active after 0 seconds, 50% done$"):
        asyncio.run(AsyncJob(job).wait(timeout=0, files=True))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFarm]:
    folder = DataFolder(tmp_path_factory.mktemp("farm") / "data")
    plan = FarmPlan(folder=folder, workers=1, any_ports=True, blenders=[find_blender("bpy").path])
    with LocalFarm(plan) as made:
        yield made


@pytest.fixture(scope="module")
def token(running: LocalFarm) -> str:
    with client(None, running.folder.root) as connection:
        return with_token(connection)["Authorization"].removeprefix("Bearer ")


@pytest.fixture(params=["bus", "http"])
def farm(request: pytest.FixtureRequest, running: LocalFarm, token: str) -> Iterator[Farm]:
    """The running farm, by each way that leads to it."""
    is_bus = request.param == "bus"
    with Farm(data=running.folder.root) if is_bus else Farm(running.dashboard_url, token=token) as made:
        yield made


@pytest.mark.thorough
def test_a_job_is_submitted_followed_and_read(farm: Farm) -> None:
    changes, seen = farm.events(timeout=20.0), list[float]()
    job = farm.submit(command=["echo", "frame", "{frame}"], frames="1-3", name="echoes", priority=70, tags=())
    assert (job.name, job.record["priority"], job.record["part_count"]) == ("echoes", 70, 3)
    assert any(change.kind == "job" and change.id in (job.id, "*") for change in changes)
    assert job.wait(timeout=60, progress=lambda now: seen.append(now.progress)) is job
    assert job.status == "completed" and job.progress == 1.0 and seen == sorted(seen) and seen[-1] == 1.0
    assert until(lambda: "frame 2" in job.log(frame=2))
    assert "is completed" in job.why() and repr(job).endswith("'echoes', completed>")
    assert job.id in [each.id for each in farm.jobs(status="completed")] and len(farm.jobs(limit=1)) == 1
    assert farm.accounts(by="user")["rows"]


@pytest.mark.thorough
def test_the_answer_to_a_submission_warns_of_what_no_worker_can_run(running: LocalFarm, token: str) -> None:
    wanted = {"command": ["true"], "tags": ("moon",), "name": "moon"}
    with Farm(running.dashboard_url, token=token) as farm:
        until(lambda: [each for each in farm.workers() if each.record["status"] != "offline"])
        (warning,) = Http(running.dashboard_url, token).submit(None, wanted, silent, unseen)["warnings"]
        assert warning.startswith(NEEDS_SOMEBODY) and "lacks the tag moon" in warning
        assert farm.job("moon").reason == warning
        farm.job("moon").cancel()


@pytest.mark.thorough
def test_a_job_and_a_worker_are_changed(farm: Farm) -> None:
    job = farm.submit(command=["true"], name="held", paused=True)
    assert job.status == "paused" and "is paused" in job.why()
    assert job.set_priority(3).record["priority"] == 3
    assert job.resume().wait(timeout=60).status == "completed"
    with pytest.raises(Conflict):
        job.pause()
    assert job.requeue("all").wait(timeout=60).status == "completed"
    held = farm.submit(command=["true"], paused=True)
    assert held.cancel().has_ended
    with pytest.raises(RenderFailed, match="canceled"):
        held.wait()
    (worker,) = farm.workers()
    assert farm.worker(worker.name).id == worker.id
    try:
        assert "disabled" in worker.disable().why()
    finally:
        worker.enable()
    assert "disabled" not in worker.why()
    said = worker.describe(tags=["night"], note="by the window", sleeps="sun 03:00-04:00").describe(add_tags=["day"]).record
    assert (said["extra_tags"], said["note"], said["schedule"]) == (["day", "night"], "by the window", "sun 03:00-04:00")
    worker.describe(tags=[], note="", sleeps="", give_back=0)
    with pytest.raises(BadInput, match="not both"):
        worker.describe(tags=[], add_tags=["day"])
    with pytest.raises(Conflict):
        worker.forget()
    with pytest.raises(Conflict, match="does not sleep"):
        worker.wake()


@pytest.mark.thorough
def test_what_is_wrong_is_the_same_error_either_way(farm: Farm, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no job 'nothing'"):
        farm.job("nothing")
    with pytest.raises(BadInput):
        farm.submit(command=["true"], frames="nonsense")
    with pytest.raises(BadInput):
        farm.submit(tmp_path / "missing.blend")
    with pytest.raises(BadInput, match=r"has no \.blend: leave out --overwrite"):
        farm.submit(command=["true"], overwrite=True)
    with pytest.raises(BadInput, match="say the same setting"):
        farm.submit(command=["true"], frames="1-2", settings={"frames": "1-3"})
    paused = farm.submit(command=["true"], paused=True)
    with pytest.raises(BadInput, match=r"has no \.blend: leave out .*overwrite"):
        paused.clone(overwrite=True)
    with pytest.raises(TimeoutError, match="is paused after"):
        paused.wait(timeout=0.1)
    with pytest.raises(RenderFailed):
        farm.submit(command=["false"]).wait(timeout=60)


@pytest.mark.thorough
def test_a_wrong_token_is_forbidden(running: LocalFarm) -> None:
    with Farm(running.dashboard_url, token="wrong") as farm, pytest.raises(Forbidden):
        farm.jobs()


@pytest.mark.thorough
@pytest.mark.blender
def test_frames_are_sent_for_and_fetched_and_replace_nothing(farm: Farm, tmp_path: Path) -> None:
    sent = list[tuple[int, int]]()
    given = {"frames": "1-2", "resolution": 5, "samples": 1, "allow_missing": True, "send": True}
    job = farm.submit(SCENES / "03_animated_cube.blend", progress=lambda *now: sent.append(now), **given)  # type: ignore[arg-type]
    job.wait(timeout=120)
    assert all(path.is_file() for path in job.frames()), "the server, which keeps them, is on this machine"
    found = job.frames(to=tmp_path / "here")
    assert len(found) == 2 and all(path.stat().st_size for path in found)
    found[0].write_bytes(b"another picture")
    with pytest.raises(Conflict, match="stays"):
        job.frames(to=tmp_path / "here")
    assert found[0].read_bytes() == b"another picture"
    assert job.frames(to=tmp_path / "here", replace=True) == found and found[0].stat().st_size > 100
    assert not sent or sent[-1][0] == sent[-1][1]


@pytest.mark.thorough
@pytest.mark.blender
def test_add_ons_and_a_color_configuration_with_its_lut_travel_with_the_scene(
    farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bpy = find_blender("bpy")
    config = configuration(tmp_path / "studio", tmp_path / "luts")
    graded = graded_scene(bpy, tmp_path / "graded", config)
    job = farm.submit(graded, ocio=str(config), frames="1", send=True).wait(timeout=120)
    with monkeypatch.context() as patch:
        patch.setenv("OCIO", str(config))
        render_directly(bpy, graded, tmp_path / "direct", "1-1", 100, 1)
    (ours,) = job.frames(to=tmp_path / "ours")
    assert numpy.array_equal(pixels(ours), pixels(tmp_path / "direct" / "direct_0001.png"))
    blue = tmp_path / "blue.blend"
    in_blender(bpy, SCENE.format(str(blue)), tmp_path)
    made = {"legacy": legacy(tmp_path / "legacy"), "extension": extension(tmp_path / "extension"), "none": None}
    for name, addon in made.items():
        chosen = {"addons": [addon]} if addon else {"no_site_addons": True}
        job = farm.submit(blue, frames="1", send=True, name=name, **chosen).wait(timeout=120)  # type: ignore[arg-type]
        assert [each["is_extension"] for each in job.record["addons"]] == ([name == "extension"] if addon else [])
        (frame,) = job.frames(to=tmp_path / name)
        assert is_red(frame) is (addon is not None)


@pytest.mark.thorough
@pytest.mark.blender
def test_a_job_is_waited_for_with_its_files_archived_cloned_and_deleted(farm: Farm, tmp_path: Path) -> None:
    file = shutil.copy(SCENES / "03_animated_cube.blend", tmp_path / "shot.blend")
    given = {"frames": "1-2", "resolution": 5, "samples": 1, "allow_missing": True, "output": str(tmp_path / "out")}
    job = farm.submit(file, **given).wait(timeout=120)  # type: ignore[arg-type]
    (first, second) = job.frames()
    first.unlink()
    assert job.wait(files=True, timeout=120).frames() == [first, second] and first.is_file()
    found = job.archive(tmp_path / "shot.zip")
    with zipfile.ZipFile(tmp_path / "shot.zip") as zipped:
        assert found.files == 2 and found.logs >= 2 and json.loads(zipped.read("job.json"))["activity"]
        assert zipped.read(f"frames/{first.name}") == first.read_bytes()
    with pytest.raises(Conflict, match="is there already"):
        job.archive(tmp_path / "shot.zip")
    whole = first.read_bytes()
    first.write_bytes(b"another job's")
    with pytest.raises(Conflict, match=rf"^1 file of the job .* and was archived as it is now: {first.name}\."):
        job.archive(tmp_path / "changed.zip")
    with zipfile.ZipFile(tmp_path / "changed.zip") as zipped:
        assert zipped.read(f"frames/{first.name}") == b"another job's"
    first.write_bytes(whole)
    other = job.clone(settings={"frames": "1"}, name="again", paused=True, start_at="+2h")
    assert (other.name, other.status) == ("again", "paused") and other.record["output"] == f"{tmp_path}/out_2"
    assert other.record["start_at"] > time.time() + 7000
    assert other.begin(after=[job.id]).record["waits"][0]["job"] == job.id and not other.record["start_at"]
    assert other.begin().resume().wait(timeout=120).tasks()[0]["status"] == "completed"
    for each in (other, job):
        each.delete("record")
    assert until(lambda: not [each for each in farm.jobs() if each.id in (job.id, other.id)])
    assert first.is_file()


@pytest.mark.thorough
def test_the_log_of_what_failed_is_read(farm: Farm) -> None:
    job = farm.submit(command=["sh", "-c", "echo gone wrong; exit 3"])
    with pytest.raises(RenderFailed):
        job.wait(timeout=60)
    assert "gone wrong" in job.log_of_failure() and farm.submit(command=["true"]).log_of_failure() == ""


class Away:
    """A connection to a farm that answers, is away so many *times*, and has completed its job then."""

    refusal_is_final = False

    def __init__(self, times: int) -> None:
        self.times = times

    def ask(self, question: str, **arguments: Any) -> Any:
        self.times -= 1
        if self.times >= 0:
            raise Unreachable("nobody answers")
        return {"id": "j", "name": "shot", "status": "completed", "completed_parts": 1, "progress": 1.0}


def test_a_farm_that_is_away_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.api.farm._LOOK_SECONDS", 0.0)
    job = Job(Away(3), {"id": "j", "name": "shot", "status": "active", "completed_parts": 0, "progress": 0.0})  # type: ignore[arg-type]
    assert job.wait().status == "completed"
    monkeypatch.setattr("brender.api.waiting._PATIENCE_SECONDS", -1.0)
    with pytest.raises(Unreachable):
        Job(Away(1), job.record | {"status": "active"}).wait()  # type: ignore[arg-type]


@pytest.mark.thorough
def test_many_jobs_are_waited_for_in_one_event_loop(running: LocalFarm) -> None:
    async def main() -> list[str]:
        async with AsyncFarm(data=running.folder.root) as farm:
            jobs = [await farm.submit(command=["echo", str(number)]) for number in range(3)]
            await asyncio.gather(*(job.wait(timeout=60) for job in jobs))
            assert "0" in await (await farm.job(jobs[0].id)).log()
            assert [worker.now.name for worker in await farm.workers()]
            return [job.status for job in jobs]

    assert asyncio.run(main()) == ["completed"] * 3


@pytest.mark.thorough
@pytest.mark.blender
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_guide_run_as_they_stand_there(number: int, running: LocalFarm, token: str, tmp_path: Path) -> None:
    shutil.copy(SCENES / "03_animated_cube.blend", tmp_path / "shot.blend")
    code = re.sub(r"^   ", "", EXAMPLES[number], flags=re.MULTILINE)
    given = {"BRENDER_DATA": str(running.folder.root), "FARM": running.dashboard_url, "TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | given, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr

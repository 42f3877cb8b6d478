"""Lines in a program's output that mean failure: what they say, what follows, and how a farm adds its own."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from brender.commands.settings import config
from brender.engines.attempt import Attempt, Place
from brender.engines.command import CommandEngine
from brender.engines.device_errors import device_error
from brender.engines.events import Ended, PartFinished
from brender.engines.life import Life
from brender.engines.publish import Lease
from brender.model.causes import Cause
from brender.model.errors import BadInput
from brender.model.failure_patterns import BUILT_IN, FailurePattern, Follows, match, read_pattern
from brender.model.grant import Grant, Order, PartGrant
from brender.model.nodes import Blender
from brender.roles.policy import Policy
from brender.scheduling.terms import TRIED_AGAIN
from tests.rendering import studio
from tests.test_device_errors import _PRINTS
from tests.tools import in_blender
from tests.world import World, animation, granted


def ran(folder: Path, program: str, *own: str) -> tuple[Ended, list[int]]:
    """How an attempt at two frames of a Python *program* ends where the farm has its *own* patterns, and the parts it did."""
    settings = {"program": sys.executable, "arguments": ["-c", program, "{frame}"]}
    patterns = tuple(map(read_pattern, own))
    order = Order(job="j" * 16, engine="command", settings=settings, output=str(folder), patterns=patterns)
    parts = (PartGrant(id=1, frame=1), PartGrant(id=2, frame=2))
    grant = Grant(attempt="a" * 16, worker="w", task=1, job="j" * 16, parts=parts)
    events: list[object] = []
    life = Life(Attempt(grant, order, Place(folder / "w", (), Lease(), least_free=0), events.append), CommandEngine())
    life.begin()
    assert life.join(60)
    (ended,) = (each for each in events if isinstance(each, Ended))
    return ended, [each.part for each in events if isinstance(each, PartFinished)]


def test_a_program_that_fails_for_want_of_a_licence_is_tried_later_and_its_line_is_named(tmp_path: Path) -> None:
    ended, _ = ran(tmp_path, "import sys; print('ERROR: No license available for V-Ray', end=''); sys.exit(3)")
    assert ended.put_off and not ended.permanent and ended.cause is Cause.LICENCE
    assert ended.reason.endswith("Its output says (no licence available): ERROR: No license available for V-Ray")


def test_a_program_that_fails_for_want_of_memory_is_tried_elsewhere(tmp_path: Path) -> None:
    ended, _ = ran(tmp_path, "raise MemoryError")
    assert ended.elsewhere and ended.cause is Cause.MEMORY


@pytest.mark.parametrize(
    "words",  # as bpy 5.0.1 printed them on an H200
    [
        "System is out of GPU memory",
        "Unable to load denoiser weights: Could not open optix denoiser weights file /usr/share/nvidia/nvoptix.bin",
    ],
)
def test_what_another_gpu_may_do_is_tried_elsewhere_and_quoted_without_the_time(words: str) -> None:
    found = match(f"00:01.243  cycles           | ERROR {words}", ())
    assert found is not None and (found.pattern.follows, found.pattern.cause) == (Follows.ELSEWHERE, Cause.DEVICE)
    assert found.line == words


def test_what_brender_itself_looks_for_does_not_fail_a_program_that_succeeds(tmp_path: Path) -> None:
    ended, done = ran(tmp_path, "print('could not get a license: goes on without')")
    assert ended.reason == "" and done == [1, 2]


def test_a_farms_own_pattern_fails_a_frame_whose_program_says_that_it_succeeded(tmp_path: Path) -> None:
    ended, done = ran(
        tmp_path, "import sys; print('texture is missing' if sys.argv[1] == '2' else 'fine')", "fail, always: is missing"
    )
    assert (ended.reason, ended.permanent) == ("Frame 2 counts as failed. Its output says: texture is missing", True)
    assert done == [1]


def test_a_line_that_the_farm_ignores_means_nothing(tmp_path: Path) -> None:
    ended, _ = ran(tmp_path, "raise MemoryError", "ignore: MemoryError")
    assert ended.reason and not ended.elsewhere and "Its output says" not in ended.reason


@pytest.mark.blender
def test_a_frame_of_blender_fails_by_a_farms_own_pattern_and_is_not_published(blender: Blender, tmp_path: Path) -> None:
    file, out = tmp_path / "prints.blend", tmp_path / "out"
    script = _PRINTS.replace("Illegal address in CUDA queue synchronize (integrator_shade_surface)", "the farm has no sun today")
    in_blender(blender, script.replace("FILE", repr(str(file))), tmp_path)
    with studio(tmp_path / "worker", blender) as farm:
        farm.patterns = (read_pattern("elsewhere, always: no sun"),)
        outcome = farm.run(farm.job(file, out, frames="1-3", chunk=3, trusted=True))
    assert outcome.ended.reason == "Frame 2 counts as failed. Its output says: the farm has no sun today"
    assert outcome.ended.elsewhere and len(list(out.iterdir())) == 1


def test_a_gpu_without_memory_is_tried_elsewhere() -> None:
    for line in (
        "System is out of GPU memory",
        "GL_OUT_OF_MEMORY in glTexImage2D",
        "Out of memory in cuMemAlloc(&device_pointer, size)",
    ):
        found = match(line, ())
        assert device_error(line) and found is not None and found.pattern.follows is Follows.ELSEWHERE, line


def test_brenders_own_patterns_are_as_people_may_write_them() -> None:
    for each in BUILT_IN:
        assert read_pattern(f"{each.follows}, {each.cause}: {each.pattern}") == each


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fail", "has nothing to look for"),
        ("maybe: lost", "begins with 'maybe'"),
        ("fail, sunshine: lost", "has 'sunshine', which is not a cause"),
        ("fail: (", "is not a regular expression: missing )"),
        ("fail: .*", "is found in every line"),
    ],
)
def test_a_bad_pattern_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BadInput, match="failure pattern") as raised:
        read_pattern(text)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_the_settings_file_names_patterns_and_its_check_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "brender.toml"
    file.write_text("[server]\nfailure-pattern = ['later, licence: No seat left', 'fail: (']\n", "utf-8")
    said = CliRunner().invoke(config, ["check", "--config", str(file)])
    assert "[server] failure-pattern: " in str(said.exception) and "'fail: ('" in str(said.exception)
    file.write_text("[server]\nfailure-pattern = ['later, licence: No seat left']\n", "utf-8")
    assert CliRunner().invoke(config, ["check", "--config", str(file)]).exit_code == 0


def farm(**policy: object) -> World:
    world = World(Policy(retry=0.1, retry_most=0.1, **policy))  # type: ignore[arg-type]
    world.add_worker("small")
    return world


def test_the_orders_of_jobs_carry_the_farms_own_patterns() -> None:
    own = (FailurePattern("no sun", Follows.FAIL),)
    world = farm(failure_patterns=own)
    job = world.submit(animation("1"))["id"]
    assert world.workers["small"].core._orders[job].patterns == own


def test_a_worker_whose_failure_another_may_not_have_is_kept_off_at_once_and_the_task_has_not_failed() -> None:
    world = farm()
    world.add_worker("large")
    job = world.submit(animation("1-20"))["id"]
    world.end("small", reason="out of memory", elsewhere=True)
    world.run(5)
    told = world.ask("job", id=job)
    assert [each["worker_name"] for each in told["kept_off"]] == ["small"] and granted(world, "small") == []
    assert [task["failures"] for task in world.ask("tasks", job=job)] == [0] * 20


def test_where_no_other_worker_could_it_is_tried_again_and_fails_in_the_end() -> None:
    world = farm()
    job = world.submit(animation("1"))["id"]
    for _ in range(3):
        world.run(5)
        world.end("small", reason="no sun", elsewhere=True)
    assert world.status(job) == "failed"


def out_of_memory(world: World) -> None:
    world.end("small", reason="Out of memory in CUDA queue", elsewhere=True, cause=Cause.DEVICE)


def seconds_until_tried(world: World) -> float:
    """Let the farm go on until its worker has a task again; return after how many seconds."""
    began = world.now
    while world.workers["small"].running is None:
        world.run(1)
        assert world.now < began + 1000
    return round(world.now - began)


def test_a_frame_for_which_a_gpu_has_too_little_memory_waits_until_another_program_may_have_let_go_of_it() -> None:
    world = farm()
    job = world.submit(animation("1-2"))["id"]
    waited = []
    for _ in range(2):
        out_of_memory(world)
        world.run(3)
        record = world.ask("job", id=job)
        assert "Out of memory in CUDA queue" in record["reason"] and f"{TRIED_AGAIN} `brender readmit" in record["reason"]
        world.start_server()
        waited.append(3 + seconds_until_tried(world))
    assert waited[0] in range(14, 18) and waited[1] in range(59, 63)
    assert world.finish_everything() == [1, 2] and world.status(job) == "completed"
    assert world.server.dispatch.audit() == []


def test_a_job_that_never_had_enough_memory_waits_no_more_once_a_frame_of_it_has_failed() -> None:
    world = farm()
    job = world.submit(animation("1-9"))["id"]
    began = world.now
    for _ in range(6):
        out_of_memory(world)
        seconds_until_tried(world)
    assert world.now < began + 100, "it takes more than there is, so its other frames need not wait"
    assert world.ask("job", id=job)["failed_tasks"] == 2


def test_a_worker_that_had_enough_memory_before_is_kept_off_for_a_while_only_and_for_good_at_the_third_time() -> None:
    world = farm()
    world.add_worker("large")
    job = world.submit(animation("1-40"))["id"]
    assert world.finish("small") == [1]
    for _ in range(2):
        out_of_memory(world)
        world.run(3)
        assert granted(world, "small") == [] and world.ask("job", id=job)["kept_off"] == []
        assert seconds_until_tried(world) > 10
    out_of_memory(world)
    world.run(3)
    record = world.ask("job", id=job)
    assert [each["worker_name"] for each in record["kept_off"]] == ["small"] and record["failures"] == 0
    world.act("readmit", job)
    world.run(3)
    assert world.finish("small") and world.finish_everything() and world.status(job) == "completed"
    assert world.server.dispatch.audit() == []


def test_a_worker_that_comes_gets_the_frames_that_wait_for_memory_of_another() -> None:
    world = farm()
    job = world.submit(animation("1-2"))["id"]
    out_of_memory(world)
    world.add_worker("large")
    world.run(3)
    assert sorted(granted(world, "large")) == [1, 2] and granted(world, "small") == []
    assert sorted(world.finish_everything()) == [1, 2] and world.status(job) == "completed"

"""`brender scale`: what the farm tells it, and workers that it starts and ends for real, as processes of this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.bus.keys import kept_pair
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder
from tests.tools import Said, command, ended, invite, submit_command, until
from tests.world import World, animation


@pytest.fixture(scope="module")
def empty_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFarm]:
    """A whole farm without workers."""
    folder = DataFolder(tmp_path_factory.mktemp("farm") / "data")
    with LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)) as running:
        yield running


def test_the_backlog_is_what_no_worker_renders_yet() -> None:
    world = World()
    assert world.ask("backlog") == {
        "tasks": 0,
        "seconds": 0.0,
        "unknown": 0,
        "workers": 0,
        "idle": 0,
        "unfit": 0,
        "unfit_named": [],
        "unfit_why": "",
    }
    world.submit(animation("1-10"))
    assert (world.ask("backlog")["tasks"], world.ask("backlog")["unknown"]) == (10, 10)
    world.add_worker("a", tags=frozenset({"fleet-slurm"}))
    world.add_worker("b")
    world.finish_part("a", seconds=30.0)
    world.run(1.0)
    found = world.ask("backlog", fleet="fleet-slurm")
    assert (found["tasks"], found["unknown"], found["seconds"]) == (7, 0, 30.0 * (7 + 2 / 2))
    assert (found["workers"], found["idle"]) == (1, 0), "those of the fleet are not counted"


def test_the_backlog_leaves_out_what_a_worker_like_this_one_cannot_take() -> None:
    world = World()
    world.add_worker("a")
    world.submit(animation("1-10", name="on a gpu", tags=("gpu",)))
    worker = world.ask("workers")[0]["id"]
    assert world.ask("backlog")["tasks"] == 10
    found = world.ask("backlog", like=worker)
    assert (found["tasks"], found["unfit"], found["unfit_named"]) == (0, 1, ["on a gpu"])
    assert found["unfit_why"] == "a lacks the tag gpu"


def test_others_are_counted_that_can_take_some_of_the_backlog() -> None:
    world = World()
    for name, tags in (("a", {"gpu"}), ("b", {"gpu"}), ("c", set()), ("d", {"gpu", "fleet-slurm"})):
        world.add_worker(name, tags=frozenset(tags))
    world.act("disable", "c")
    assert (world.ask("backlog")["workers"], world.ask("backlog")["idle"]) == (0, 0), "there is nothing to take"
    world.submit(animation("1", name="on a gpu", tags=("gpu",)))
    world.run(1.0)
    found = world.ask("backlog", fleet="fleet-slurm")
    assert (found["workers"], found["idle"]) == (2, 1), "of those alike one renders"
    assert world.ask("backlog")["workers"] == 3
    world.submit(animation("1-10", name="in a newer file", version=(6, 0), priority=90))
    assert world.ask("backlog", fleet="fleet-slurm")["workers"] == 2, "none has such a Blender"


def test_workers_are_listed_by_the_start_of_their_names() -> None:
    world = World()
    for name in ("local-a", "local", "a-local-", "localx"):
        world.add_worker(name)
    assert [row["name"] for row in world.ask("workers", start="local-")] == ["local-a"]
    assert len(world.ask("workers")) == 4


def test_a_paused_job_is_no_backlog() -> None:
    world = World()
    world.submit(animation("1-10", id="0123456789abcdef0123456789abcdef"))
    world.act("pause", "0123456789abcdef0123456789abcdef")
    assert world.ask("backlog")["tasks"] == 0


def scale(capsys: pytest.CaptureFixture[str], farm: LocalFarm, *words: str) -> Said:
    return command(capsys, "scale", "--once", "--data", farm.folder.root, *words)


def test_workers_are_started_for_what_is_queued_and_leave_when_it_is_done(
    empty_farm: LocalFarm, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--most", "1", "--linger", "1s", "--worker-option=--allow-program=*")
    with client(None, empty_farm.folder.root) as connection:
        job = submit_command(connection, "true", frames="1-3")
        said = scale(capsys, empty_farm, *words, "--dry-run")
        assert said.out == (
            "no worker of 0 to 1; 3 tasks wait, about 3 min of work, and there is no worker for it; 1 worker is to be started\n"
        )
        assert not connection.ask("workers"), "nothing is done"
        assert scale(capsys, empty_farm, *words).code == 0
        again = scale(capsys, empty_farm, *words)  # as after a kill: what was started is found
        assert "1 starting of 0 to 1" in again.out
        assert ended(connection, job)["status"] == "completed"
        assert [row["name"].startswith("local-") for row in connection.ask("workers")] == [True]
        assert "fleet-local" in connection.ask("workers")[0]["tags"]
        assert "local-" in scale(capsys, empty_farm, "--most", "0").out

        def is_gone() -> bool:
            scale(capsys, empty_farm, "--most", "0")
            return not connection.ask("workers")

        until(is_gone)
        known = connection.manage("keys")
        assert all(key["revoked"] for key in known["keys"] if key["role"] == KeyRole.WORKER), "no dead names stay behind"
        assert [token["uses"] for token in known["tokens"] if token["role"] == KeyRole.WORKER] == [0], "its token was for one"
    assert not list(empty_farm.folder.root.glob("workers/*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--provider", "cloud"), "There is no provider 'cloud'; there are: kubernetes, local, slurm"),
        (("--least", "3", "--most", "2"), "--least 3 is more than --most 2"),
        (("--fleet", "A B"), "--fleet 'A B': a fleet's name has"),
        (("--worker-option=--nope",), "--worker-option: No such option '--nope'"),
        (("--worker-option=--name=x",), "each worker gets its own --name"),
        (("--within", "soon"), "'soon' is not a length of time"),
        (("--provider-option", "x"), "--provider-option 'x': write NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = command(capsys, "scale", "--once", "--data", tmp_path / "data", *words)
    assert said.code == 2
    assert sentence in " ".join(said.err.split())


def test_a_key_that_may_not_give_out_tokens_is_told_so(
    empty_farm: LocalFarm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(capsys, "join", invite("client", empty_farm.folder.root), "--data", tmp_path / "other").code == 0
    said = command(capsys, "scale", "--once", "--data", tmp_path / "other")
    assert said.code == 2
    assert "This machine's key may not give out tokens" in said.err and "--role admin" in said.err


def test_a_worker_that_ends_before_it_joins_is_a_failed_start(
    empty_farm: LocalFarm, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = scale(capsys, empty_farm, "--fleet", "x", "--least", "1", "--worker-command", str(tmp_path / "nothing"))
    assert (said.code, said.err.splitlines()[-1]) == (
        2,
        f"Error: {tmp_path / 'nothing'} cannot be started: No such file or directory",
    )


def test_where_the_farm_cannot_be_reached_nothing_is_started(capsys: pytest.CaptureFixture[str], folder: DataFolder) -> None:
    for key in (folder.make().server_key, folder.local_key):
        kept_pair(key)  # a server's own folder, in which none runs
    said = command(capsys, "scale", "--once", "--least", "1", "--data", folder.root)
    assert said.code == 4
    assert not list(folder.root.glob("run/worker-*"))

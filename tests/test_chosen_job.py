"""A job is named by a name that others had before it."""

import pytest

from tests.tools import command, let_commands_ask
from tests.world import World, animation, farm_of_two


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A farm of two workers on which a job called slow was rendered."""
    world = farm_of_two()
    let_commands_ask(world.answer, monkeypatch)
    world.submit(animation("1", name="slow"))
    world.finish_everything()
    return world


def _submit(world: World) -> str:
    world.run(1.0)
    spec = animation("1-2", name="slow", paused=True)
    world.submit(spec)
    return spec.id


@pytest.mark.parametrize("words", [("pause", "slow"), ("resume", "slow"), ("priority", "slow", "80"), ("cancel", "slow")])
def test_what_is_changed_by_name_is_the_only_job_of_it_that_has_not_ended(
    words: tuple[str, ...], world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    job = _submit(world)
    said = command(capsys, *words)
    assert said.code == 0 and f"Job {job[:8]} " in said.out
    assert f"'slow' means 2 jobs. {job[:8]}, the only one that has not ended, is taken" in said.err


def test_a_job_is_meant_by_the_beginning_of_its_name_where_no_other_job_has_that(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = animation("1-2", name="Contact sheet", paused=True)
    world.submit(sheet)
    assert sheet.id[:8] in command(capsys, "why", "Contact").out
    assert f"Job {sheet.id[:8]} " in command(capsys, "resume", "Contact").out
    assert "There is no job or worker 'contact'" in command(capsys, "why", "contact").err
    world.submit(animation("1", name="Contact print"))
    assert "'Contact' means 2 jobs. Write the id" in command(capsys, "cancel", "Contact").err
    assert command(capsys, "job", "Contact sheet").code == 0


def test_of_several_unfinished_jobs_of_a_name_the_newest_is_looked_at_and_none_is_changed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _submit(world)
    newest = _submit(world)
    for verb in ("job", "why", "tasks"):
        said = command(capsys, verb, "slow")
        assert said.code == 0 and f"{newest[:8]}, the newest that has not ended, is taken" in said.err
    refused = command(capsys, "cancel", "slow")
    assert refused.code == 2 and "'slow' means 3 jobs. Write the id" in refused.err


def test_of_a_name_whose_jobs_have_all_ended_and_of_one_that_ids_begin_with_nothing_is_chosen(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(capsys, "job", "slow").code == 0  # there is but one
    world.submit(animation("1", name="slow"))
    world.finish_everything()
    assert "'slow' means 2 jobs. Write the id" in command(capsys, "why", "slow").err
    job = _submit(world)
    world.submit(animation("1", name=job[:3], paused=True))
    assert world.ask("unfinished", name=job[:3]) == {"jobs": 0, "unfinished": []}

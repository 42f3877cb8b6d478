"""A job that was submitted is edited: what is still valid of it stays, and what would look otherwise is rendered again."""

from typing import Any

import msgspec
import pytest

from brender.bus.messages import Sorry
from brender.jobs.clones import clone, free_folder
from brender.jobs.declare import job_type
from brender.model.edit import Edit
from tests.world import World, animation, facts, farm_of_two, granted, new_id


@pytest.fixture
def world() -> World:
    return farm_of_two()


def edit(world: World, job: str, **more: Any) -> Any:
    return world.act("edit", job, more)


def stop(world: World) -> None:
    """All that runs, and was asked to stop, does."""
    for name, stub in world.workers.items():
        if stub.running is not None and stub.running.attempt in stub.stopped:
            world.end(name, stopped=True)


def edited_and_canceled(world: World, settings: dict[str, Any]) -> str:
    """Return a job of six frames, some of them done, that was edited to have *settings* and canceled at once."""
    world.sweep_size = 1
    world.start_server()
    job: str = world.submit(animation("1-6", chunk=1))["id"]
    world.run(3.0)
    for name in ("one", "two", "one", "two"):
        world.finish(name)
    edit(world, job, settings=settings)
    world.act("cancel", job)
    stop(world)
    world.run(3.0)
    return job


def samples_of(world: World, worker: str) -> int | None:
    running = world.workers[worker].running
    assert running is not None
    sample: int | None = world.workers[worker].orders[running.attempt].settings["samples"]
    return sample


def test_an_edit_that_changes_pictures_renders_all_frames_again_with_the_new_settings(world: World) -> None:
    job = world.submit(animation("1-5"))["id"]
    world.finish("one")
    world.finish("two")
    before = {name: stub.running.attempt for name, stub in world.workers.items() if stub.running}
    assert edit(world, job, settings={"samples": 16})["status"] == "queued"
    stop(world)
    world.run(1.0)
    assert {name: stub.running.attempt for name, stub in world.workers.items() if stub.running} != before
    assert samples_of(world, "one") == samples_of(world, "two") == 16
    assert sorted(world.finish_everything()) == [1, 2, 3, 4, 5]
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 5, 0)
    assert record["settings"]["samples"] == 16 and record["overwrite"]


def test_from_now_on_means_that_what_is_done_stays(world: World) -> None:
    job = world.submit(animation("1-5"))["id"]
    world.finish("one")
    world.finish("two")
    edit(world, job, settings={"samples": 16}, from_now_on=True)
    stop(world)
    assert sorted(world.finish_everything()) == [3, 4, 5]
    assert world.status(job) == "completed"


def test_an_edit_that_changes_no_picture_stops_nothing(world: World) -> None:
    job = world.submit(animation("1-3"))["id"]
    held = granted(world, "one"), granted(world, "two")
    answer = edit(world, job, name="better", project="film", priority=70, stall_minutes=5, settings={"threads": 2})
    assert answer["id"] == job and (granted(world, "one"), granted(world, "two")) == held
    record = world.ask("job", id=job)
    found = record["name"], record["project"], record["priority"], record["stall_minutes"], record["settings"]["threads"]
    assert found == ("better", "film", 70, 5, 2)
    assert sorted(world.finish_everything()) == [1, 2, 3]


def test_what_comes_of_an_attempt_at_the_revision_before_does_not_count(world: World) -> None:
    job = world.submit(animation("1-2"))["id"]
    world.cut.update(("one", "two"))
    edit(world, job, settings={"samples": 16})
    world.cut.clear()
    old = {name: stub.running.attempt for name, stub in world.workers.items() if stub.running}
    for name in old:
        world.finish_part(name)  # it had not heard yet that it is to stop
    world.run(0.3)
    assert world.ask("job", id=job)["completed_parts"] == 0
    stop(world)
    assert sorted(world.finish_everything()) == [1, 2]
    assert {row["attempt"] for row in world.ask("parts", job=job)}.isdisjoint(old.values())


@pytest.mark.parametrize("after", [True, False], ids=["killed after the edit", "killed while frames are queued again"])
def test_an_edit_survives_the_server(world: World, after: bool) -> None:
    world.sweep_size = 1
    world.start_server()
    job = world.submit(animation("1-4"))["id"]
    world.finish_everything()
    edit(world, job, settings={"resolution": 50})
    if after:
        world.start_server()
        assert world.server.farm.jobs[job].revision == 2
    assert sorted(world.finish_everything()) == [1, 2, 3, 4]
    world.start_server()
    record = world.ask("job", id=job)
    assert (record["settings"]["resolution"], record["revision"]) == (50, 2)
    assert [(each["revision"], each["said"]) for each in record["revisions"]] == [
        (1, ""),
        (2, "resolution as the file says → 50 %"),
    ]


def test_frames_that_are_added_are_rendered_and_what_is_done_stays(world: World) -> None:
    job = world.submit(animation("3-5"))["id"]
    world.finish("one")
    edit(world, job, settings={"frames": "1-7"})
    world.start_server()
    assert sorted(world.finish_everything()) == [1, 2, 4, 5, 6, 7]
    record = world.ask("job", id=job)
    assert (record["status"], record["part_count"], record["task_count"]) == ("completed", 7, 7)
    edit(world, job, settings={"frames": "1-9"})
    assert world.status(job) in ("queued", "active")
    assert sorted(world.finish_everything()) == [8, 9] and world.status(job) == "completed"
    assert sorted(row["frame"] for row in world.ask("parts", job=job)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"settings": {"frames": "1-9", "chunk": 4}, "tags": ["gpu"]}, {"film": "a.mp4"}, "--tag gpu --frames 1-9 --chunk 4`"),
    ({"settings": {"frames": "1-2", "format": "JPEG"}}, {}, "their files in another"),
    ({"settings": {"frames": ""}}, {}, "frame set is empty"),
    ({"settings": {"numbered": "1-9"}}, {}, "cannot be edited"),
    ({"settings": {"pattern": "x.####"}}, {"film": "shot.mp4"}, "files with other names"),
    ({"settings": {"format": "JPEG"}, "from_now_on": True}, {}, "leave --from-now-on out"),
    ({"settings": {"chunk": 2}}, {}, "--chunk 2` submits the job again with it"),
    ({"settings": {"sample": 2}}, {}, "did you mean 'samples'?"),
    ({"settings": {"samples": 0}}, {}, "it goes from 1 to"),
    ({"settings": {"camera": "none"}}, {}, "has no camera 'none'"),
    ({"name": " "}, {}, "name is empty"),
    ({"priority": 101}, {}, "is not a whole number from 0 to 100"),
    ({"limit_minutes": -1}, {}, "makes no sense"),
    ({"colour": 1}, {}, "A job cannot be edited so"),
    ({"priority": 50}, {}, "is so already: nothing is changed"),
    ({}, {}, "is so already: nothing is changed"),
]


def test_an_edit_that_cannot_be_is_refused_in_one_sentence_and_changes_nothing(world: World) -> None:
    for given, more, said in REFUSED:
        job = world.submit(animation("1-4", **more))["id"]
        before = world.ask("job", id=job)
        answer = edit(world, job, **given)
        assert isinstance(answer, Sorry) and said in answer.message, given
        assert world.ask("job", id=job) == before
        world.act("cancel", job)
        stop(world)


def test_a_job_that_has_ended_is_edited_where_that_makes_sense(world: World) -> None:
    job = world.submit(animation("1-2"))["id"]
    world.finish_everything()
    refused = edit(world, job, settings={"samples": 8}, from_now_on=True)
    assert isinstance(refused, Sorry) and "no frame of it is to come" in refused.message
    edit(world, job, name="done")
    assert world.status(job) == "completed" and job not in world.server.farm.jobs
    edit(world, job, settings={"samples": 8})
    assert sorted(world.finish_everything()) == [1, 2] and world.status(job) == "completed"
    world.act("requeue", job, "all")
    world.act("cancel", job)
    stop(world)
    refused = edit(world, job, settings={"frames": "1-3"})
    assert isinstance(refused, Sorry) and f"`brender requeue {job[:8]}`" in refused.message


def test_a_still_that_is_made_of_pieces_is_all_rendered_again_or_not_at_all(world: World) -> None:
    spec = animation("1")
    still = {"file": "/projects/shot.blend", "frame": 1, "pieces": 2, "split": "tiles"}
    job = world.submit(
        type(spec)(id=spec.id, name="still", job_type="blender-still", settings=still, output="/o", facts=spec.facts)
    )
    world.finish("one")
    refused = edit(world, job["id"], settings={"samples": 8}, from_now_on=True)
    assert isinstance(refused, Sorry) and "must be alike" in refused.message
    edit(world, job["id"], settings={"samples": 8})
    stop(world)
    assert len(world.finish_everything()) == 3 and world.status(job["id"]) == "completed"


def test_a_clone_has_what_the_first_has_but_for_what_is_said_otherwise_and_what_that_waits_for(world: World) -> None:
    first = animation("1-4", tags=("gpu",), priority=70, stall_minutes=5.0)
    world.submit(first)
    world.act("when", first.id, {"night": True})
    record = world.ask("job", id=first.id)
    spec = clone(record, new_id(), "anna", Edit(name="again", settings={"frames": "5-6"}))
    assert (spec.tags, spec.priority, spec.stall_minutes, spec.night) == (("gpu",), 70, 5.0, False)
    assert (spec.name, spec.user, spec.settings) == ("again", "anna", record["settings"] | {"frames": "5-6"})
    assert isinstance(world.submit(spec), Sorry), "the first writes to its folder"
    spec = msgspec.structs.replace(spec, output=free_folder(spec.output, lambda folder: folder.endswith("_2")))
    assert world.submit(spec)["output"] == f"{record['output']}_3"


@pytest.mark.parametrize(
    ("said", "change", "refine", "passes"),
    [
        ({}, {}, "doubling", 4),
        ({}, {"passes": 6}, "samples", 6),
        ({}, {"noise": 0.1}, "samples", 8),
        ({}, {"refine": "draft"}, "draft", 8),
        ({}, {"refine": "auto"}, "doubling", 4),
        ({}, {"refine": "samples", "passes": 6}, "samples", 6),
        ({}, {"engine": "eevee"}, "draft", 8),
        ({"noise": 0.1}, {"noise": 0.0}, "doubling", 4),
        ({"passes": 16}, {"noise": 0.1}, "samples", 16),
        ({"refine": "draft"}, {"until": "2099-01-01T08:00+00:00"}, "draft", 8),
    ],
)
def test_a_clone_of_a_progressive_job_shares_out_its_samples_as_a_new_job_would_but_for_what_was_said_of_that(
    world: World, said: dict[str, Any], change: dict[str, Any], refine: str, passes: int
) -> None:
    spec = animation("1-3")
    of_scene = facts(unshared="", samples=64)
    first = msgspec.structs.replace(spec, job_type="blender-progressive", settings=spec.settings | said, facts=of_scene)
    record = world.ask("job", id=world.submit(first)["id"])
    again = job_type(first.job_type).prepare(clone(record, new_id(), "ada", Edit(settings=change)))
    assert (again.settings["refine"], again.settings["passes"]) == (refine, passes)


def test_a_clone_of_a_script_that_names_another_script_has_not_the_text_of_the_first(world: World) -> None:
    settings = {"file": "/shared/shot.blend", "script": "first.py", "text": "print(1)"}
    spec = msgspec.structs.replace(animation("1-3"), job_type="script", settings=settings, trusted=True)
    record = world.ask("job", id=world.submit(spec)["id"])
    assert clone(record, new_id(), "ada", Edit(settings={"script": "other"})).settings["text"] is None
    assert clone(record, new_id(), "ada", Edit(settings={"frames": "1-2"})).settings["text"] == "print(1)"


def test_how_a_job_shares_the_farm_is_edited(world: World) -> None:
    """What runs goes on; what waits at a worker is given out again as the job is then."""
    job = world.submit(animation("1-9", chunk=1))["id"]
    assert edit(world, job, most_workers=1, cores=2, gpu_memory=0, pool="film")["status"] == "active"
    record = world.ask("job", id=job)
    assert record["sharing"] == {"most_workers": 1, "pool": "film", "cores": 2}
    said = record["revisions"][-1]["said"]
    assert said == "workers at a time any number → 1, pool none → film, cores a task none → 2"
    assert isinstance(edit(world, job, pool="film"), Sorry)
    assert isinstance(edit(world, job, licences=["nuke"]), Sorry), "the farm has none"
    edit(world, job, pool="", cores=0, most_workers=0)
    assert world.ask("job", id=job)["sharing"] == {}
    assert sorted(world.finish_everything()) == list(range(1, 10)) and world.server.dispatch.audit() == []


@pytest.mark.parametrize(("chunk", "restart"), [(0, False), (2, True)])
def test_frames_whose_files_get_other_names_are_all_made_again(world: World, chunk: int, restart: bool) -> None:
    world.sweep_size = 1
    world.start_server()
    job = world.submit(animation("1-6", chunk=chunk))["id"]
    world.run(3.0)
    world.finish_part("one")
    before = {part["output"] for part in world.ask("parts", job=job)}
    assert edit(world, job, settings={"pattern": "other.####", "format": "JPEG"})["status"] == "queued"
    if restart:
        world.start_server()
    stop(world)
    world.run(3.0)
    for stub in world.workers.values():
        for part in stub.running.parts if stub.running is not None else ():
            assert part.output == f"other.{part.frame:04}.jpg"
    assert sorted(set(world.finish_everything())) == [1, 2, 3, 4, 5, 6]
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 6, 0)
    after = {part["output"] for part in world.ask("parts", job=job)}
    assert after == {f"other.{frame:04}.jpg" for frame in range(1, 7)} and not before & after
    edit(world, job, settings={"pattern": "third.####"})
    world.run(1.0)
    assert world.status(job) in ("queued", "active")
    world.finish_everything()
    assert world.status(job) == "completed" and world.server.dispatch.audit() == []


def test_files_get_their_other_names_although_the_job_is_canceled_at_once_and_queued_again(world: World) -> None:
    job = edited_and_canceled(world, {"pattern": "other.####"})
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"]) == ("canceled", 0), "all was to be made again"
    world.act("requeue", job)
    world.run(3.0)
    assert sorted(set(world.finish_everything())) == [1, 2, 3, 4, 5, 6]
    assert {part["output"] for part in world.ask("parts", job=job)} == {f"other.{frame:04}.png" for frame in range(1, 7)}


def test_what_an_edit_makes_look_otherwise_is_rendered_again_although_the_job_is_canceled_at_once_and_queued_again(
    world: World,
) -> None:
    job = edited_and_canceled(world, {"samples": 7})
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"]) == ("canceled", 0), "all was to be rendered again"
    assert "requeue" not in [row["action"] for row in world.ask("activity")], "nothing of it is queued"
    world.act("requeue", job)
    world.run(3.0)
    assert sorted(set(world.finish_everything())) == [1, 2, 3, 4, 5, 6] and world.status(job) == "completed"
    assert world.server.dispatch.audit() == []


def test_files_get_no_other_names_where_other_things_are_made_of_them(world: World) -> None:
    first = world.submit(animation("1-3", output="/renders/same"))["id"]
    assert isinstance(edit(world, first, settings={"pattern": "x.####"}, from_now_on=True), Sorry)
    assert isinstance(edit(world, first, settings={"pattern": "x.####", "frames": "1-9"}), Sorry)
    world.submit(animation("1-3", output="/renders/same", pattern="y.####"))
    told = edit(world, first, settings={"pattern": "y.####"})
    assert isinstance(told, Sorry) and "writes the same files" in told.message
    assert world.ask("job", id=first)["revision"] == 1

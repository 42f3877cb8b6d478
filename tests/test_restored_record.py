"""A farm that goes on with an older record: what workers had finished since counts, and nothing is mixed up."""

from pathlib import Path

import pytest
from peewee import SqliteDatabase

from brender.model.errors import BadInput
from brender.store.backup import LEAP, leap
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.last_seen import check_age, note_seen
from brender.store.named import Record
from brender.store.writer import Writer
from tests.rows import put
from tests.world import World, animation


def _backup(world: World, to: Path) -> Path:
    target = SqliteDatabase(str(to))
    world.writer.database.connection().backup(target.connection())
    target.close()
    return to


def _restore(world: World, backup: Path) -> None:
    """Start the server again, with the record of *backup*."""
    leap(str(backup))
    world.writer = Writer(open_for_writing(str(backup)))
    world.record = Record(world.writer.tables, DataFolder(Path("no-folder")))
    world.start_server()
    world.cut.clear()
    world.run(world.policy.resend + 5)
    stub = world.workers["w"]
    if stub.running is not None and stub.running.attempt in stub.stopped:
        world.end("w", stopped=True)


def _farm(tmp_path: Path, frames: str = "1-4", **more: object) -> tuple[World, str, Path]:
    """A farm with one worker and a job, backed up before any of it was granted."""
    world = World()
    spec = animation(frames, **more)
    world.submit(spec)
    backup = _backup(world, tmp_path / "copy.db")
    world.add_worker("w")
    world.run(1)
    return world, spec.id, backup


def _parts(world: World, job: str) -> list[tuple[int, str]]:
    return [(row["frame"], row["status"]) for row in world.ask("parts", job=job)]


def test_frames_that_a_worker_finished_while_the_server_was_away_count_after_an_older_record_is_restored(tmp_path: Path) -> None:
    world, job, backup = _farm(tmp_path)
    world.cut.add("m")
    assert world.finish("w") == [1]
    _restore(world, backup)
    assert (1, "completed") in _parts(world, job)
    assert [row["outcome"] for row in world.ask("attempts", job=job) if row["outcome"] == "completed"] == ["completed"]
    assert any("restored record did not know" in row["text"] for row in world.ask("activity"))
    assert sorted(world.finish_everything()) == [2, 3, 4] and world.status(job) == "completed"


def test_of_a_chunk_that_was_cut_off_by_the_restore_what_was_done_counts_and_the_rest_is_rendered_again(tmp_path: Path) -> None:
    world, job, backup = _farm(tmp_path, chunk=4)
    world.cut.add("m")
    world.finish_part("w")
    world.finish_part("w")
    _restore(world, backup)
    assert [status for _, status in _parts(world, job)][:2] == ["completed"] * 2
    frames = world.finish_everything()
    assert sorted(frames) == [3, 4] and world.status(job) == "completed"


def test_what_a_worker_had_ended_before_an_older_record_is_restored_that_has_it_as_running_is_rendered_again(
    tmp_path: Path,
) -> None:
    world, job, _ = _farm(tmp_path, "1-3")
    backup = _backup(world, tmp_path / "later.db")
    assert sorted(world.finish_everything()) == [1, 2, 3]
    _restore(world, backup)
    assert "lost" in [row["outcome"] for row in world.ask("attempts", job=job)]
    assert sorted(world.finish_everything()) == [1, 2, 3] and world.status(job) == "completed"


def test_the_report_of_an_attempt_that_was_given_up_is_not_adopted(tmp_path: Path) -> None:
    world, job, _ = _farm(tmp_path)
    grant = world.workers["w"].running
    assert grant is not None
    world.cut.add("w")
    world.run(world.policy.lease * 3)
    world.finish("w")
    world.cut.clear()
    world.start_server()
    world.run(world.policy.resend + 5)
    assert (1, "completed") not in _parts(world, job)
    assert world.ask("attempts", job=job)[-1]["outcome"] != "completed"


def test_ids_and_commits_of_a_restored_record_are_none_that_were_given_before(tmp_path: Path) -> None:
    world, _, backup = _farm(tmp_path)
    before = world.writer.change, world.writer.last_id("task"), world.writer.last_id("part")
    _restore(world, backup)
    after = world.writer.change, world.writer.last_id("task"), world.writer.last_id("part")
    assert all(new >= old + LEAP // 2 for old, new in zip(before, after, strict=True))
    spec = animation("1-2")
    world.submit(spec)
    assert min(row["id"] for row in world.ask("parts", job=spec.id)) > LEAP
    assert len(world.finish_everything()) == 6


def test_a_record_that_is_older_than_the_server_saw_it_is_refused_with_the_remedy(folder: DataFolder, tmp_path: Path) -> None:
    where = str(folder.make().database)
    writer = Writer(open_for_writing(where))
    for name in ("a", "b", "c"):
        writer.commit([put("project", name, {})])
    check_age(folder, where, writer.change)
    note_seen(folder, where, writer.change, 0.0)
    check_age(folder, where, writer.change)
    check_age(folder, where, 0)  # a new farm
    check_age(folder, str(tmp_path / "other.db"), 1)  # another record
    with pytest.raises(BadInput, match=r"is older than the server last saw it: .*`brender restore BACKUP`.*--as-it-is`"):
        check_age(folder, where, writer.change - 1)
    writer.database.close()
    leap(where)
    check_age(folder, where, Writer(open_for_writing(where)).change)

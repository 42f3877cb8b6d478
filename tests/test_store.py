"""The record: written in one place, read in another, migrated, and never half."""

import re
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest
from playhouse.schema_diff import diff_models

from brender.model.errors import BadInput, BrenderError, Conflict, NotFound
from brender.model.frames import parse_frames
from brender.store import questions
from brender.store.database import IN_MEMORY, open_for_reading, open_for_writing, shown
from brender.store.datafolder import DataFolder
from brender.store.named import Record, node_id
from brender.store.questions import answer
from brender.store.reader import Reader
from brender.store.tables import make_tables
from brender.store.writer import Writer
from tests.rows import gone, new, put, update

JOB = {
    "project": "default",
    "name": "shot",
    "job_type": "command",
    "status": "queued",
    "priority": 50,
    "settings": {"command": ["true"], "frames": "1-2", "chunk": 1},
    "task_count": 2,
    "part_count": 2,
    "submitted": 1.0,
}


def filled(where: str) -> Writer:
    made = Writer(open_for_writing(where))
    made.commit([put("project", "default", {}), new("job", "a" * 16, JOB)])
    return made


@pytest.fixture
def writer(database: str) -> Iterator[Writer]:
    """A record with one job, on each kind of database."""
    made = filled(database)
    yield made
    made.database.close()


@pytest.fixture
def sqlite_writer(tmp_path: Path) -> Iterator[Writer]:
    made = filled(str(tmp_path / "farm.db"))
    yield made
    made.database.close()


def test_the_migrations_make_just_the_tables_that_the_code_has(writer: Writer) -> None:
    assert not diff_models(writer.database, list(writer.tables.by_kind.values()))


def test_every_touched_row_carries_the_number_of_its_commit(writer: Writer) -> None:
    first = writer.change
    second = writer.commit([update("job", "a" * 16, {"status": "active"})])
    assert (second, writer.tables.Job.get().change) == (first + 1, first + 1)


def test_new_rows_come_before_what_points_at_them_and_before_updates_whatever_their_order(writer: Writer) -> None:
    part = {"job": "b" * 16, "task": 1, "frame": 1, "status": "queued"}
    job = {"project": "default", "name": "b", "job_type": "command", "status": "queued", "priority": 50, "settings": {},
           "task_count": 1, "part_count": 1, "submitted": 1.0}  # fmt: skip
    writer.commit(
        [
            update("task", 1, {"status": "active", "reason": "late"}),
            new("part", 1, part),
            new("task", 1, {"job": "b" * 16, "number": 0, "status": "queued"}),
            new("job", "b" * 16, job),
        ]
    )
    task = writer.tables.Task.get()
    assert (task.status, task.reason, task.failures) == ("active", "late", 0)
    assert writer.tables.Part.get().task_id == 1


def test_what_is_deleted_and_put_again_in_one_commit_is_there_as_new(writer: Writer) -> None:
    writer.commit([put("preset", "fast", {"job_type": "command", "settings": {}, "user": "anna"})])
    writer.commit([put("preset", "fast", {"job_type": "command", "settings": {"a": 1}}), gone("preset", "fast")])
    preset = writer.tables.Preset.get()
    assert (preset.settings, preset.user) == ({"a": 1}, "")


def test_a_put_over_a_row_keeps_what_it_does_not_name(writer: Writer) -> None:
    writer.commit([update("project", "default", {"root": "/mnt"})])
    writer.commit([put("project", "default", {"keep_days": 7.0})])
    project = writer.tables.Project.get()
    assert (project.root, project.keep_days) == ("/mnt", 7.0)


def test_a_commit_that_fails_writes_nothing(writer: Writer) -> None:
    before = writer.change
    with pytest.raises(peewee.IntegrityError):
        writer.commit(
            [update("job", "a" * 16, {"status": "active"}), new("task", 1, {"job": "nobody", "number": 0, "status": "x"})]
        )
    assert (writer.tables.Job.get().status, writer.change) == ("queued", before)


def test_a_column_that_does_not_exist_is_a_loud_error(writer: Writer) -> None:
    with pytest.raises(ValueError, match="the table job has no column colour"):
        writer.commit([update("job", "a" * 16, {"colour": "red"})])


def test_a_reader_sees_the_record_and_cannot_write(writer: Writer, database: str) -> None:
    reader = open_for_reading(database)
    tables = make_tables(reader)
    assert tables.Job.get().settings == JOB["settings"]
    with pytest.raises((peewee.OperationalError, peewee.InternalError), match=r"read-?only"):
        tables.Job.update(name="other").execute()
    reader.close()


def test_reading_never_hinders_writing(writer: Writer, database: str) -> None:
    reader = open_for_reading(database)
    with reader.atomic():
        assert make_tables(reader).Job.get().status == "queued"
        writer.commit([update("job", "a" * 16, {"status": "active"})])
    assert make_tables(reader).Job.get().status == "active"
    reader.close()


def test_texts_and_numbers_at_their_limits_are_kept(writer: Writer) -> None:
    hostile = "a\0b\x1b[31m\u2028😀'\"%s?"
    writer.commit([update("job", "a" * 16, {"reason": hostile, "settings": {"x": hostile}, "priority": 2**31 - 1})])
    job = writer.tables.Job.get()
    assert (job.reason, job.settings) == (hostile.replace("\0", "\ufffd"), {"x": hostile})
    writer.commit([new("task", 2**53, {"job": "a" * 16, "number": 0, "status": "queued"})])
    assert writer.tables.Task.get().id == 2**53


def test_sqlite_is_used_with_wal_full_and_foreign_keys(sqlite_writer: Writer) -> None:
    pragma = sqlite_writer.database.pragma
    assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)


def test_a_database_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_for_writing(IN_MEMORY).close()
    assert not list(tmp_path.iterdir())


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "farm.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(BrenderError, match="is damaged"):
        open_for_writing(str(path))
    assert path.read_bytes().startswith(b"this is not a database")


def test_a_damaged_database_is_refused(sqlite_writer: Writer, tmp_path: Path) -> None:
    sqlite_writer.commit([new("task", n, {"job": "a" * 16, "number": n, "status": "queued"}) for n in range(2000)])
    sqlite_writer.database.close()
    path = tmp_path / "farm.db"
    raw = bytearray(path.read_bytes())
    raw[8192:40960] = b"\x5a" * (40960 - 8192)
    path.write_bytes(raw)
    with pytest.raises(BrenderError, match="is damaged"):
        open_for_writing(str(path))


@pytest.mark.parametrize(
    ("frames", "meant"),
    [
        ("1-10:3", (1, 4, 7, 10, 3, 5, 9, 2, 6, 8)),
        ("10-1x-2", (10, 8, 6, 4, 2)),
        ("1 10", (110,)),
        ("1-5 8,-3", (*range(1, 59), -3)),
    ],
)
def test_a_frame_set_of_before_that_means_something_else_now_is_written_out_in_its_order(
    writer: Writer, database: str, frames: str, meant: tuple[int, ...]
) -> None:
    old = {"file": "/a:b/shot.blend", "frames": frames, "pattern": "x"}
    writer.commit([update("job", "a" * 16, {"settings": old})])
    writer.database.execute_sql("DELETE FROM schema_migration WHERE name = '0009_frame_sets'")
    writer.database.close()
    again = open_for_writing(database)
    settings = make_tables(again).Job.get().settings
    again.close()
    assert parse_frames(settings["frames"]) == meant
    assert settings == old | {"frames": settings["frames"]}


@pytest.mark.parametrize("frames", ["1-10x2, 12", "1-10y3", "nonsense"])
def test_a_frame_set_of_before_that_means_the_same_stays_as_it_was_written(writer: Writer, database: str, frames: str) -> None:
    writer.commit([update("job", "a" * 16, {"settings": {"frames": frames}})])
    writer.database.execute_sql("DELETE FROM schema_migration WHERE name = '0009_frame_sets'")
    writer.database.close()
    again = open_for_writing(database)
    assert make_tables(again).Job.get().settings == {"frames": frames}
    again.close()


def test_frames_that_a_job_of_before_kept_are_known_by_the_time_that_they_took(writer: Writer, database: str) -> None:
    done = {"job": "a" * 16, "task": 1, "frame": 1, "status": "completed"}
    writer.commit(
        [
            update("job", "a" * 16, {"kept_parts": 1}),
            new("task", 1, {"job": "a" * 16, "number": 0, "status": "completed"}),
            new("part", 1, {**done, "seconds": 0.0}),
            new("part", 2, {**done, "seconds": 0.1}),
        ]
    )
    writer.database.execute_sql("ALTER TABLE part DROP COLUMN kept")
    writer.database.execute_sql("DELETE FROM schema_migration WHERE name = '0010_kept_frames'")
    writer.database.close()
    again = open_for_writing(database)
    part = make_tables(again).Part
    kept = dict(part.select(part.id, part.kept).tuples())
    again.close()
    assert kept == {1: True, 2: False}


def test_a_database_of_a_newer_brender_is_refused(writer: Writer, database: str) -> None:
    writer.database.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    with pytest.raises(BadInput, match="newer brender"):
        open_for_writing(database)


def test_there_is_nothing_to_read_before_the_server_was_started(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no farm database"), Reader(DataFolder(tmp_path)).record():
        pass


def test_several_read_at_once_and_leave_nothing_open(writer: Writer, database: str) -> None:
    reader = Reader(DataFolder(Path(database).parent), database)
    with reader.record() as one, reader.record() as other:
        assert questions.change(one) == questions.change(other) and one.tables is not other.tables
    assert all(each.tables.Job._meta.database.is_closed() for each in (one, other))
    with reader.record() as again:
        assert again.tables in (one.tables, other.tables), "table classes are made again for each request"


@pytest.mark.parametrize(
    ("question", "arguments", "said"),
    [
        ("nonsense", {}, "no question 'nonsense'"),
        ("job", {"id": 5}, "takes no id=5"),
        ("job", {"record": "x"}, "takes no record"),
        ("job", {}, "cannot be asked so"),
        ("jobs", {"limit": True}, "takes no limit=True"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    writer: Writer, tmp_path: Path, question: str, arguments: dict, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        answer(Record(writer.tables, DataFolder(tmp_path)), question, arguments)


def test_a_job_is_found_by_the_start_of_its_id_or_by_its_name(writer: Writer, tmp_path: Path) -> None:
    record = Record(writer.tables, DataFolder(tmp_path))
    assert answer(record, "job", {"id": "aaa"})["id"] == answer(record, "job", {"id": "shot"})["id"] == "a" * 16
    writer.commit([new("job", "aaab" + "0" * 12, JOB)])
    with pytest.raises(BadInput, match="'aaa' means 2 jobs"):
        answer(record, "job", {"id": "aaa"})
    with pytest.raises(BadInput) as raised:
        answer(record, "job", {"id": "shot"})
    first, *candidates = str(raised.value).splitlines()
    assert first == "'shot' means 2 jobs. Write the id of one, such as aaaaaaaa, instead:"
    one_a_line = [rf"  {id}  shot  \w+ +submitted [-0-9]{{10}} [:0-9]{{8}}" for id in ("aaaaaaaa", "aaab0000")]
    assert all(re.fullmatch(says, line) for says, line in zip(one_a_line, candidates, strict=True))
    assert answer(record, "job", {"id": "aaab0000"})["id"] == "aaab" + "0" * 12
    with pytest.raises(NotFound, match="no job 'zzz'"):
        answer(record, "job", {"id": "zzz"})
    writer.commit([new("job", "c" * 16, JOB | {"name": "aaab"}), new("job", "d" * 16, JOB | {"name": "aaab0000"})])
    with pytest.raises(BadInput, match=r"'aaab' means 2 jobs(?s:.*)cccccccc  aaab "):
        answer(record, "job", {"id": "aaab"})
    assert answer(record, "job", {"id": "aaab0000"})["id"] == "aaab" + "0" * 12


def test_the_log_of_a_failed_job_is_that_of_an_attempt_that_failed(writer: Writer, tmp_path: Path) -> None:
    tried = {"job": "a" * 16, "task": 1, "worker": "b" * 16, "manager": "m" * 16, "finished": 9.0}
    node = {"incarnation": 1, "name": "w1", "status": "idle", "last_seen": 1.0}
    writer.commit(
        [
            put("manager", "m" * 16, node),
            put("worker", "b" * 16, node | {"manager": "m" * 16}),
            new("task", 1, {"job": "a" * 16, "number": 0, "status": "failed"}),
            new("attempt", "e" * 16, {**tried, "granted": 1.0, "outcome": "failed", "reason": "no camera"}),
            new("attempt", "f" * 16, {**tried, "granted": 2.0, "outcome": "canceled", "reason": "stopped"}),
        ]
    )
    record = Record(writer.tables, DataFolder(tmp_path))
    assert answer(record, "log", {"job": "aaa"})["attempt"]["outcome"] == "canceled"
    writer.commit([update("job", "a" * 16, {"status": "failed"})])
    assert answer(record, "log", {"job": "aaa"})["attempt"]["outcome"] == "failed"


def test_a_forgotten_node_is_meant_only_where_no_other_is_called_so(writer: Writer, tmp_path: Path) -> None:
    record = Record(writer.tables, DataFolder(tmp_path))
    for id, wanted in (("b" * 16, "forgotten"), ("c" * 16, "")):
        fields = {"incarnation": 1, "name": "again", "status": "offline", "wanted": wanted, "last_seen": 1.0}
        writer.commit([put("manager", id, fields)])
    assert node_id(record, "again") == ("manager", "c" * 16, "again")
    assert node_id(record, "bbb") == ("manager", "b" * 16, "again")


def test_one_data_folder_has_one_server(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    lock = folder.lock("server")
    assert folder.is_locked("server")
    with pytest.raises(Conflict, match="already uses the data folder"):
        DataFolder(tmp_path).lock("server")
    lock.release()
    assert not folder.is_locked("server")


def test_what_a_role_announced_counts_only_while_it_runs(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.announce("server", control="127.0.0.1:1")
    assert folder.announced("server") is None
    lock = folder.lock("server")
    assert (folder.announced("server") or {})["control"] == "127.0.0.1:1"
    lock.release()


def test_a_data_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be used"):
        DataFolder(tmp_path / "file" / "data").make()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("/data/farm.db", "/data/farm.db"),
        ("postgresql://host/farm", "postgresql://host/farm"),
        ("postgresql://a%40b:sesame@host:1/farm", "postgresql://a%40b@host:1/farm"),
        ("postgresql://a@host/farm?password=sesame", "postgresql://a@host/farm"),
        ("postgresql://a@host/farm?sslmode=require&pass%77ord=ses@me&x=1", "postgresql://a@host/farm?sslmode=require&x=1"),
        ("postgresql://a@host/farm?sslpassword=sesame&x=1", "postgresql://a@host/farm?x=1"),
        ("postgresql://a:se?s@me@host/farm", "postgresql://a@host/farm"),
    ],
)
def test_no_password_of_a_database_is_shown(where: str, expected: str) -> None:
    assert shown(where) == expected

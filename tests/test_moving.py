"""The record moves between SQLite and PostgreSQL, both ways, and is the same there; or nothing is changed."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from brender.store.copying import copy_rows
from brender.store.database import open_for_reading, open_for_writing
from brender.store.moving import move
from brender.store.tables import Tables, make_tables
from brender.store.writer import Writer
from tests.conftest import PostgreSQL
from tests.rows import new, put
from tests.test_older_records import RECORDS
from tests.test_store import JOB
from tests.tools import command

pytestmark = pytest.mark.thorough


def _fill(where: str) -> None:
    """Make a record with what the two databases keep differently: booleans, floats, no values, texts, large numbers."""
    writer = Writer(open_for_writing(where))
    texts = ["plain", "", "Größe 日本 \U0001f4a1", "two\nlines", "quote ' \" \\"]
    writer.commit(
        [
            *(put("project", text or "empty", {"root": text, "keep_days": 1.25, "keep_bytes": 2**52}) for text in texts),
            new("job", "a" * 16, JOB | {"project": "plain", "trusted": True, "started": None, "finished": 1.5e9 + 0.125}),
            new("task", 2**40, {"job": "a" * 16, "number": 0, "status": "queued"}),
            *(
                new(
                    "part",
                    number,
                    {"job": "a" * 16, "task": 2**40, "frame": -number, "status": "queued", "kept": number % 2 > 0},
                )
                for number in range(1, 2501)
            ),
        ]
    )
    writer.database.close()


@pytest.mark.parametrize("way", [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite")])
def test_a_record_moves_and_is_the_same_there(
    way: tuple[str, str], postgresql: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"sqlite": lambda name: str(tmp_path / name), "postgresql": lambda name: postgresql.new_database()}
    source, target = places[way[0]]("from.db"), places[way[1]]("to.db")
    _fill(source)
    said = command(capsys, "database", "move", source, target)
    assert said.code == 0 and f"rows of {len(fields(Tables))} tables moved" in said.out and "the same in both" in said.out
    assert _content(target) == _content(source)
    writer = Writer(open_for_writing(target))
    writer.commit([put("project", "after", {})])
    writer.database.close()


def _content(where: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the code, as the ORM reads it."""
    database = open_for_reading(where)
    with database.connection_context():
        return {
            kind: sorted((tuple(row) for row in model.select().tuples()), key=repr)
            for kind, model in make_tables(database).by_kind.items()
        }


def test_a_record_of_an_earlier_brender_moves_as_it_is_and_is_migrated_there(postgresql: PostgreSQL, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript(RECORDS[0].read_text("utf-8"))
    target = postgresql.new_database()
    move(str(tmp_path / "old.db"), target)
    move(target, str(tmp_path / "back.db"))
    open_for_writing(str(tmp_path / "old.db")).close()
    for each in (target, str(tmp_path / "back.db")):
        open_for_writing(each).close()
        assert _content(each) == _content(str(tmp_path / "old.db"))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[str]:
    _fill(str(tmp_path / "farm.db"))
    before = hashlib.sha256((tmp_path / "farm.db").read_bytes()).digest()
    yield str(tmp_path / "farm.db")
    assert hashlib.sha256((tmp_path / "farm.db").read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "postgresql://nobody@127.0.0.1:1/farm",
            "The database postgresql://nobody@127.0.0.1:1/farm does not answer: connection failed",
        ),
        ("mysql://host/farm", "is not a database that brender knows"),
        ("postgresql://nobody:ses?ame@host/farm", "postgresql://nobody@host/farm is not a URL of a database"),
        ("{folder}/taken.db", "exists already"),
        ("{folder}/none/farm.db", "There is no folder"),
        ("{folder}/farm.db", "is where the record is already"),
    ],
)
def test_what_cannot_be_moved_to_is_one_sentence(
    target: str, says: str, record: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken.db").touch()
    said = command(capsys, "database", "move", record, target.format(folder=tmp_path))
    assert said.code == 2 and says in said.err and len(said.err.strip().splitlines()) == 1


def test_a_wrong_password_is_one_sentence_that_does_not_say_it(
    record: str, postgresql: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql.url.replace("postgres@", "nobody:sesame@")
    said = command(capsys, "database", "move", record, f"{url}farm")
    assert said.code == 2 and len(said.err.strip().splitlines()) == 1
    assert 'role "nobody" does not exist' in said.err and "sesame" not in said.err


def test_after_a_move_the_command_to_start_with_asks_for_the_password_and_does_not_show_it(
    record: str, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, "database", "move", record, f"{postgresql.new_database()}?password=sesame")
    assert said.code == 0 and "sesame" not in said.out
    assert "(with its password, which is not shown here)" in " ".join(said.out.split())


def test_a_database_that_is_not_empty_is_not_moved_to(
    record: str, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    target = postgresql.new_database()
    _fill(target)
    before = _content(target)
    said = command(capsys, "database", "move", record, target)
    assert said.code == 2 and "is not empty: it has the tables account" in said.err and _content(target) == before


def test_a_move_that_fails_on_its_way_leaves_the_target_empty(
    record: str, postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(*words: object) -> None:
        copy_rows(*words)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brender.store.moving.copy_rows", cut)
    url = postgresql.new_database()
    for target in (url, str(tmp_path / "to.db")):
        said = command(capsys, "database", "move", record, target)
        assert said.code == 2 and "No space left on device" in said.err
    opened = open_for_reading(url)
    with opened.connection_context():
        assert opened.get_tables() == [] and not list(tmp_path.glob("to.db*"))


def test_nothing_is_moved_from_under_a_running_server(
    database: str, postgresql: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _fill(database)
    target = postgresql.new_database()
    opens = "import sys; from brender.store.database import *; x = open_for_writing(sys.argv[1]); print(flush=True); input()"
    words = [sys.executable, "-c", opens, database]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None and serving.stdout.readline()
        said = command(capsys, "database", "move", database, target)
        assert said.code == 2 and "A server uses" in said.err and "Stop it first" in said.err
        serving.kill()
    assert command(capsys, "database", "move", database, target).code == 0

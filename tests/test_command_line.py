"""What commands say and refuse: people, projects, lists that stop, hostile names, completion, nobody at the other end."""

import io
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.security import check_password_hash

from brender.api import connection as api
from brender.api.place import user
from brender.bus.address import free_ports
from brender.bus.client import Client
from brender.commands import completion, paging, submit
from brender.commands.joining import join_as_client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.main import brender
from brender.commands.options import client
from brender.commands.output import line
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import make_tables
from tests.tools import Said, command, invite, let_commands_ask, submit_command

#: Names that a terminal would obey, that read backwards, that end a line, and that are as long as names may be.
HOSTILE = ["a\x1b[2J\x1b]0;x\x07b", "a\u202eb\u2066c", "two\nlines\r", "<script>[red]x[/red]", "é" * 255]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a farm without workers and page."""
    folder = DataFolder(tmp_path_factory.mktemp("quiet"))
    with LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)):
        yield folder.root


@pytest.fixture
def connection(quiet: Path) -> Iterator[Client]:
    with client(None, quiet) as found:
        yield found


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def password_hash(quiet: Path, name: str) -> str:
    database = open_for_reading(str(DataFolder(quiet).database))
    with database:
        return str(make_tables(database).User.get_by_id(name).password)


def test_users_are_managed_from_the_terminal_and_a_lost_password_is_replaced(
    quiet: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("--data", quiet)
    assert "`brender user add NAME --role admin`" in command(capsys, "user", "list", *here).out
    typed(monkeypatch, "correct horse\n")
    assert command(capsys, "user", "add", "anna", "--role", "admin", *here).out == "anna may sign in, as an admin\n"
    typed(monkeypatch, "battery staple\n")
    assert command(capsys, "user", "password", "anna", *here).code == 0
    assert check_password_hash(password_hash(quiet, "anna"), "battery staple")
    typed(monkeypatch, "short\n")
    assert "at least 8 characters" in command(capsys, "user", "password", "anna", *here).err
    typed(monkeypatch, "correct horse\n")
    assert "`brender user list` lists them" in command(capsys, "user", "password", "nobody", *here).err
    assert "only admin" in command(capsys, "user", "role", "anna", "viewer", *here).err
    (row,) = json.loads(command(capsys, "user", "list", "--json", *here).out)
    assert (row["name"], row["role"]) == ("anna", "admin") and "password" not in row
    done = [row for row in json.loads(command(capsys, "activity", "--json", *here).out) if row["action"] == "user"]
    assert {row["user"] for row in done} == {user()} and any(row["text"].startswith("the user anna is an admin") for row in done)


def test_the_activity_says_who_changed_tokens_keys_paths_and_projects(quiet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--data", quiet)
    with client(None, quiet) as connection:
        before = connection.ask("count", of="activity")
        token = connection.manage("create-token", role="worker", uses=1, expires="1h", name="")
        connection.manage("revoke-token", token=token["id"])
        connection.manage("set-path", name="store", platform="linux", path="/mnt/store", site="")
        connection.manage("unset-path", name="store")
        connection.manage("set-project", name="whose", keep_days=3)
        rows = connection.ask("activity", limit=connection.ask("count", of="activity") - before)
    assert len(rows) == 5 and {row["user"] for row in rows} == {user()}
    assert user() in command(capsys, "activity", "--limit", "1", *here).out


def test_tokens_of_programs_are_made_listed_and_revoked(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--data", quiet)
    connection.manage("set-user", name="otto", role="artist", password="x", new=True)
    made = json.loads(command(capsys, "api-token", "make", "nightly", "--user", "otto", "--json", *here).out)
    assert made["token"].startswith("brender_")
    listed = command(capsys, "api-token", "list", *here).out
    assert made["id"] in listed and made["token"] not in listed
    assert command(capsys, "api-token", "revoke", made["id"], *here).code == 0
    assert made["id"] not in command(capsys, "api-token", "list", *here).out
    assert "There is no user 'nobody'" in command(capsys, "api-token", "make", "x", "--user", "nobody", *here).err
    connection.manage("remove-user", name="otto")


def test_submit_says_why_the_job_waits(quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "submit", "--data", quiet, "--type", "command", "--name", "waits", "--", "true")
    assert said.code == 0 and "It waits. No " in said.err and "start" in said.err.lower()
    connection.act("cancel", "waits")


@pytest.mark.parametrize("words", [("user", "list"), ("key", "list")])
def test_a_client_s_key_is_refused_by_its_name(
    quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    join_as_client(DataFolder(tmp_path), invite("client", quiet), "carl")
    said = command(capsys, *words, "--data", tmp_path)
    assert said.code != 0 and "A client's key, such as this machine's, may not see " in said.err
    assert "an admin's key may" in said.err and "running" not in said.err


def test_a_project_with_a_name_like_another_s_is_made_only_when_that_is_meant(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def submitted(*words: str) -> Said:
        return command(capsys, "submit", "--data", quiet, *words, "--paused", "--type", "command", "--", "true")

    connection.manage("set-project", name="film")
    typed(monkeypatch, "")
    said = submitted("--project", "fiml")
    assert said.code == 2 and "there is film: did you mean it? --new-project makes fiml" in said.err
    assert submitted("--project", "other").code == 0, "nothing is like it"
    assert submitted("--project", "Film", "--new-project").code == 0
    assert [row["name"] for row in connection.ask("projects")].count("Film") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("key", "list"), "The first 3 keys: there may be more"),
        (("token", "list", "--json"), "The first 3 tokens: there may be more"),
        (("project", "list"), "The first 3 projects: there may be more"),
        (("user", "list"), "The first 3 users: there may be more"),
        (("managers",), "The first 3 managers: there may be more"),
    ],
)
def test_lists_that_one_answer_cuts_off_say_so(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Anything(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return "" if name in ("name", "root", "id", "role", "user", "node", "email", "status", "reason") else 0

    many = [Anything(revoked=None) for _ in range(3)]
    monkeypatch.setattr(paging, "PAGE", 3)
    let_commands_ask(lambda asked: {"keys": many, "tokens": many} if getattr(asked, "what", "") == "keys" else many, monkeypatch)
    assert said in command(capsys, *words).err
    many.pop()
    assert command(capsys, *words).err == ""


def test_lists_say_where_they_stop_and_json_has_all(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        submit_command(connection, "true", name=f"cut {number}", frames="1-5", paused=True)
    total = connection.ask("count", of="jobs")
    monkeypatch.setattr(paging, "SHOWN", 2)
    here = ("--data", quiet)
    said = command(capsys, "jobs", *here)
    assert (
        said.err == f"2 of {total} jobs are listed. More, or others: --all, --limit, --status, --user, --project\n"
        and "cut 2" in said.out
    )
    assert len(json.loads(command(capsys, "jobs", "--json", *here).out)) == total
    assert command(capsys, "jobs", "--all", *here).err == ""
    cut = command(capsys, "jobs", "--json", "--limit", "1", *here)
    assert len(json.loads(cut.out)) == 1 and f"1 of {total} jobs" in cut.err
    assert command(capsys, "tasks", "cut 1", *here).err == "2 of 5 tasks are listed. More, or others: --all, --limit\n"
    assert " entries are listed. More, or others: --all, --limit, --job" in command(capsys, "activity", "--limit", "1", *here).err
    monkeypatch.setattr(api, "PAGE", 2)
    assert len(api.asked(connection, "jobs", None, "id")) == total, "page by page"


def test_a_log_says_that_its_end_is_printed(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = {"id": "aa" * 8, "job": "x", "worker_name": "w", "outcome": "live", "reason": ""}
    answer = {
        "id": "aa" * 8,
        "attempt": attempt,
        "text": "the end",
        "size": 3_000_000,
        "path": "/data/logs/x",
        "job_type": "command",
    }
    monkeypatch.setattr(Client, "ask", lambda *given, **named: answer)
    said = command(capsys, "log", "aa" * 8, "--data", quiet)
    assert "This is the log's end, 262.1 kB of 3.0 MB. All of it, on the server: /data/logs/x" in said.err


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_do_nothing_to_a_terminal(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    job = submit_command(connection, "true", name=name, project=name, paused=True)
    here = ("--data", quiet)
    for words in (("jobs",), ("job", job), ("activity",), ("project", "list"), ("cancel", job), ("cancel", name)):
        said = command(capsys, *words, *here)
        assert all(character.isprintable() or character == "\n" for character in said.out + said.err), words
        assert not any(each.startswith("lines") for each in said.out.splitlines()), "a name is on one line"
    assert line(name) in command(capsys, "job", job, *here).out


@settings(max_examples=50)
@given(st.text(max_size=20))
def test_a_line_is_one_line_of_characters_that_are_seen(text: str) -> None:
    assert line(text).isprintable() and len(line(text)) == len(text)


def test_a_machine_that_joined_a_farm_does_not_look_for_the_frames_that_it_waits_for(
    quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    join_as_client(DataFolder(tmp_path), invite("client", quiet), "anna")
    looked = []

    def ended(connection: Client, job: str, *given: object, **more: object) -> dict[str, Any]:
        return connection.ask("job", id=job) | {"status": "completed"}

    monkeypatch.setattr(submit, "wait_for_frames", lambda *given, **more: looked.append(given) or ended(*given))
    monkeypatch.setattr(submit, "wait_for", ended)
    words = ("submit", "--type", "command", "--paused", "--wait")
    assert command(capsys, *words, "--data", tmp_path, "--", "true").code == 0 and not looked
    assert command(capsys, *words, "--data", quiet, "--", "true").code == 0 and looked


def test_the_shell_completes_jobs_projects_and_users(quiet: Path, connection: Client) -> None:
    job = submit_command(connection, "true", name="shot_7", project="movie", paused=True)
    context = click.Context(brender)
    context.params = {"data": quiet, "server": None}
    parameter = click.Option(["--x"])

    def completed(complete: completion.Complete, incomplete: str) -> list[str]:
        return [item.value for item in complete(context, parameter, incomplete)]

    assert completed(completion.complete_job, "shot_") == ["shot_7"]
    assert completed(completion.complete_job, job[:6]) == [job[:8]]
    twice = {submit_command(connection, "true", name="shot_8", paused=True)[:8] for _ in range(2)}
    assert set(completed(completion.complete_job, "shot_8")) == twice, "the name would mean both"
    assert completed(completion.complete_project, "mov") == ["movie"]
    assert completed(completion.complete_worker, "") == []


def test_completion_never_waits_long_nor_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = click.Context(brender)
    context.params = {"data": tmp_path, "server": "somewhere"}
    monkeypatch.setattr(completion, "_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(completion, "client", lambda *given: time.sleep(2))
    began = time.monotonic()
    assert completion.complete_job(context, click.Option(["--x"]), "") == []
    assert time.monotonic() - began < 1


def test_where_nobody_listens_an_answer_comes_at_once(quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    said = command(capsys, "jobs", "--data", quiet, "--server", f"127.0.0.1:{free_ports(1)}")
    assert said.code == 4 and "Nothing listens at 127.0.0.1:" in said.err
    assert "There is no farm in" in command(capsys, "jobs", "--data", tmp_path).err
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("render", "x.blend", "--workers", "0"), "--workers 0 renders nothing: give 1 or more"),
        (("render", "x.blend", "--output", ""), "'--output': it is empty. Name a path, or leave it out"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_a_sentence(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert said in command(capsys, *words).err


def test_nothing_is_deleted_where_nobody_can_be_asked(
    quiet: Path, connection: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit_command(connection, "true", name="kept", paused=True)
    connection.act("cancel", job)
    typed(monkeypatch, "")
    assert "There is no terminal to ask on" in command(capsys, "delete", job, "--data", quiet).err
    assert command(capsys, "delete", job, "--yes", "--data", quiet).code == 0


def test_a_farm_whose_ports_are_taken_advises_an_option_that_it_has(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "in use. Stop it, or choose other ports with --port-base"
    monkeypatch.setattr("brender.commands.children.Children.last_words", lambda *given: said)
    monkeypatch.setattr("brender.commands.children.Children.start", lambda *given: _Ended())
    told = command(capsys, "farm", "--workers", "0", "--data", tmp_path).err
    assert "use any that are free with --any-ports" in told and "--port-base" not in told


class _Ended:
    """A child that has ended."""

    name = "server"

    @property
    def process(self) -> "_Ended":
        return self

    pid = 0

    def poll(self) -> int:
        return 1


def test_the_last_use_of_a_token_is_told_to_the_hour_as_it_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 11, 27, 18, 30, 5).timestamp()
    row = {"id": "ab", "name": "render-bot", "user": "ada", "created": at, "used": at, "expires": None}
    let_commands_ask(lambda asked: [row], monkeypatch)
    cells = command(capsys, "api-token", "list").out.splitlines()[1]
    assert "2026-11-27 18 h" in cells and cells.count("18:30:05") == 1


def test_the_word_help_prints_what_the_option_does() -> None:
    runner = CliRunner()
    for words in ((), ("render",), ("role", "server")):
        said = runner.invoke(brender, ["help", *words])
        usual = runner.invoke(brender, [*words, "--help"]).output  # (before it, the word that a render begins with)
        assert said.exit_code == 0 and said.output.startswith("Usage: ") and usual.endswith(said.output)
    assert "There is no command 'nothing'" in runner.invoke(brender, ["help", "nothing"]).output


def test_no_command_s_line_in_a_help_of_80_columns_is_cut() -> None:
    runner = CliRunner()

    def cut(group: click.Group, words: tuple[str, ...]) -> list[str]:
        lines = runner.invoke(brender, [*words, "--help"], terminal_width=80).output.splitlines()
        found = [line for line in lines if line.endswith("...") and not line.startswith("Usage")]
        context = click.Context(group)
        below = ((name, group.get_command(context, name)) for name in group.list_commands(context))
        return found + [each for name, one in below if isinstance(one, click.Group) for each in cut(one, (*words, name))]

    assert cut(brender, ()) == [], "give the command a short_help"

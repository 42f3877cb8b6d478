"""A whole farm whose record is in PostgreSQL: rendering, pages, backups; and chaos, in which PostgreSQL is killed too."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brender.commands.farm import make_demo
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.errors import BadInput
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader
from dashboard.pulse import SILENT_SECONDS, sentence
from tests.conftest import PostgreSQL
from tests.tools import command, ended, invite, line_of, pid_of, process, until
from tests.web import with_token

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]


def test_a_farm_renders_shows_and_keeps_its_work_with_its_record_in_postgresql(
    postgresql: PostgreSQL,
    folder: DataFolder,
    bpy: Blender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = postgresql.new_database()
    monkeypatch.setenv("BRENDER_DATABASE", url)
    blend = make_demo(tmp_path / "demo.blend", (bpy.path,))
    at = ("--data", folder.root)
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, blenders=(bpy.path,))) as farm:
        words = ("--frames", "1-3", "--samples", "1", "--resolution", "10", "--output", tmp_path / "frames")
        assert command(capsys, "submit", blend, *words, *at).code == 0
        with client(None, folder.root) as connection:
            (job,) = connection.ask("jobs")
            assert ended(connection, job["id"])["status"] == "completed"
        assert "completed" in command(capsys, "jobs", *at).out and len(list((tmp_path / "frames").glob("*.png"))) == 3
        with urllib.request.urlopen(f"{farm.dashboard_url}login") as page:
            assert page.status == 200
        _shows_the_same_elsewhere(farm, tmp_path, job["id"], url, monkeypatch)
        assert command(capsys, "backup", tmp_path / "all.tar", "--with", "keys", "--with", "logs", *at).code == 0
    assert not folder.database.exists()
    # A farm of files goes on with what that of PostgreSQL has done.
    monkeypatch.delenv("BRENDER_DATABASE")
    assert command(capsys, "restore", tmp_path / "all.tar", "--data", tmp_path / "other").code == 0
    other = FarmPlan(folder=DataFolder(tmp_path / "other"), workers=0, any_ports=True, with_dashboard=False)
    with LocalFarm(other), client(None, other.folder.root) as connection:
        assert [(row["id"], row["status"]) for row in connection.ask("jobs")] == [(job["id"], "completed")]
        assert until(lambda: connection.ask("log", job=job["id"]))


def _shows_the_same_elsewhere(farm: LocalFarm, tmp_path: Path, job: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dashboard with a data folder of its own and nothing of the job's shows what the one beside the server shows; where the
    server hangs, it says so of each log and picture at once."""
    far, folder = tmp_path / "far", farm.folder
    monkeypatch.setenv("BRENDER_JOIN", invite("dashboard", folder.root))
    subprocess.run([sys.executable, "-m", "brender.commands.main", "join", "--data", far], check=True, capture_output=True)
    monkeypatch.delenv("BRENDER_JOIN")
    with client(None, folder.root) as connection:
        headers, (part, *_, last) = with_token(connection), connection.ask("parts", job=job)
    small = folder.thumbnail(part["attempt"], part["id"])
    until(small.exists)
    # (Nothing that the server sees of the job is to be seen there.)
    with process("dashboard", "--port-base", "0", "--database", url, data=far, hidden=tmp_path / "frames"):
        base = until(lambda: (DataFolder(far).announced("dashboard") or {}).get("url"))

        def asked(path: str) -> Any:
            return urllib.request.urlopen(urllib.request.Request(f"{base}api/v1/{path}", headers=headers))

        def get(path: str) -> bytes:
            try:
                with asked(f"jobs/{job}/{path}") as answer:
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read()) from error

        assert get(f"thumbnails/{part['id']}") == small.read_bytes()
        assert get(f"frames/{part['id']}") == (tmp_path / "frames" / part["output"]).read_bytes()
        assert json.loads(get("log?frame=1"))["text"]
        with zipfile.ZipFile(io.BytesIO(get("frames.zip"))) as archive:
            assert len(archive.namelist()) == 3
        with _stopped(farm):
            until(lambda: json.loads(asked("about").read())["silent_seconds"])
            begun = time.monotonic()
            for path in (f"thumbnails/{last['id']}", "log?frame=1"):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    asked(f"jobs/{job}/{path}")
                assert sentence(0).partition("; ")[2] in refused.value.read().decode()
            assert time.monotonic() - begun < SILENT_SECONDS, "nothing waits for a server that is known to be silent"
            assert asked(f"jobs/{job}/frames/{part['id']}").read(), "what was fetched is still shown"
        assert until(lambda: json.loads(asked("about").read())["silent_seconds"] is None)
        assert asked(f"jobs/{job}/thumbnails/{last['id']}").read()


@contextlib.contextmanager
def _stopped(farm: LocalFarm) -> Iterator[None]:
    """The server of *farm* hangs."""
    server = pid_of(farm, "server")
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_database_whose_tables_the_server_has_not_made_yet_cannot_be_read_yet(
    postgresql: PostgreSQL, folder: DataFolder
) -> None:
    reader = Reader(folder, postgresql.new_database())
    with pytest.raises(BadInput, match="cannot be read: relation"), reader.record() as record:
        record.tables.User.select().exists()


def test_a_short_chaos_in_postgresql_leaves_the_record_and_the_files_as_a_quiet_run_does() -> None:
    words = ["--postgresql", "--kills", "5", "--tasks", "60", "--frames", "0", "--seed", "7"]
    done = subprocess.run([sys.executable, "-m", "tests.chaos", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert json.loads(done.stdout.strip().splitlines()[-1])["database"] > 0


def test_a_server_that_starts_while_its_postgresql_is_away_waits_for_it_and_one_that_never_had_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = PostgreSQL()
    try:
        where = ("--database", running.new_database(), "--port-base", "0")
        with process("server", *where, data=tmp_path / "s") as first:
            line_of(first, "listens on")
        running.stop()
        said = command(capsys, "role", "server", *where, "--data", tmp_path / "other")
        assert said.code == 2 and "does not answer: connection failed" in said.err and len(said.err.strip().splitlines()) == 1
        with process("server", *where, data=tmp_path / "s") as second:
            assert "The server starts as soon as it does" in line_of(second, "does not answer")
            running.start()
            line_of(second, "listens on")
    finally:
        running.end()

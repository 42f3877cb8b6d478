"""Uploads at the dashboard take only the room that there is for them, and nobody else's body any."""

import contextlib
import hashlib
import io
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.serve import Dashboard
from dashboard.uploads import Uploads
from tests.rows import put
from tests.tools import until
from tests.web import Browser, application, make_users, served

API = "/api/v1"
MB = 10**6


def _upload(browser: Browser, size: int) -> tuple[int, str]:
    """Upload a .blend of *size* bytes; the answer's status and the reason that it gives."""
    answer = browser.upload(f=("a.blend", io.BytesIO(b"x" * size)))
    return answer.status_code, answer.json.get("error", "")


def test_one_user_uploads_so_much_and_others_still_may(folder: DataFolder) -> None:
    make_users(folder)
    app = application(folder, upload_quota=3 * MB)
    anna, walt = Browser(app, "anna"), Browser(app, "walt")
    assert _upload(anna, 2 * MB)[0] == 200
    status, reason = _upload(anna, 2 * MB)
    assert status == 413 and "one user may upload 3.0 MB a day" in reason and "--upload-quota" in reason
    told = anna.get(f"{API}/uploads?more={2 * MB}")
    assert told.status_code == 413 and "one user may upload" in told.json["error"], "asked before they are sent"
    assert _upload(walt, 2 * MB)[0] == 200
    assert anna.get(f"{API}/uploads").json == {"bytes": 2 * MB} and anna.delete(f"{API}/uploads").json == {"bytes": 0}
    assert _upload(anna, 2 * MB)[0] == 200 and walt.get(f"{API}/uploads").json == {"bytes": 2 * MB}


def test_all_users_together_upload_so_much(folder: DataFolder) -> None:
    make_users(folder)
    app = application(folder, upload_total=3 * MB)
    assert _upload(Browser(app, "anna"), 2 * MB)[0] == 200
    status, reason = _upload(Browser(app, "walt"), 2 * MB)
    assert status == 413 and "keeps 3.0 MB of them" in reason


def test_uploads_leave_room_on_the_disk(folder: DataFolder) -> None:
    make_users(folder)
    status, reason = _upload(Browser(application(folder, keep_free=10**18), "anna"), 2 * MB)
    assert status == 413 and "There is no room for these files" in reason and not list((folder.root / "uploads").iterdir())


def test_many_small_files_count_as_the_blocks_that_they_take(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 0, 0, 0)
    with uploads.new("anna") as (_, folder):
        for number in range(100):
            (folder / str(number)).touch()
    assert uploads.bytes_of("anna") == 100 * 4096


def test_a_name_in_an_upload_cannot_say_whose_it_is(folder: DataFolder) -> None:
    make_users(folder)
    app = application(folder)
    answer = Browser(app, "anna").upload(f=("a.blend", io.BytesIO(b"x")), g=(".user", io.BytesIO(b"walt")))
    where = {"upload": answer.json["upload"], "file": "a.blend"}
    assert Browser(app, "walt").post(f"{API}/inspect", where).status_code == 404


def test_what_was_uploaded_goes_after_a_day_with_what_was_left_of_uploads_that_broke_off(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 0, 0, 0)
    with uploads.new("anna") as (old, folder):
        (folder / "a.blend").touch()
    (tmp_path / ("b" * 16)).mkdir()
    long_ago = time.time() - 90_000
    for path in tmp_path.iterdir():
        os.utime(path, (long_ago, long_ago))
    with uploads.new("anna") as (kept, folder):
        (folder / "a.blend").touch()
    uploads.forget_old()
    assert {path.name for path in tmp_path.iterdir()} == {kept, f"{kept}.json"} and old != kept


# --- what waitress keeps before the application sees it -----------------------------------------------------------------


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard that keeps 8 MB of one user; anna's programs show the token "anna", vera's "vera"."""
    folder = DataFolder(tmp_path_factory.mktemp("uploads"))
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    for name in ("anna", "vera"):
        token = {"user": name, "name": "x", "digest": hashlib.sha256(name.encode()).hexdigest(), "created": 1.0}
        writer.commit([put("api_token", name, token)])
    writer.database.close()
    with served(folder, upload_quota=8 * MB) as made:
        yield made


@contextlib.contextmanager
def _asking(
    dashboard: Dashboard, path: str, token: str = "", length: int | None = None, more: str = ""
) -> Iterator[socket.socket]:
    """A connection by which the header of a request was sent, and nothing of its body."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: multipart/form-data; boundary=b"]
    lines += [f"Content-Length: {length}"] if length is not None else ["Transfer-Encoding: chunked"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [more] if more else []
    with socket.create_connection(("127.0.0.1", dashboard.address.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield connection


@pytest.mark.parametrize(
    ("path", "token", "length", "status", "says"),
    [
        (f"{API}/uploads", "", 10**10, 401, "Sign in first"),
        (f"{API}/uploads", "wrong", 10**10, 401, "not valid"),
        (f"{API}/uploads", "vera", 10**10, 403, "may not submit jobs"),
        (f"{API}/uploads", "anna", 10**10, 413, "one user may upload 8.0 MB a day"),
        (f"{API}/jobs", "anna", 2**21, 413, "too much at once"),
        ("/login", "", 2**21, 413, "too much at once"),
        ("/jobs/", "", 2**21, 302, ""),
    ],
)
@pytest.mark.parametrize("more", ["", "Expect: 100-continue"])
def test_a_large_body_that_is_not_wanted_is_refused_before_it_is_sent(
    dashboard: Dashboard, path: str, token: str, length: int, status: int, says: str, more: str
) -> None:
    with _asking(dashboard, path, token, length, more) as connection:
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith(f"HTTP/1.1 {status} ") and says in answer, answer


def test_a_body_of_no_known_length_is_refused_once_it_is_large(dashboard: Dashboard) -> None:
    with _asking(dashboard, f"{API}/uploads", "anna") as connection:
        block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                connection.sendall(block)
                time.sleep(0.001)
        received = b""
        with contextlib.suppress(ConnectionError):  # which comes after the answer, where more was sent than was read
            while more := connection.recv(65536):
                received += more
        answer = received.decode()
    assert answer.startswith("HTTP/1.1 411 ") and "Content-Length" in answer


def test_an_upload_keeps_room_for_itself_as_long_as_it_comes(dashboard: Dashboard) -> None:
    path, size = f"{API}/uploads", 5 * MB
    with _asking(dashboard, path, "anna", size) as first:
        first.sendall(b"x" * 1000)
        uploads = dashboard._app.extensions["brender"].uploads
        until(lambda: uploads._held)
        with _asking(dashboard, path, "anna", size) as second:
            assert second.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")
    until(lambda: not uploads._held)
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.blend"\r\n\r\n'
    body = head + b"x" * (size - len(head) - 9) + b"\r\n--b--\r\n"
    with _asking(dashboard, path, "anna", len(body)) as third:
        third.sendall(body)
        answer = third.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 200 "), "who broke off keeps no room"
    (there,) = uploads.root.rglob("a.blend")
    assert there.read_bytes() == b"x" * (size - len(head) - 9)

"""What the dashboard tells as it happens: to pages that are open, by e-mail, and by asking a web address."""

import queue
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.bus.keys import new_pair
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.roles.server.events import events
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader
from brender.store.writer import Writer
from dashboard.farm import Settings
from dashboard.notify import Notifier, news_of
from dashboard.stream import Stream
from tests.rows import gone, new, put, update
from tests.test_store import JOB as STORED
from tests.tools import ended, submit_command
from tests.web import asked, with_token

WITH_DASHBOARD = True


class _Listener:
    """One page's connection to the event stream, as the network has it."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname, place.port), timeout=30)
        lines = [f"GET {place.path} HTTP/1.1", f"Host: {place.netloc}", *(f"{name}: {value}" for name, value in headers.items())]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._seen = b""

    def wait_for(self, text: bytes, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            block = self._socket.recv(65536)
            assert block, "the stream goes on"
            self._seen += block

    def close(self) -> None:
        self._socket.close()


def test_two_hundred_pages_hear_what_happens_and_miss_nothing_when_they_come_back(module_farm: LocalFarm) -> None:
    with client(None, module_farm.folder.root) as connection:
        headers = with_token(connection)
        url = f"{module_farm.dashboard_url}api/v1/events"
        pages = [_Listener(url, headers) for _ in range(200)]
        for page in pages:
            page.wait_for(b": welcome")
        job = submit_command(connection, "true", frames="1-20")
        for page in pages:
            page.wait_for(job.encode())
        pages[0].wait_for(b"event: changed")
        before = asked(f"{module_farm.dashboard_url}api/v1/jobs/{job}/cells", connection)["change"]
        for page in pages:
            page.close()
        ended(connection, job)
        again = _Listener(url, headers)
        again.wait_for(b": welcome")
        told = asked(f"{module_farm.dashboard_url}api/v1/jobs/{job}/cells?since={before}", connection)
        assert told["job"]["status"] == "completed", "whoever was away asks beyond what they know"
        again.close()


def test_a_page_s_stream_ends_with_the_dashboard() -> None:
    nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
    stream = Stream(nowhere, new_pair())
    listener = stream.listen()
    assert listener is not None and "welcome" in next(listener)
    stream.close()
    assert not list(listener)


def test_more_pages_than_there_is_room_for_are_told_to_come_again() -> None:
    nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
    stream = Stream(nowhere, new_pair(), most=2)
    first, second = stream.listen(), stream.listen()
    assert first is not None and second is not None and stream.listen() is None
    next(first)
    first.close()
    assert stream.listen() is not None, "whoever goes makes room"
    second.close()
    assert stream.listen() is not None, "also where nothing was read, as by a HEAD request"


def test_one_user_s_pages_leave_room_for_those_of_others() -> None:
    nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
    stream = Stream(nowhere, new_pair(), most=10, most_of_one=2)
    for _ in range(2):
        assert stream.listen(user="vera") is not None
    assert stream.listen(user="vera") is None and stream.listen(user="anna") is not None


JOB_ID = "a" * 16
JOB: dict[str, Any] = {"id": "a", "name": "shot", "project": "film", "status": "failed", "reason": "it broke"}


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"status": "completed"}, "completed"),
        ({"status": "failed", "reason": "it broke"}, "failed"),
        ({"status": "queued", "reason": "No worker can run it. The worker a has no Blender"}, "attention"),
        ({"warnings": ["Missing file: /x (image x) is not there for the worker; what needs it renders without it"]}, "attention"),
        ({"warnings": ["Missing file: /x (used by image x); what needs it renders without it"]}, None),
        ({"status": "active"}, None),
        ({"priority": 3}, None),
        ({"status": "queued", "reason": "All 3 workers that can run it are busy"}, None),
    ],
)
def test_what_is_worth_telling(fields: dict[str, Any], event: str | None) -> None:
    news = news_of(JOB, fields, "http://x/")
    assert (news.event if news else None) == event and (news is None or news.url == "http://x/jobs/a")


class _Mailbox:
    def __init__(self) -> None:
        self.letters: queue.Queue[Any] = queue.Queue()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.put(envelope)
        return "250 OK"


def test_who_wants_to_be_told_is_told_by_mail(module_farm: LocalFarm) -> None:
    mailbox, (port,) = _Mailbox(), (free_ports(1),)
    mail = Controller(mailbox, hostname="127.0.0.1", port=port)
    mail.start()
    try:
        with client(None, module_farm.folder.root) as connection:
            connection.manage("subscribe", kind="email", target="anna@studio.example", events=["completed", "failed"])
            notifier = Notifier(
                Reader(module_farm.folder), Settings(smtp=f"127.0.0.1:{port}", mail_from="farm@x"), module_farm.dashboard_url
            )
            good = submit_command(connection, "true", name="good\nSubject: x")
            bad = submit_command(connection, "false", name="bad", project="film")
            for job in (good, bad):
                record = ended(connection, job)
                notifier.hear(job, {"status": record["status"], "reason": record["reason"]})
            letters = [mailbox.letters.get(timeout=20) for _ in range(2)]
            texts = [letter.content.decode() for letter in letters]
            assert all(letter.rcpt_tos == ["anna@studio.example"] for letter in letters)
            assert sum("is completed" in text for text in texts) == 1 and all(text.count("\nSubject:") <= 1 for text in texts)
    finally:
        mail.stop()


def _end(writer: Writer, notifier: Notifier, status: str, finished: float) -> None:
    writer.commit([update("job", JOB_ID, {"status": status, "finished": finished})])
    notifier.hear(JOB_ID, {"status": status, "finished": finished})


def test_a_job_that_was_queued_again_and_is_completed_again_is_told_again(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(Notifier, "_mail", lambda self, target, news: told.put(news.event))
    writer = Writer(open_for_writing(str(folder.make().database)))
    anna = {"user": "anna", "kind": "email", "target": "a@b", "events": ["completed", "failed"], "project": "", "created": 1.0}
    writer.commit([put("project", "default", {}), new("job", JOB_ID, STORED), put("subscription", "s", anna)])
    notifier = Notifier(Reader(folder), Settings(), "http://x/")
    for finished in (10.0, 10.0, 20.0):
        _end(writer, notifier, "completed", finished)
    _end(writer, notifier, "failed", 30.0)
    assert [told.get(timeout=20) for _ in range(3)] == ["completed", "completed", "failed"]
    writer.database.close()


# --- what listeners of the bus are told -------------------------------------------------------------------------------------


def test_what_changed_of_one_thing_is_told_together_and_secrets_never() -> None:
    rows = [
        update("job", "a", {"priority": 3}),
        new("part", 1, {"job": "a", "status": "queued"}),
        update("part", 1, {"status": "completed"}),
        update("job", "a", {"status": "active", "facts": {"large": True}}),
        *(put(kind, "x", {"secret": "s"}) for kind in ("user", "api_token", "key", "token", "subscription")),
        gone("path_variable", "x"),
    ]
    assert list(events(rows)) == [
        ("job", "a", {"priority": 3, "status": "active"}),
        ("part", "1", {"job": "a", "status": "completed"}),
    ]

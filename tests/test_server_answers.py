"""Whoever asks a server for something is answered, whatever goes wrong at it, and however much another asks for."""

import contextlib
import queue
import threading
from pathlib import Path
from typing import Any

import pytest

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.commands.options import client
from brender.model.errors import BrenderError
from brender.roles.policy import Policy
from brender.roles.server.core import ServerCore
from brender.roles.server.loop import Server
from brender.roles.server.query_thread import QueryThread
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.questions import QUESTIONS
from tests.tools import submit_command


def test_a_submit_and_an_action_at_which_the_server_fails_are_answered_logged_and_shown_by_the_doctor(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault of this server")

    with client(None, server.folder.root, timeout=60.0) as connection:
        job = submit_command(connection, "true")
        with monkeypatch.context() as patch:
            patch.setattr(ServerCore, "handle", fail)
            patch.setattr(ServerCore, "act", fail)
            with pytest.raises(BrenderError, match=r"The server failed at this submit, and has done nothing of it: its log and"):
                submit_command(connection, "true")
            with pytest.raises(BrenderError, match=r"The server failed at this act, "):
                connection.act("pause", job)
        with pytest.raises(BrenderError, match=r"The server failed at this act before, and does not try it again"):
            connection.act("pause", job)
        assert connection.ask("job", id=job)["status"] == "queued"
        shown = connection.ask("set_aside")
    assert caplog.text.count("ZeroDivisionError: a fault of this server") == 2
    assert [(each["type"], each["error"].splitlines()[-1]) for each in shown] == [
        ("Act", "ZeroDivisionError: a fault of this server"),
        ("Submit", "ZeroDivisionError: a fault of this server"),
    ]


def test_a_question_with_a_large_answer_does_not_hold_up_the_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are read and encoded outside of the control loop."""
    asked, read = threading.Event(), threading.Event()

    def jobs(record: Record) -> list[int]:
        asked.set()
        assert read.wait(60)
        return list(range(10_000))

    monkeypatch.setitem(QUESTIONS, "jobs", jobs)
    answers: list[Any] = []

    def ask() -> None:
        with client(None, server.folder.root, timeout=60.0) as slow:
            answers.append(slow.ask("jobs"))

    asking = threading.Thread(target=ask)
    asking.start()
    assert asked.wait(30)
    try:
        with client(None, server.folder.root, timeout=5.0) as connection:
            submit_command(connection, "true")
    finally:
        read.set()
        asking.join(60)
    assert answers == [list(range(10_000))]


def test_askers_take_turns_and_what_is_asked_twice_is_answered_once(folder: DataFolder) -> None:
    open_for_writing(str(folder.make().database)).close()
    begun, go = threading.Event(), threading.Event()
    delivered: queue.SimpleQueue[str] = queue.SimpleQueue()

    def hold(record: Record) -> None:
        begun.set()
        assert go.wait(30)

    thread = QueryThread(folder, str(folder.database), lambda route, answer: delivered.put(answer.id))  # type: ignore[attr-defined]
    try:
        thread.put("greedy", b"1", "first", hold)
        assert begun.wait(30)
        for number in (1, 2, 2, 3):
            thread.put("greedy", b"1", f"greedy {number}", hold)
        thread.put("modest", b"2", "modest", hold)
        go.set()
        order = [delivered.get(timeout=30) for _ in range(5)]
    finally:
        thread.close()
    assert order == ["first", "greedy 1", "modest", "greedy 2", "greedy 3"]


def test_a_server_that_ends_as_it_was_asked_to_leaves_no_word_of_itself_and_one_that_fails_does(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    for fails in (False, True):
        made = Server(folder, ServerAddresses.of(Address("127.0.0.1", free_ports(4))), Policy())
        made.loop.post(lambda made=made, fails=fails: made.stop() if not fails else 1 / 0)
        with contextlib.suppress(ZeroDivisionError):
            made.run()
        assert (folder.last_announced("server") is not None) == fails and folder.announced("server") is None

"""Hooks: what happens is told to web addresses and programs, signed, kept until it was taken, and never in the farm's way."""

import hashlib
import hmac
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from brender.bus.address import free_ports
from brender.bus.ids import new_id
from brender.bus.messages import Manage
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.hooks import EVENTS, Hook, signature
from brender.roles.effects import Deliver
from brender.roles.policy import Policy
from brender.roles.server.hook_deliveries import HookDeliveries
from brender.roles.server.restore import waiting_deliveries
from brender.store.datafolder import DataFolder
from tests.tools import command, until
from tests.world import World, animation

RECEIVER = Path(__file__).parents[1] / "docs" / "hook_receiver.py"


def add(world: World, *events: str, **more: Any) -> str:
    wanted = {"kind": "webhook", "target": "https://x.example/secret", "events": list(events or EVENTS), **more}
    return str(world.answer(Manage(id=new_id(), what="subscribe", arguments=wanted))["id"])


def told(world: World) -> list[dict[str, Any]]:
    """What waits to be told, in its order."""
    return [json.loads(delivery.body) for delivery, _ in waiting_deliveries(world.writer.tables)]


@pytest.fixture
def world() -> World:
    made = World(Policy(tries=1, hook_programs=("/bin/true",)))
    made.add_worker("one")
    return made


def test_what_happens_to_jobs_and_workers_is_written_in_the_commit_that_it_is_about(world: World) -> None:
    add(world)
    good = world.submit(animation("1", user="anna", name="good"))["id"]
    world.run(0.5)
    world.finish_everything()
    bad = world.submit(animation("7", name="bad"))["id"]
    world.run(0.5)
    world.end("one", reason="it broke")
    world.act("cancel", world.submit(animation("1", name="unwanted", paused=True))["id"])
    world.cut.add("one")
    world.run(world.policy.lease + 5, 0.5)
    heard = told(world)
    assert [(each["event"], each.get("name", "")) for each in heard] == [
        ("job-submitted", "good"),
        ("job-started", "good"),
        ("job-completed", "good"),
        ("job-submitted", "bad"),
        ("job-started", "bad"),
        ("task-failed", "bad"),
        ("job-failed", "bad"),
        ("job-submitted", "unwanted"),
        ("job-canceled", "unwanted"),
        ("worker-lost", ""),
    ]
    assert (heard[2]["job"], heard[2]["user"], heard[2]["status"]) == (good, "anna", "completed")
    assert heard[5]["frames"] == [7] and "it broke" in heard[5]["reason"] and heard[6]["job"] == bad
    assert heard[9]["worker"] == "one" and len({each["id"] for each in heard}) == len(heard)


def test_a_hook_hears_of_its_events_and_its_project_only(world: World) -> None:
    add(world, "failed", project="film")
    world.submit(animation("1"))
    world.run(0.5)
    world.end("one", reason="it broke")
    assert told(world) == []


def test_what_nobody_has_taken_yet_survives_a_restart_and_goes_with_its_hook(world: World) -> None:
    hook = add(world, "job-submitted")
    world.submit(animation("1"))
    world.start_server()
    world.submit(animation("1"))
    assert len(told(world)) == 2 and world.server.farm.hooks_waiting[hook] == 2
    first, second = (delivery.id for delivery, _ in waiting_deliveries(world.writer.tables))
    world._serve(lambda core, now: core.delivered(first, hook, 1, "", True, now))
    world._serve(lambda core, now: core.delivered(second, hook, 1, "it answered 503", False, now))
    ((left, tries),) = waiting_deliveries(world.writer.tables)
    assert (left.id, tries, world.server.farm.hooks_waiting[hook]) == (second, 1, 1)
    world.answer(Manage(id=new_id(), what="unsubscribe", arguments={"id": hook}))
    world.submit(animation("1"))
    assert waiting_deliveries(world.writer.tables) == [] and not world.server.farm.hooks


def test_only_programs_that_the_server_s_owner_named_may_be_hooks(world: World) -> None:
    def asked(target: str) -> Any:
        wanted = {"kind": "program", "target": target, "events": ["job-failed"]}
        return world.request(Manage(id=new_id(), what="subscribe", arguments=wanted))

    assert asked("/bin/true 'a b'")["target"] == "/bin/true 'a b'"
    for target in ("/bin/sh -c x", "true", "/bin/true; rm x", "'unclosed"):
        assert "--hook-program" in asked(target).message or "cannot be read" in asked(target).message


# --- carrying them out --------------------------------------------------------------------------------------------------------


class Address:
    """A web address that is told, and answers with the codes that it is given, then 204."""

    def __init__(self, *codes: int) -> None:
        self.heard: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        codes_left = list(codes)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.heard.put((dict(handler.headers), body))
                handler.send_response(codes_left.pop(0) if codes_left else 204)
                handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
                handler.end_headers()

            def log_message(handler, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/secret"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


class Outcomes:
    """Deliveries, and what came of each try."""

    def __init__(self, programs: tuple[str, ...] = ()) -> None:
        self.said: queue.Queue[tuple[str, int, str, bool]] = queue.Queue()
        self.deliveries = HookDeliveries(
            lambda id, hook, tries, why, over: self.said.put((id, tries, why, over)), programs, first_pause=0.01
        )

    def put(self, id: str, target: str, kind: str = "webhook", created: float | None = None) -> None:
        hook = Hook(f"hook-{abs(hash(target)):x}", kind, target, "sesame", frozenset(EVENTS))
        self.deliveries.put(Deliver(id, hook, "job-failed", '{"text": "ü"}', time.time() if created is None else created))

    def next(self) -> tuple[str, int, str, bool]:
        return self.said.get(timeout=20)


@pytest.fixture
def outcomes() -> Iterator[Outcomes]:
    made = Outcomes()
    yield made
    made.deliveries.close()


def test_what_is_told_is_signed_and_tried_again_until_it_is_taken(outcomes: Outcomes) -> None:
    address = Address(503, 302)
    outcomes.put("d1", address.url)
    assert [outcomes.next() for _ in range(3)] == [
        ("d1", 1, "it answered 503", False),
        ("d1", 2, "it answered 302", False),
        ("d1", 3, "", True),
    ]
    headers, body = address.heard.get(timeout=20)
    assert headers["Brender-Signature"] == signature("sesame", headers["Brender-Timestamp"], body)
    assert (headers["Brender-Event"], headers["Brender-Delivery"]) == ("job-failed", "d1") and json.loads(body) == {"text": "ü"}


def test_what_is_refused_or_old_is_given_up_and_the_next_is_told(outcomes: Outcomes) -> None:
    address = Address(400, 400, 400)
    outcomes.put("bad", address.url)
    outcomes.put("good", address.url)
    assert [outcomes.next()[::3] for _ in range(4)] == [("bad", False), ("bad", False), ("bad", True), ("good", True)]
    outcomes.put("old", "http://127.0.0.1:1/", created=0.0)
    assert outcomes.next()[3]


def test_a_target_that_does_not_answer_delays_no_other_and_its_address_is_not_logged(
    outcomes: Outcomes, caplog: pytest.LogCaptureFixture
) -> None:
    silent, good = Address(), Address()
    silent.server.shutdown()
    outcomes.put("never", f"{silent.url}?key=secret")
    outcomes.put("refused", "http://user:password@127.0.0.1:1/secret")
    outcomes.put("nonsense", "http://[secret")
    outcomes.put("good", good.url)
    ids = {outcomes.next()[0] for _ in range(3)}
    assert ids <= {"refused", "nonsense", "good"}
    assert good.heard.get(timeout=5)
    assert "secret" not in caplog.text and "password" not in caplog.text


def test_a_program_gets_its_arguments_as_they_are_and_its_output_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "brender.server")
    monkeypatch.setenv("BRENDER_SECRET", "x")
    script = tmp_path / "on-failure"
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        "print(sys.argv[1:], sys.stdin.read(), os.environ['BRENDER_EVENT'], 'BRENDER_SECRET' in os.environ)\n"
    )
    script.chmod(0o755)
    made = Outcomes((str(script), "/bin/false", "/bin/sleep"))
    made.put("d", f"{script} '$(touch x)' ';'", "program")
    assert made.next() == ("d", 1, "", True)
    assert """['$(touch x)', ';'] {"text": "ü"} job-failed False""" in caplog.text
    made.put("f", "/bin/false", "program")
    assert made.next() == ("f", 1, "it ended with exit code 1", False)
    monkeypatch.setattr("brender.roles.server.hook_deliveries._PROGRAM_SECONDS", 0.2)
    made.put("s", "/bin/sleep 60", "program")
    assert "was killed" in until(lambda: next((each[2] for each in [made.next()] if each[0] == "s"), None))
    made.put("n", "/bin/rm -rf x", "program")
    assert until(lambda: next((each for each in [made.next()] if each[0] == "n"), None))[2].startswith("Hooks may not run")
    made.deliveries.close()


# --- a real farm --------------------------------------------------------------------------------------------------------------


def test_the_receiver_in_the_documentation_refuses_what_is_forged_or_old_and_takes_each_delivery_once() -> None:
    port, body = free_ports(1), b'{"event": "test", "text": "heard"}'

    def send(delivery: str, age: int = 0, secret: str = "known") -> int:
        moment = str(int(time.time()) - age)
        signed = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Brender-Timestamp": moment, "Brender-Signature": f"sha256={signed}", "Brender-Delivery": delivery}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status

    words, env = [sys.executable, str(RECEIVER), str(port)], os.environ | {"SECRET": "known"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as receiver:
        assert receiver.stdout is not None and "listening" in receiver.stdout.readline()
        assert [send("a", secret="guessed"), send("b", age=301), send("c"), send("c"), send("d")] == [401, 408, 204, 204, 204]
        receiver.terminate()
        assert receiver.stdout.read() == "test heard\n" * 2


@pytest.mark.thorough
def test_the_receiver_in_the_documentation_hears_a_real_farm(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--data", folder.root)
    with LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True)):
        with client(None, folder.root) as connection:
            wanted = {"kind": "webhook", "events": ["job-submitted"], "project": ""}
            port = free_ports(1)
            made = connection.manage("subscribe", target=f"http://127.0.0.1:{port}/", **wanted)
        words, env = [sys.executable, str(RECEIVER), str(port)], os.environ | {"SECRET": made["secret"]}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as receiver:
            assert receiver.stdout is not None and "listening" in receiver.stdout.readline()
            assert command(capsys, "hooks", "test", made["id"][:6], *at).code == 0
            assert receiver.stdout.readline() == "test A test of this hook\n"
            receiver.terminate()
        assert command(capsys, "hooks", "list", *at).out.count(made["id"]) == 1
        assert command(capsys, "hooks", "remove", made["id"], *at).code == 0
        assert "There are no hooks" in command(capsys, "hooks", "list", *at).out

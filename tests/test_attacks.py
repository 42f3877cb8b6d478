"""What whoever has no key, or not the right one, tries on a farm: each attempt is refused, counted, and harms nobody."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import zmq

from brender.api.jobspec import command_job
from brender.bus import messages as m
from brender.bus.client import Client
from brender.bus.codec import encode
from brender.bus.ids import new_attempt_id, new_id
from brender.bus.keys import new_pair
from brender.bus.membership import Joining, parse_token
from brender.bus.rights import LARGEST, LET_IN, MAY_SEND, MOST_FRAMES, Door, may_send
from brender.model.errors import BadInput, BrenderError, Forbidden, Unreachable
from brender.model.keys import KeyRole, proof_of
from brender.model.nodes import Standing, WorkerInfo
from brender.roles.server.enrolment_door import MEMORY
from tests.attacking import Target, outcome, target
from tests.tools import command, ended, submit_command, tries, until

PYTHON = sys.executable
A, B = "a" * 16, "b" * 16
ROLES = [role for role in KeyRole if role is not KeyRole.ADMIN]
OUTER = [door for door in Door if door is not Door.ENROLMENT]


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("attacked") / "data") as made:
        yield made


@pytest.fixture(autouse=True)
def unharmed(farm: Target) -> Iterator[None]:
    """Whatever a test here tries, the farm is as well as before."""
    yield
    farm.works()


@pytest.fixture
def count(farm: Target, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test tries at the server's doors is counted there. (What a manager refuses is told with its heartbeats.)"""
    before = farm.refusals()
    yield
    if not str(request.node.callspec.params.get("door", "") if hasattr(request.node, "callspec") else "").startswith("manager"):
        until(lambda: farm.refusals() > before, 10)


counted = pytest.mark.usefixtures("count")


# --- coming in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", list(Door))
def test_nobody_comes_in_without_a_key(farm: Target, door: Door) -> None:
    assert farm.enter(door, None) == "failed"


@pytest.mark.parametrize("door", list(Door))
def test_nobody_comes_in_by_a_password(farm: Target, door: Door) -> None:
    assert farm.enter(door, None, mechanism="plain") == "failed"


@counted
@pytest.mark.parametrize("door", OUTER)
def test_a_key_that_nobody_admitted_does_not_come_in(farm: Target, door: Door) -> None:
    assert farm.enter(door, new_pair()) == "refused"


@pytest.mark.parametrize("door", list(Door))
def test_whoever_expects_another_server_does_not_talk_to_this_one(farm: Target, door: Door) -> None:
    assert farm.enter(door, farm.attacker(KeyRole.CLIENT).pair, server_key=new_pair().public) == "failed"


@counted
@pytest.mark.parametrize(("door", "role"), [(door, role) for door in OUTER for role in ROLES if role not in LET_IN[door]])
def test_a_key_comes_in_only_where_its_role_belongs(farm: Target, door: Door, role: KeyRole) -> None:
    assert farm.enter(door, farm.attacker(role).pair) == "refused"


@pytest.mark.parametrize("role", ROLES)
def test_a_revoked_key_does_not_come_in(farm: Target, role: KeyRole) -> None:
    mallory = farm.admit(role, "revoked")
    assert mallory.membership is not None
    farm.admin.manage("revoke-key", key=mallory.membership.key)
    door = next(door for door in OUTER if role in LET_IN[door])
    assert until(lambda: farm.enter(door, mallory.pair) == "refused", 10)


@counted
def test_a_key_that_is_revoked_while_it_is_connected_is_not_heard_any_more(farm: Target) -> None:
    mallory = farm.admit(KeyRole.CLIENT, "connected")
    assert mallory.membership is not None
    with farm.socket(Door.SERVER, mallory.pair) as (raw, monitor):
        assert outcome(monitor) == "in"
        raw.send_multipart(encode(m.Ask(id=new_id(), question="about")))
        assert raw.poll(5000) and raw.recv_multipart()
        farm.admin.manage("revoke-key", key=mallory.membership.key)
        raw.send_multipart(encode(m.Ask(id=new_id(), question="about")))
        assert not raw.poll(700)


def test_a_listener_that_is_revoked_hears_no_further_event(farm: Target) -> None:
    mallory = farm.admit(KeyRole.MONITOR, "listener")
    assert mallory.membership is not None
    with farm.socket(Door.SERVER_EVENTS, mallory.pair) as (raw, monitor):
        raw.setsockopt(zmq.SUBSCRIBE, b"")
        assert outcome(monitor) == "in"
        submit_command(farm.admin, "true")
        assert raw.poll(10_000)
        farm.admin.manage("revoke-key", key=mallory.membership.key)
        while raw.poll(500):
            raw.recv_multipart()
        ended(farm.admin, submit_command(farm.admin, "true"))
        assert not raw.poll(500)


def test_a_key_whose_time_is_over_is_not_heard_any_more(farm: Target) -> None:
    pair = new_pair()
    Joining(pair, KeyRole.CLIENT, "brief").with_token(farm.token(KeyRole.CLIENT, key_expires="1s"))
    assert until(lambda: farm.enter(Door.SERVER, pair) == "refused", 10)
    Joining(pair, KeyRole.CLIENT, "brief").with_token(farm.token(KeyRole.CLIENT))
    assert farm.enter(Door.SERVER, pair) == "in", "a new token lets the same key in again"


# --- saying what another may say ----------------------------------------------------------------------------------------


def _example(kind: type[m.Message]) -> m.Message:
    """A message of that *kind* that is well made."""
    info = WorkerInfo(id=A, incarnation=1, name="w")
    made: dict[type[m.Message], dict[str, Any]] = {
        m.Hello: {"node": A, "incarnation": 1, "role": "manager", "name": "x", "host": "x", "software": "x"},
        m.Renew: {"sent": 1.0},
        m.Stands: {"incarnation": 1, "standing": Standing.OPEN},
        m.Joined: {"worker": info, "term": "t"},
        m.Left: {"worker": A, "reason": "x"},
        m.Received: {"worker": A, "attempts": (B,)},
        m.Gone: {"worker": A, "attempts": (B,)},
        m.Look: {"id": A, "variable": "projects", "proof": "a" * 32},
        m.Seen: {"worker": A, "variable": "projects", "proof": "a" * 32},
        m.LogWanted: {"worker": A},
        m.LogFrom: {"worker": A, "level": "debug"},
        m.LogTold: {"worker": A, "text": "x"},
        m.Reports: {"worker": A, "reports": (m.Started(attempt=B, number=1),)},
        m.Progress: {"worker": A, "attempt": B, "frame": 1},
        m.Submit: {"id": A, "job": command_job(("true",), {}, "x")},
        m.Act: {"id": A, "action": "cancel", "target": "x"},
        m.Ask: {"id": A, "question": "jobs"},
        m.Manage: {"id": A, "what": "create-token", "arguments": {"role": "admin", "uses": 1, "expires": "1h"}},
        m.Grants: {"grants": (), "orders": ()},
        m.Welcome: {"node": A, "name": "x", "software": "x", "heartbeat_seconds": 1.0, "lease_seconds": 1.0},
        m.Refused: {"reason": "x"},
        m.Recall: {"worker": A, "attempts": (B,)},
        m.Cancel: {"worker": A, "attempts": (B,), "reason": "x"},
        m.Drain: {},
        m.Acks: {"worker": A, "acks": ((B, 1),)},
        m.Admitted: {"number": 1},
        m.Beats: {"manager": A, "incarnation": 1, "sequence": 1},
        m.Beat: {"node": A, "incarnation": 1, "sequence": 1},
        m.FilePiece: {"kind": "log", "job": A, "attempt": B, "offset": 0, "last": True},
        m.Enrol: {"id": A, "role": KeyRole.WORKER, "name": "x"},
        m.Offer: {"id": A, "blobs": ("a" * 64,)},
        m.BlobPiece: {"blob": "a" * 64, "size": 1, "offset": 0},
        m.BlobWanted: {"blob": "a" * 64, "offset": 0},
        m.FrameWanted: {"job": A, "part": 1, "offset": 0},
    }
    return kind(**made.get(kind, {}))


_SPOKEN = (
    *(m.Hello, m.Renew, m.Pong, m.Bye, m.Stands, m.Joined, m.Left, m.Received, m.Gone, m.Reports, m.Progress, m.Submit, m.Act),
    *(m.Ask, m.Manage, m.Grants, m.Welcome, m.Refused, m.Recall, m.Cancel, m.Drain, m.Acks, m.Admitted, m.Beats, m.Beat),
    *(m.FilePiece, m.Enrol, m.Offer, m.BlobPiece, m.BlobWanted, m.FrameWanted, m.Look, m.Seen, m.LogWanted, m.LogFrom, m.LogTold),
)


@pytest.mark.parametrize(
    ("door", "role"), [(door, role) for door in OUTER if door in MAY_SEND for role in ROLES if role in LET_IN[door]]
)
def test_a_key_says_only_what_its_role_may(farm: Target, door: Door, role: KeyRole) -> None:
    forbidden = [kind for kind in _SPOKEN if not may_send(door, role, kind)]
    mallory = farm.attacker(role)
    until(lambda: farm.enter(door, mallory.pair) == "in", 10)
    before, state = farm.refusals(), (farm.admin.manage("keys")["tokens"], len(farm.admin.ask("jobs")))
    if door is not Door.SERVER_EVENTS:  # where nothing can be said at all
        answers = farm.say(door, mallory.pair, *map(_example, forbidden))
        assert all(isinstance(each, m.Sorry) and each.code == Forbidden.code for each in answers)
        if not door.startswith("manager"):
            until(lambda: farm.refusals() >= before + len(forbidden), 10)
    assert (farm.admin.manage("keys")["tokens"], len(farm.admin.ask("jobs"))) == state


def test_a_client_that_asks_for_what_its_key_may_not_is_told_so_at_once(farm: Target) -> None:
    began = time.monotonic()
    with (
        Client(farm.server, farm.attacker(KeyRole.CLIENT).pair) as connection,
        pytest.raises(Forbidden, match=r"A client's key, such as this machine's, may not make tokens .*an admin's key may"),
    ):
        connection.manage("create-token", role="client")
    assert time.monotonic() - began < 3


def test_the_enrolment_door_hears_nothing_but_enrolment(farm: Target) -> None:
    assert farm.say(Door.ENROLMENT, new_pair(), *(_example(kind) for kind in _SPOKEN if kind is not m.Enrol)) == []


def test_no_door_hears_a_kind_that_is_not_tried_here() -> None:
    assert {kind for door in MAY_SEND.values() for kind in door} <= set(_SPOKEN)


def test_what_a_manager_refuses_is_counted_too(farm: Target) -> None:
    def told() -> int:
        return int(farm.admin.manage("refusals").get("manager manager, in all", 0))

    before = told()
    for door in (Door.MANAGER, Door.MANAGER_STATS, Door.MANAGER_FILES):
        assert farm.enter(door, new_pair()) == "refused"
    until(lambda: told() >= before + 3, 15)


# --- speaking for others ------------------------------------------------------------------------------------------------


def _hello(node: str, role: str, **more: Any) -> m.Hello:
    info = WorkerInfo(id=node, incarnation=1, name="spoofed", job_types=frozenset({"command"}), programs=frozenset({"*"}))
    return m.Hello(
        node=node,
        incarnation=1,
        role="worker" if role == "worker" else "manager",
        name="spoofed",
        host="h",
        software="x",
        worker=info if role == "worker" else None,
        **more,
    )


def test_a_worker_cannot_say_that_it_is_another(farm: Target) -> None:
    (real,) = until(lambda: [row for row in farm.admin.ask("workers") if row["name"] == "worker-1"], 30)
    mallory = farm.attacker(KeyRole.WORKER)
    until(lambda: farm.enter(Door.MANAGER, mallory.pair) == "in", 10)
    (answer,) = farm.say(Door.MANAGER, mallory.pair, _hello(real["id"], "worker"))
    assert isinstance(answer, m.Refused) and "belongs to another node" in answer.reason


def test_a_manager_cannot_say_that_it_is_another(farm: Target) -> None:
    (real,) = [row for row in farm.admin.ask("managers") if row["name"] == "manager"]
    (answer,) = farm.say(Door.SERVER, farm.attacker(KeyRole.MANAGER).pair, _hello(real["id"], "manager"))
    assert isinstance(answer, m.Refused) and "belongs to another node" in answer.reason


def _welcomed_manager(farm: Target) -> tuple[Any, m.Hello]:
    mallory = farm.admit(KeyRole.MANAGER, "rogue")
    return mallory, _hello(mallory.node, "manager")


@counted
def test_a_manager_cannot_take_a_worker_that_never_came_to_it(farm: Target) -> None:
    (real,) = [row for row in farm.admin.ask("workers") if row["name"] == "worker-1"]
    mallory, hello = _welcomed_manager(farm)
    stolen = WorkerInfo(id=real["id"], incarnation=2**40, name="stolen")
    answers = farm.say(Door.SERVER, mallory.pair, hello, m.Joined(worker=stolen, term="t", proof="0" * 64), m.Bye())
    assert any(isinstance(answer, m.Welcome) for answer in answers)
    assert not any(isinstance(answer, m.Confirm) for answer in answers)
    (still,) = [row for row in farm.admin.ask("workers") if row["id"] == real["id"]]
    assert still["manager_name"] == "manager"


@counted
def test_a_worker_s_word_to_one_manager_is_of_no_use_to_another(farm: Target) -> None:
    worker = farm.attacker(KeyRole.WORKER)
    assert worker.membership is not None
    said = proof_of(worker.membership.proof, worker.node, (7, 0), farm.manager.key)
    mallory, hello = _welcomed_manager(farm)
    info = WorkerInfo(id=worker.node, incarnation=7, name="mine")
    answers = farm.say(Door.SERVER, mallory.pair, hello, m.Joined(worker=info, term="t", proof=said), m.Bye())
    assert not any(isinstance(answer, m.Confirm) for answer in answers)


@counted
def test_a_replayed_hello_with_a_later_number_is_not_believed(farm: Target) -> None:
    """The proof is of one registration: with another number it is none."""
    worker = farm.attacker(KeyRole.WORKER)
    assert worker.membership is not None
    mallory, hello = _welcomed_manager(farm)
    said = proof_of(worker.membership.proof, worker.node, (7, 0), mallory.pair.public)
    info = WorkerInfo(id=worker.node, incarnation=8, name="mine")
    answers = farm.say(Door.SERVER, mallory.pair, hello, m.Joined(worker=info, term="t", proof=said), m.Bye())
    assert not any(isinstance(answer, m.Confirm) for answer in answers)


def _until_told(folder: Path) -> str:
    """A program that ends once there is the file "go" in *folder*."""
    return f"import os, time\nwhile not os.path.exists(r'{folder}/go'): time.sleep(0.05)"


@pytest.mark.parametrize("kind", [m.Reports, m.Received, m.Gone, m.Seen, m.LogTold, m.Progress])
def test_a_worker_cannot_speak_for_another_s_attempt(farm: Target, kind: type[m.Message], tmp_path: Path) -> None:
    job = submit_command(
        farm.admin, PYTHON, "-c", f"import os, time\nwhile not os.path.exists(r'{tmp_path}/go'): time.sleep(0.05)"
    )
    attempt = until(lambda: [row for row in farm.admin.ask("attempts", job=job) if row["started"]])[0]
    mallory = farm.attacker(KeyRole.WORKER)
    until(lambda: farm.enter(Door.MANAGER, mallory.pair) == "in", 10)
    lie = {
        m.Reports: m.Reports(worker=attempt["worker"], reports=(m.Failed(attempt=attempt["id"], number=2, reason="a lie"),)),
        m.Received: m.Received(worker=attempt["worker"], attempts=(attempt["id"],)),
        m.Gone: m.Gone(worker=attempt["worker"], attempts=(attempt["id"],)),
        m.Seen: m.Seen(worker=attempt["worker"], variable="projects", proof="a" * 32, problem="a lie"),
        m.LogTold: m.LogTold(worker=attempt["worker"], text="a lie"),
        m.Progress: m.Progress(worker=attempt["worker"], attempt=attempt["id"], frame=99, line="a lie"),
    }[kind]
    answers = farm.say(Door.MANAGER, mallory.pair, _hello(mallory.node, "worker"), lie, m.Bye())
    assert any(isinstance(answer, m.WhoAreYou) for answer in answers)
    (tmp_path / "go").touch()
    assert ended(farm.admin, job)["status"] == "completed"
    assert tries(farm.admin, job) == ["completed"]


def test_a_worker_cannot_report_another_s_attempt_as_its_own(farm: Target, tmp_path: Path) -> None:
    job = submit_command(
        farm.admin, PYTHON, "-c", f"import os, time\nwhile not os.path.exists(r'{tmp_path}/go'): time.sleep(0.05)"
    )
    attempt = until(lambda: [row for row in farm.admin.ask("attempts", job=job) if row["started"]])[0]
    mallory = farm.admit(KeyRole.WORKER, "forger")
    assert mallory.membership is not None
    until(lambda: farm.enter(Door.MANAGER, mallory.pair) == "in", 10)
    hello = _hello(mallory.node, "worker", proof=proof_of(mallory.membership.proof, mallory.node, (1, 0), farm.manager.key))
    lie = m.Reports(worker=mallory.node, reports=(m.Failed(attempt=attempt["id"], number=2, reason="a lie", permanent=True),))
    farm.say(Door.MANAGER, mallory.pair, hello, lie, m.Bye())
    (tmp_path / "go").touch()
    assert ended(farm.admin, job)["status"] == "completed"


@counted
def test_a_worker_cannot_write_into_another_s_log(farm: Target) -> None:
    job = submit_command(farm.admin, "echo", "the truth")
    ended(farm.admin, job)
    (attempt,) = farm.admin.ask("attempts", job=job)
    until(lambda: "the truth" in farm.admin.ask("log", job=job)["text"])
    mallory = farm.attacker(KeyRole.WORKER)
    until(lambda: farm.enter(Door.MANAGER_FILES, mallory.pair) == "in", 10)
    size = farm.folder.log(job, attempt["id"]).stat().st_size
    piece = m.FilePiece(kind="log", worker=attempt["worker"], job=job, attempt=attempt["id"], offset=size, last=True)
    answers = farm.say(Door.MANAGER_FILES, mallory.pair, piece, bulk=[b"a lie"])
    assert all(isinstance(answer, m.FileAck) and answer.refused for answer in answers)
    assert farm.folder.log(job, attempt["id"]).stat().st_size == size


@counted
def test_a_file_of_an_attempt_that_nobody_knows_is_not_written(farm: Target) -> None:
    mallory = farm.attacker(KeyRole.WORKER)
    job, attempt = new_id(), new_attempt_id()
    piece = m.FilePiece(kind="thumbnail", job=job, attempt=attempt, part=1, offset=0, last=True)
    farm.say(Door.MANAGER_FILES, mallory.pair, piece, bulk=[b"x"])
    assert not farm.folder.thumbnail(attempt, 1).exists()


# --- joining ------------------------------------------------------------------------------------------------------------


def test_a_token_lets_in_no_more_than_it_says(farm: Target) -> None:
    token = farm.token(KeyRole.WORKER, uses=2)
    for _ in range(2):
        Joining(new_pair(), KeyRole.WORKER, "w", new_id()).with_token(token)
    with pytest.raises(BadInput, match=r"used as often as it may be.*brender token create --role worker"):
        Joining(new_pair(), KeyRole.WORKER, "w", new_id()).with_token(token)


def test_the_same_key_that_asks_again_uses_no_second_place(farm: Target) -> None:
    token, joining = farm.token(KeyRole.WORKER, uses=1), Joining(new_pair(), KeyRole.WORKER, "w", new_id())
    assert joining.with_token(token).key == joining.with_token(token).key


def test_an_expired_token_lets_nobody_in_and_says_what_to_do(farm: Target) -> None:
    token = farm.token(KeyRole.WORKER, expires="1s")
    time.sleep(1.1)
    with pytest.raises(BadInput, match=r"expired .* by the server's clock .*compare.*brender token create"):
        Joining(new_pair(), KeyRole.WORKER, "w", new_id()).with_token(token)


@counted
def test_a_revoked_token_lets_nobody_in(farm: Target) -> None:
    token = farm.token(KeyRole.CLIENT)
    farm.admin.manage("revoke-token", token=token.id)
    with pytest.raises(BrenderError, match="does not know this token"):
        Joining(new_pair(), KeyRole.CLIENT, "x").with_token(token)


@counted
def test_a_guessed_secret_lets_nobody_in_and_is_told_no_more_than_that(farm: Target) -> None:
    token = msgspec.structs.replace(farm.token(KeyRole.ADMIN), secret="0" * 64)
    (answer,) = farm.say(
        Door.ENROLMENT, new_pair(), m.Enrol(id=new_id(), role=KeyRole.ADMIN, name="x", token=token.id, secret=token.secret)
    )
    assert isinstance(answer, m.Sorry) and answer.message == "refused"


@counted
def test_an_invented_token_is_told_the_same(farm: Target) -> None:
    enrol = m.Enrol(id=new_id(), role=KeyRole.ADMIN, name="x", token="f" * 16, secret="0" * 64)
    (answer,) = farm.say(Door.ENROLMENT, new_pair(), enrol)
    assert isinstance(answer, m.Sorry) and answer.message == "refused"


@counted
@pytest.mark.parametrize("role", [KeyRole.ADMIN, KeyRole.MANAGER, KeyRole.CLIENT])
def test_a_token_for_one_role_lets_no_other_in(farm: Target, role: KeyRole) -> None:
    token = farm.token(KeyRole.WORKER)
    enrol = m.Enrol(id=new_id(), role=role, name="x", token=token.id, secret=token.secret, node=A)
    (answer,) = farm.say(Door.ENROLMENT, new_pair(), enrol)
    assert isinstance(answer, m.Sorry) and "lets a worker in" in answer.message


@counted
def test_without_a_token_nobody_enrols(farm: Target) -> None:
    (answer,) = farm.say(Door.ENROLMENT, new_pair(), m.Enrol(id=new_id(), role=KeyRole.WORKER, name="x", node=A))
    assert isinstance(answer, m.Sorry) and answer.message == "refused"


@counted
def test_a_key_cannot_make_itself_another_role(farm: Target) -> None:
    mallory = farm.admit(KeyRole.MONITOR, "climber")
    (answer,) = farm.say(Door.ENROLMENT, mallory.pair, m.Enrol(id=new_id(), role=KeyRole.ADMIN, name="x"))
    assert isinstance(answer, m.Sorry) and answer.message == "refused"


@counted
def test_a_worker_s_token_does_not_take_over_a_manager_s_node(farm: Target) -> None:
    (real,) = [row for row in farm.admin.ask("managers") if row["name"] == "manager"]
    with pytest.raises(BrenderError, match="server refused"):
        Joining(new_pair(), KeyRole.WORKER, "w", real["id"]).with_token(farm.token(KeyRole.WORKER))
    assert [row["status"] for row in farm.admin.ask("managers") if row["id"] == real["id"]] == ["online"]


def test_rotating_a_key_makes_the_one_before_worthless(farm: Target) -> None:
    mallory, fresh = farm.admit(KeyRole.CLIENT, "rotating"), new_pair()
    Joining(mallory.pair, KeyRole.CLIENT, "rotating").again(farm.server, instead=fresh.public)
    assert farm.enter(Door.SERVER, fresh) == "in"
    assert farm.enter(Door.SERVER, mallory.pair) == "refused"


@pytest.mark.parametrize("text", ["", "brender-", "brender-!!!", "hello", "brender-" + "A" * 200, "brender-k5" + "=" * 10])
def test_what_is_no_token_is_said_so_and_not_repeated(text: str) -> None:
    with pytest.raises(BadInput, match="not a join token") as raised:
        parse_token(text)
    assert "AAAA" not in str(raised.value)


@counted
def test_whoever_keeps_trying_to_join_is_not_listened_to(farm: Target) -> None:
    with farm.socket(Door.ENROLMENT, new_pair()) as (raw, monitor):
        assert outcome(monitor) == "in"
        for _ in range(400):
            raw.send_multipart(encode(m.Enrol(id=new_id(), role=KeyRole.ADMIN, name="x", token="f" * 16, secret="1" * 64)))
        heard = 0
        while raw.poll(700):
            raw.recv_multipart()
            heard += 1
        assert heard < 150
    time.sleep(2)  # until this machine, from which others of these tests join, is listened to again
    until(lambda: _may_join(farm), 60)


def _may_join(farm: Target) -> bool:
    try:
        farm.admit(KeyRole.CLIENT, "patient")
    except Unreachable:
        return False
    return True


# --- what is not a message -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", [Door.SERVER, Door.SERVER_STATS, Door.SERVER_FILES, Door.MANAGER, Door.ENROLMENT])
def test_a_message_that_is_too_large_cuts_its_sender_off(farm: Target, door: Door) -> None:
    role = next(iter(LET_IN[door]))
    mallory = farm.attacker(KeyRole.MANAGER if role is KeyRole.MANAGER or door is Door.SERVER else role)
    pair = mallory.pair if door is not Door.ENROLMENT else new_pair()
    with farm.socket(door, pair) as (raw, monitor):
        assert outcome(monitor) == "in"
        raw.send_multipart([b"x" * (LARGEST[door] + 1)])
        assert not raw.poll(300)


@counted
@pytest.mark.parametrize("door", [Door.SERVER_FILES, Door.MANAGER, Door.ENROLMENT])
def test_a_message_of_more_frames_or_bytes_than_its_door_takes_is_dropped(farm: Target, door: Door) -> None:
    role = KeyRole.WORKER if door.startswith("manager") else KeyRole.CLIENT
    pair = new_pair() if door is Door.ENROLMENT else farm.attacker(role).pair
    until(lambda: farm.enter(door, pair) == "in", 10)
    message = {
        Door.SERVER_FILES: m.Offer(id=new_id(), blobs=("a" * 64,)),
        Door.ENROLMENT: m.Enrol(id=new_id(), role=KeyRole.WORKER, name="x", node=A),
    }.get(door, _hello(farm.attacker(KeyRole.WORKER).node, "worker"))
    assert farm.say(door, pair, message), "by itself it is heard"
    assert farm.say(door, pair, message, bulk=[b"x"] * MOST_FRAMES[door]) == []
    if MOST_FRAMES[door] > 1:
        assert farm.say(door, pair, message, bulk=[b"x" * LARGEST[door]]) == []


@pytest.mark.thorough
def test_a_message_without_end_at_the_enrolment_door_fills_no_memory_of_the_server_s(farm: Target) -> None:
    server = _server(farm)
    doorkeeper = _doorkeeper(farm)
    before = server.memory_info().rss
    with farm.socket(Door.ENROLMENT, new_pair()) as (raw, monitor):
        assert outcome(monitor) == "in"
        frame = b"x" * (LARGEST[Door.ENROLMENT] - 64)  # (encrypted, it is a little larger)
        slowest = 0.0

        def is_cut_off() -> bool:
            nonlocal slowest
            asked = time.monotonic()
            assert farm.admin.ask("about")["software"]
            slowest = max(slowest, time.monotonic() - asked)
            return not psutil.pid_exists(doorkeeper.pid) or bool(monitor.poll(0))

        for _ in range(3):
            for _ in range(MEMORY // len(frame) + 2000):
                raw.send(frame, zmq.SNDMORE)
            raw.send(b"")  # libzmq sends nothing before it has the last frame
            until(is_cut_off, 90)
            if not psutil.pid_exists(doorkeeper.pid):
                break
            assert outcome(monitor) == "in"  # libzmq was refused memory, or lost the connection, which it has made anew
        assert farm.admit(KeyRole.WORKER, "in spite of it").membership is not None
    assert slowest < 2
    assert not doorkeeper.is_running() or doorkeeper.memory_info().rss < MEMORY
    assert server.memory_info().rss < before + 32 * 2**20
    assert server.is_running()


def test_the_server_goes_on_when_the_process_at_its_enrolment_door_is_killed(farm: Target) -> None:
    server, doorkeeper = _server(farm), _doorkeeper(farm)
    doorkeeper.kill()
    assert farm.admin.ask("about")["software"]
    farm.admit(KeyRole.WORKER, "afterwards")
    assert _server(farm) == server and _doorkeeper(farm) != doorkeeper


@pytest.mark.thorough
def test_the_process_at_the_enrolment_door_ends_when_its_server_is_killed(tmp_path: Path) -> None:
    with target(tmp_path / "data") as own:
        doorkeeper = _doorkeeper(own)
        _server(own).kill()
        assert not psutil.wait_procs([doorkeeper], 5)[1]


def test_the_process_at_the_enrolment_door_shows_nobody_the_server_s_key(farm: Target) -> None:
    doorkeeper, secret = _doorkeeper(farm), json.loads(farm.folder.server_key.read_text())["secret"]
    assert not [each for each in (*doorkeeper.cmdline(), *doorkeeper.environ().values()) if secret in each]


def _server(farm: Target) -> psutil.Process:
    (child,) = [child for child in farm.farm.children if child.name == "server"]
    return psutil.Process(child.process.pid)


def _doorkeeper(farm: Target) -> psutil.Process:
    """The process at the enrolment door; somebody enters, so that there is one."""
    until(lambda: farm.enter(Door.ENROLMENT, new_pair()) == "in", 10)
    (found,) = [child for child in _server(farm).children() if "brender.roles.server.enrolment_process" in child.cmdline()]
    return found


@counted
@pytest.mark.parametrize("rubbish", [b"", b"\xff" * 100, b"\x81\xa1v\x63", b"\xdd\xff\xff\xff\xff", b"\x81" * 5000])
def test_rubbish_with_a_good_key_is_dropped(farm: Target, rubbish: bytes) -> None:
    with farm.socket(Door.SERVER, farm.attacker(KeyRole.CLIENT).pair) as (raw, monitor):
        assert outcome(monitor) == "in"
        raw.send(rubbish)
        raw.poll(300)


def test_connections_that_never_say_anything_keep_nobody_out(farm: Target) -> None:
    idle = [socket.create_connection((farm.server.control.host, farm.server.control.port)) for _ in range(100)]
    try:
        for each in idle[:50]:
            each.sendall(b"\xff\x00\x00\x00")  # a greeting that does not go on
        assert farm.admin.ask("about")["software"]
        assert farm.enter(Door.SERVER, farm.attacker(KeyRole.CLIENT).pair) == "in"
        idle[0].settimeout(15)
        while idle[0].recv(4096):  # until the server has lost its patience
            pass
    finally:
        for each in idle:
            each.close()


@counted
def test_a_client_that_floods_is_slowed_and_others_are_served(farm: Target) -> None:
    mallory = farm.admit(KeyRole.CLIENT, "flood")
    ask = encode(m.Ask(id=new_id(), question="change"))
    with farm.socket(Door.SERVER, mallory.pair) as (raw, monitor):
        assert outcome(monitor) == "in"
        raw.setsockopt(zmq.SNDTIMEO, 10_000)
        for _ in range(6000):
            raw.send_multipart(ask)
        assert farm.admin.ask("about")["software"]
        answers = 0
        while raw.poll(500):
            raw.recv_multipart()
            answers += 1
        assert answers < 5500


# --- what jobs bring ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["job", "attempt"])
@pytest.mark.parametrize("climbing", ["../../etc", "/etc/passwd", "..\\..\\x", "a" * 65, "nul"])
def test_an_id_that_climbs_out_of_its_folder_is_no_id(field: str, climbing: str) -> None:
    piece = {"type": "filepiece", "v": m.PROTOCOL, "kind": "log", "job": A, "attempt": B, "offset": 0, "last": True}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(piece | {field: climbing}, m.FilePiece)


@pytest.mark.parametrize("argument", ["; touch {}", "$(touch {})", "`touch {}`", "| touch {}", "&& touch {}", "\n touch {}"])
def test_arguments_reach_the_program_as_they_are_and_no_shell(farm: Target, argument: str, tmp_path: Path) -> None:
    mark, seen = tmp_path / "mark", tmp_path / "seen"
    text = argument.format(mark)
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    job = submit_command(farm.admin, PYTHON, "-c", script, str(seen), text)
    assert ended(farm.admin, job)["status"] == "completed"
    assert seen.read_text() == text and not mark.exists()


@pytest.mark.parametrize("argument", ["{frame.__class__}", "{frame[0]}", "{output.__init__.__globals__}", "{0}", "{secret}"])
def test_placeholders_reach_nothing_but_frame_and_output(farm: Target, argument: str) -> None:
    with pytest.raises(BadInput, match="is not a placeholder"):
        submit_command(farm.admin, "echo", argument)


def test_a_job_sees_none_of_the_worker_s_secrets(farm: Target, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"
    ended(farm.admin, submit_command(farm.admin, PYTHON, "-c", script, str(seen)))
    environment = json.loads(seen.read_text())
    assert "PATH" in environment
    assert not [name for name in environment if any(word in name.upper() for word in ("TOKEN", "SECRET", "PASSWORD", "BRENDER"))]


def test_a_log_that_would_move_the_terminal_s_cursor_is_shown_as_what_it_is(
    farm: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    script = r"print('\x1b[2J\x1b]0;owned\x07 harmless \x9b31m \u202e tail')"
    job = submit_command(farm.admin, PYTHON, "-c", script)
    ended(farm.admin, job)
    until(lambda: "harmless" in farm.admin.ask("log", job=job)["text"])
    shown = command(capsys, "log", job, "--data", farm.folder.root).out
    assert "harmless" in shown and "tail" in shown
    assert not [char for char in shown if not char.isprintable() and char != "\n"]


def test_a_name_that_would_move_the_terminal_s_cursor_does_not(farm: Target, capsys: pytest.CaptureFixture[str]) -> None:
    submit_command(farm.admin, "true", name="\x1b[2Jgone\x07")
    shown = command(capsys, "jobs", "--data", farm.folder.root).out
    assert "gone" in shown and "\x1b" not in shown and "\x07" not in shown


# --- secrets ------------------------------------------------------------------------------------------------------------


def test_no_secret_stands_in_the_database_the_logs_or_the_list_of_processes(farm: Target) -> None:
    token = farm.token(KeyRole.WORKER, uses=5)
    mallory = Joining(new_pair(), KeyRole.WORKER, "w", new_id())
    mallory.with_token(token)
    secrets = [token.secret, token.as_text(), mallory.pair.secret]
    secrets += [json.loads(path.read_text())["secret"] for path in (farm.folder.server_key, farm.folder.local_key)]
    places = [*farm.folder.root.glob("farm.db*"), *farm.folder.root.glob("run/*"), *farm.folder.root.glob("logs/*/*")]
    for place in places:
        content = place.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], place
    running = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert not [secret for secret in secrets if secret in running]


def test_a_token_that_was_given_as_a_word_leaves_the_list_of_processes(farm: Target, tmp_path: Path) -> None:
    text = farm.token(KeyRole.MANAGER).as_text()
    words = [PYTHON, "-m", "brender.commands.main", "role", "manager", "--join", text, "--port-base", "0", "--name", "hidden"]
    with subprocess.Popen([*words, "--data", str(tmp_path)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as started:
        try:
            until(lambda: any(row["name"] == "hidden" for row in farm.admin.ask("managers")))
            shown = Path(f"/proc/{started.pid}/cmdline").read_bytes()
            assert b"hidden" in shown and text.encode() not in shown
        finally:
            started.kill()


def test_files_with_secrets_are_their_owner_s_alone(farm: Target) -> None:
    private = [*farm.folder.root.glob("keys/*"), *farm.folder.root.glob("*/*/key"), *farm.folder.root.glob("*/*/membership.json")]
    assert len(private) >= 6
    assert [oct(path.stat().st_mode & 0o777) for path in private] == ["0o600"] * len(private)


def test_a_key_that_others_could_read_is_not_used(tmp_path: Path) -> None:
    from brender.bus.keys import kept_pair

    kept_pair(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(BadInput, match=r"Others may read the key in .*chmod 600"):
        kept_pair(tmp_path / "key")


def test_each_change_is_recorded_with_who_and_from_where(farm: Target) -> None:
    mallory = farm.admit(KeyRole.CLIENT, "anna")
    assert mallory.membership is not None
    from brender.bus.client import Client

    with Client(farm.server, mallory.pair) as anna:
        spec = msgspec.structs.replace(command_job(("true",), {}, "x"), user="somebody else")
        job = anna.submit(spec)["id"]
        anna.act("priority", job, 60, user="somebody else")
    assert farm.admin.ask("job", id=job)["user"] == "anna"
    (row,) = [row for row in farm.admin.ask("activity", job=job) if row["action"] == "priority"]
    assert (row["user"], row["principal"], row["origin"]) == ("anna", mallory.membership.key, "127.0.0.1")

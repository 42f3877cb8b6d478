"""Messages, sockets, files in transit: how roles talk, and what they make of rubbish."""

import contextlib
import hashlib
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from select import select
from types import SimpleNamespace
from typing import Literal

import msgpack
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from brender.bus.address import Address, ManagerAddresses, ServerAddresses, own_hosts, parse_address, resolve
from brender.bus.client import Client
from brender.bus.codec import Malformed, WrongVersion, decode, encode
from brender.bus.keys import Credentials, KeyPair, Keyring, new_pair
from brender.bus.loop import Loop
from brender.bus.messages import PROTOCOL, Ask, Bye, Event, FileAck, FilePiece, Hello, PartDone, Ping, Refused, Reports, Started
from brender.bus.transport import Socket
from brender.commands import discovery
from brender.model.errors import BadInput, Conflict, Unreachable
from brender.model.frame_file import FrameFile
from brender.model.keys import KeyRole, Principal
from brender.transfer.blob_store import BlobStore
from brender.transfer.manager import FileRelay
from brender.transfer.pieces import PIECE, append_piece
from brender.transfer.server import FileReceiver, ServerPlaces
from brender.transfer.worker import FileSender
from tests.tools import until

ANY = Address("127.0.0.1", 0)
HELLO = Hello(node="a" * 16, incarnation=1, role="worker", name="w", host="h", software="3")


def test_a_message_arrives_as_it_was_sent() -> None:
    message = Reports(
        worker="a" * 16, reports=(Started(attempt="c" * 16, number=1), PartDone(attempt="c" * 16, number=2, part=3, seconds=0.5))
    )
    assert decode(encode(message, [b"bulk"])) == (message, [b"bulk"])


def test_a_file_name_that_no_utf8_can_hold_ends_no_role() -> None:
    (message, _) = decode(encode(Bye(reason="caf\udce9.blend")))
    assert message == Bye(reason="caf?.blend")


def test_a_number_that_no_message_can_hold_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadInput):
        encode(Ask(id="a" * 16, question="why", arguments={"frame": 2**64}))


def packed(**fields: object) -> list[bytes]:
    return [msgpack.packb({"v": PROTOCOL, **fields})]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"\xff\xff"],
        [msgpack.packb([1, 2])],
        [msgpack.packb({"v": PROTOCOL})],
        packed(type="hello"),
        packed(type="nonsense"),
        packed(type="bye", reason=5),
        packed(type="bye", reason="x" * 30_000),
        packed(type="received", worker="a" * 65, attempts=[]),
        packed(type="filepiece", kind="log", job="../../etc", attempt="a" * 16, offset=0, last=True),
        packed(type="grants", grants=[{"attempt": "../../etc", "worker": "a", "task": 1, "job": "a", "parts": []}], orders=[]),
        packed(type="progress", worker="a" * 16, attempt="a" * 16, frame=2**63),
        packed(type="progress", worker="a" * 16, attempt="a" * 16, frame=1, fraction=float("nan")),
        packed(type="beat", node="a" * 16, incarnation=1, sequence=2**60),
        packed(type="beat", node="a" * 16, incarnation=1, sequence=1, stats={"load": float("inf")}),
        packed(type="reports", worker="a" * 16, reports=[{"kind": "started", "attempt": "a" * 16, "number": -1}]),
        [b"\x91" * 5000],
        [msgpack.packb({"v": PROTOCOL, "type": "ping"})] * 100,
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(frames: list[bytes]) -> None:
    with pytest.raises(Malformed, match=r"\w"):
        decode(frames)


@given(st.binary(max_size=400))
def test_no_bytes_whatever_do_more_than_be_refused(raw: bytes) -> None:
    with suppress(Malformed):
        decode([raw])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    ),
    st.sampled_from(["hello", "grants", "reports", "submit", "act", "ask", "event", "filepiece", "beats"]),
)
def test_no_fields_whatever_do_more_than_be_refused(value: object, kind: str) -> None:
    fields = value if isinstance(value, dict) else {"node": value, "jobs": value, "reports": value, "job": value}
    with suppress(Malformed):
        decode([msgpack.packb({**fields, "v": PROTOCOL, "type": kind})])


@pytest.mark.parametrize("version", [0, PROTOCOL - 1, PROTOCOL + 1, str(PROTOCOL), None, True, float(PROTOCOL)])
def test_another_protocol_is_told_from_rubbish(version: object) -> None:
    with pytest.raises(WrongVersion, match="install the same brender on both machines"):
        decode([msgpack.packb({"v": version, "type": "ping"})])


def test_a_node_of_before_films_and_view_layers_is_told_to_be_renewed() -> None:
    with pytest.raises(WrongVersion, match=r"speaks protocol 5, this one .* install the same brender on both machines"):
        decode([msgpack.packb({"v": 5, "type": "ping"})])


def test_a_message_that_names_no_protocol_is_of_none_of_ours() -> None:
    with pytest.raises(WrongVersion, match="the other end speaks protocol 'none'"):
        decode([msgpack.packb({"type": "ping"})])


class Pair:
    """A ROUTER and a DEALER that know each other."""

    def __init__(self) -> None:
        self.context: zmq.Context = zmq.Context()
        self.router = Socket(self.context, zmq.ROUTER, "router", None)
        self.address = self.router.bind(ANY, "The test")
        self.dealer = Socket(self.context, zmq.DEALER, "dealer", None)
        self.dealer.connect(self.address)

    def send_raw(self, frames: list[bytes]) -> None:
        self.dealer.raw.send_multipart(frames)

    def next(self, socket: Socket, seconds: float = 5) -> list:
        assert socket.raw.poll(int(seconds * 1000)), "nothing arrived"
        return list(socket.drain())


@pytest.fixture
def pair():  # type: ignore[no-untyped-def]
    made = Pair()
    yield made
    made.context.destroy(linger=0)


def test_rubbish_is_counted_and_logged_once_a_sender_and_the_rest_still_arrives(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        pair.send_raw([b"rubbish"])
    pair.send_raw(encode(HELLO))
    heard = []
    while not heard:
        heard = pair.next(pair.router)
    assert [received.message for received in heard] == [HELLO]
    assert list(pair.router.malformed.values()) == [3]
    assert len([record for record in caplog.records if "dropped" in record.message]) == 1


def test_a_peer_of_another_protocol_is_told_so(pair: Pair) -> None:
    pair.send_raw([msgpack.packb({"v": 99, "type": "hello"})])
    assert pair.next(pair.router) == []
    (answer,) = pair.next(pair.dealer)
    assert isinstance(answer.message, Refused) and "protocol 99" in answer.message.reason


def test_sending_to_nobody_is_refused_and_blocks_nothing(pair: Pair) -> None:
    assert pair.router.send(Ping(), b"nobody") is False
    lonely = Socket(pair.context, zmq.DEALER, "lonely", None)
    lonely.connect(Address("127.0.0.1", 1))
    assert lonely.send(Ping()) is False


@pytest.mark.parametrize("closes", [False, True])
def test_what_takes_a_connection_and_says_nothing_is_not_taken_for_a_stranger(closes: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, zmq.Context() as context:
        if closes:
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        ours = Socket(context, zmq.DEALER, "ours", Credentials(new_pair(), new_pair().public))
        ours.raw.setsockopt(zmq.HANDSHAKE_IVL, 200)
        connections = ours.connections()
        ours.connect(Address("127.0.0.1", listener.getsockname()[1]))
        until(lambda: not connections.happened() and (connections.strange or connections.mute))
        assert (connections.strange, connections.mute) == (closes, not closes)
        listener.close()
        until(lambda: not connections.happened() and connections.nobody)
        assert not connections.strange and not connections.mute
        ours.close()


def test_a_port_in_use_is_a_clear_conflict(pair: Pair) -> None:
    with pytest.raises(Conflict, match=f"port {pair.address.port} on 127.0.0.1 is in use"):
        Socket(pair.context, zmq.ROUTER, "second", None).bind(pair.address, "The server")


def test_events_reach_those_who_asked_for_their_kind() -> None:
    context: zmq.Context = zmq.Context()
    publisher = Socket(context, zmq.XPUB, "events", None)
    listener = Socket(context, zmq.SUB, "listener", None)
    listener.connect(publisher.bind(ANY, "The test"))
    listener.subscribe("job")
    assert publisher.raw.poll(5000) and publisher.raw.recv() == b"\x01job"
    for kind in ("worker", "job"):
        publisher.send(Event(change=1, wall=1.0, kind=kind, key="x", fields={}), topic=kind)
    assert listener.raw.poll(5000)
    assert [received.message.kind for received in listener.drain()] == ["job"]
    context.destroy(linger=0)


def test_what_other_threads_post_runs_in_the_loop() -> None:
    loop, ran = Loop(), []
    threading.Thread(target=lambda: (loop.post(lambda: ran.append(threading.current_thread())), loop.stop())).start()
    loop.run(lambda: None, interval=10)
    assert ran == [threading.current_thread()]


def test_a_wake_up_that_comes_late_does_not_keep_the_loop_from_resting() -> None:
    loop, waiting = Loop(), []

    def tick() -> None:
        waiting.append(select([loop._wake_out], [], [], 0)[0])
        loop._stopping = True

    loop._wake_in.send(b"\0")  # as of a thread that was put aside between its mark and its byte
    loop.run(tick, interval=10)
    assert waiting == [[]]


@pytest.mark.parametrize(("has_parent", "times"), [(True, 2), (False, 3)])
def test_signals_that_come_at_once_are_one_where_a_parent_passes_its_own_on(
    has_parent: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, heard, at = Loop(), [], [100.0]
    monkeypatch.setattr("brender.bus.loop.time", SimpleNamespace(monotonic=lambda: at[0]))
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        loop.on_signals(lambda: heard.append(at[0]), has_parent)
        for at[0] in (100.0, 100.1, 103.0):
            signal.raise_signal(signal.SIGTERM)
        loop.stop()
        loop.run(lambda: None, interval=10)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert len(heard) == times


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("here", "here", 9999), ("here:1", "here", 1), ("tcp://here:1", "here", 1), ("[::1]:5", "::1", 5), ("::1", "::1", 9999)],
)
def test_addresses_are_read_as_people_write_them(text: str, host: str, port: int) -> None:
    assert parse_address(text, 9999) == Address(host, port)


@pytest.mark.parametrize("text", ["", ":5", "a:b", "a:70000", "a:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not an address"):
        parse_address(text, 9999)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "localhost", "::1"])
def test_what_is_for_this_machine_only_takes_loopback(host: str) -> None:
    resolve(Address(host, 1), "It", local_only=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "8.8.8.8"])
def test_what_is_for_this_machine_only_takes_nothing_else(host: str) -> None:
    with pytest.raises(BadInput, match="others could reach"):
        resolve(Address(host, 1), "The dashboard's address", local_only=True)


@pytest.mark.parametrize(("host", "number"), [("*", "0.0.0.0"), ("0.0.0.0", "0.0.0.0"), ("8.8.8.8", "8.8.8.8")])
def test_roles_listen_and_connect_beyond_this_machine(host: str, number: str) -> None:
    assert resolve(Address(host, 1), "It") == Address(number, 1)


def test_a_name_that_nobody_has_is_said_so() -> None:
    with pytest.raises(BadInput, match="cannot be resolved"):
        resolve(Address("no.such.host.invalid", 1), "The server's address")


def test_the_name_that_debian_gives_a_host_leads_to_where_roles_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(None, None, None, "", ("127.0.1.1", 0))])
    assert resolve(Address("brender-server", 9999), "It") == Address("127.0.0.1", 9999)
    assert resolve(Address("127.0.1.1", 9999), "It") == Address("127.0.1.1", 9999)


@pytest.mark.parametrize(
    ("number", "stays"), [("10.0.0.7", True), ("127.0.1.1", False), ("fd00::7", False)], ids=["another's", "own", "IPv6 alone"]
)
def test_the_name_of_another_machine_is_looked_up_at_each_try_to_connect(
    number: str, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(None, None, None, "", (number, 0))])
    server = ServerAddresses.of(Address("farm", 9999), "k").to_connect()
    assert {server.control.host, server.files.host} == {"farm" if stays else "127.0.0.1" if number != "fd00::7" else number}
    assert ManagerAddresses.of(Address("farm", 7777)).to_connect().stats.port == 7778


def test_addresses_that_only_containers_of_this_machine_reach_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(host: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(family=socket.AF_INET, address=host)]

    known = {"lo": at("127.0.0.1"), "docker0": at("10.1.0.1"), "br-04f2": at("10.2.0.1"), "eth0": at("192.168.1.5")}
    monkeypatch.setattr("psutil.net_if_addrs", lambda: known)
    assert own_hosts() == ["192.168.1.5", "10.1.0.1", "10.2.0.1"]


def test_of_the_addresses_that_a_role_announces_the_one_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as gone:
        good, bad = (Address("127.0.0.1", each.getsockname()[1]) for each in (there, gone))
        gone.close()
        assert discovery.one_that_answers([bad, good]) == good
        assert discovery.one_that_answers([bad, bad]) == bad, "perhaps it answers later"


def test_a_piece_is_written_only_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "log"
    assert append_piece(path, 0, b"one") == 3
    assert append_piece(path, 0, b"one") == 3, "the same again changes nothing"
    assert append_piece(path, 10, b"gap") == 3, "beyond the end changes nothing"
    assert append_piece(path, 3, b"two") == 6
    assert path.read_bytes() == b"onetwo"


def principal(role: KeyRole, pair: KeyPair, letter: str) -> Principal:
    return Principal(id=letter * 16, public=pair.public, role=role, name=letter, node=letter * 16)


def test_files_arrive_whole_through_a_manager_and_are_then_deleted_at_the_worker(tmp_path: Path) -> None:
    above, between, below = new_pair(), new_pair(), new_pair()
    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])

    def place(piece: FilePiece) -> Path | None:
        return tmp_path / "server" / f"{piece.kind}-{piece.attempt}-{piece.part}" if piece.worker == "b" * 16 else None

    places = ServerPlaces(place, lambda *wanted: None, BlobStore(tmp_path / "blobs"))
    server = FileReceiver(ANY, places, above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(tmp_path / "cache", 10**9))
    worker = FileSender(BlobStore(tmp_path / "own", 10**9))
    ends = (server, manager, worker)
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    for end in ends:
        end.start()
    content = bytes(range(256)) * 4000
    log, picture = tmp_path / "log", tmp_path / "picture"
    log.write_bytes(content[:300_000])
    picture.write_bytes(b"jpeg")
    worker.send_log("a" * 16, "b" * 16, log)
    worker.send_thumbnail("a" * 16, "b" * 16, 7, picture)
    with log.open("ab") as file:
        file.write(content[300_000:])
    worker.send_log("a" * 16, "b" * 16, log, finished=True)
    assert worker.wait_idle(20)
    for end in ends:
        end.stop()
    assert (tmp_path / "server" / f"log-{'b' * 16}-0").read_bytes() == content
    assert (tmp_path / "server" / f"thumbnail-{'b' * 16}-7").read_bytes() == b"jpeg"
    assert not log.exists() and not picture.exists()


def test_a_blob_that_is_gone_is_asked_of_whoever_can_have_it_again_or_knows_why_not(tmp_path: Path) -> None:
    above, between, below = new_pair(), new_pair(), new_pair()
    store, blob, lost = BlobStore(tmp_path / "blobs"), hashlib.sha256(b"frame").hexdigest(), "f" * 64
    (tmp_path / "frame").write_bytes(b"frame")

    def recover(wanted: str, then: Callable[[str | None], None]) -> None:
        then(None if store.keep(tmp_path / "frame", wanted) else "it was changed")

    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])
    server = FileReceiver(ANY, ServerPlaces(lambda piece: None, lambda *part: None, store, recover=recover), above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(tmp_path / "cache", 10**9))
    worker = FileSender(BlobStore(tmp_path / "own", 10**9))
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    told: dict[str, str] = {}
    for end in (server, manager, worker):
        end.start()
    for wanted in (blob, lost):
        worker.fetch(wanted, partial(told.__setitem__, wanted))
    until(lambda: len(told) == 2)
    for end in (server, manager, worker):
        end.stop()
    assert told == {blob: "", lost: "it was changed"}


@contextlib.contextmanager
def files_sent(folder: Path, of: Callable[[FilePiece], Path | None]) -> Iterator[FileSender]:
    """A worker's end, by way of a manager's to a server's that puts files where *of* says."""
    above, between, below = new_pair(), new_pair(), new_pair()
    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])
    server = FileReceiver(ANY, ServerPlaces(of, lambda *wanted: None, BlobStore(folder / "blobs")), above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(folder / "cache", 10**9))
    worker = FileSender(BlobStore(folder / "own", 10**9))
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    ends = (server, manager, worker)
    for end in ends:
        end.start()
    try:
        yield worker
    finally:
        for end in ends:
            end.stop()


def test_files_of_a_deleted_attempt_are_refused_once_and_go(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("x")
    (tmp_path / "frame").write_bytes(b"frame")
    told: list[str] = []
    with files_sent(tmp_path, lambda piece: None) as worker:
        worker.send_log("a" * 16, "b" * 16, tmp_path / "log", finished=True)
        worker.send_frame(FrameFile("frame", "a" * 16, "b" * 16, 1, 0, tmp_path / "frame", "0" * 64), told.append)
        assert worker.wait_idle(10)
    assert told == ["the server knows no such attempt of this worker (any more)"]
    assert not (tmp_path / "log").exists() and not (tmp_path / "frame").exists()


def test_a_frame_that_cannot_be_read_any_more_is_told_of_at_once(tmp_path: Path) -> None:
    told: list[str] = []
    with files_sent(tmp_path, lambda piece: tmp_path / "arrived") as worker:
        worker.send_frame(FrameFile("frame", "a" * 16, "b" * 16, 1, 0, tmp_path / "gone", "0" * 64), told.append)
        assert worker.wait_idle(10)
    assert told == ["it cannot be read any more: No such file or directory"]


def test_a_thread_for_files_goes_on_after_what_nobody_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.transfer.worker._RESEND_SECONDS", 0.1)

    def fails_first(piece: FilePiece) -> Path:
        if not failed:
            failed.append(piece)
            raise RuntimeError("unexpected")
        return tmp_path / "arrived"

    failed: list[FilePiece] = []
    (tmp_path / "log").write_text("x")
    with files_sent(tmp_path, fails_first) as worker:
        worker.send_log("a" * 16, "b" * 16, tmp_path / "log", finished=True)
        assert worker.wait_idle(15)
    assert failed and (tmp_path / "arrived").read_text() == "x"


def test_frames_wait_at_their_worker_while_the_server_s_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.transfer.worker._RESEND_SECONDS", 0.1)
    above, between, below = new_pair(), new_pair(), new_pair()
    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])
    store, free = BlobStore(tmp_path / "blobs"), [10**8]
    monkeypatch.setattr(store, "free_bytes", lambda: free[0])
    places = ServerPlaces(lambda piece: tmp_path / "arrived", lambda *wanted: None, store, least_free=10**9)
    server = FileReceiver(ANY, places, above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(tmp_path / "cache", 10**9))
    worker = FileSender(BlobStore(tmp_path / "own", 10**9))
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    (tmp_path / "frame").write_bytes(b"frame")
    arrived = threading.Event()
    for end in (server, manager, worker):
        end.start()
    worker.send_frame(
        FrameFile("frame", "a" * 16, "b" * 16, 1, 0, tmp_path / "frame", hashlib.sha256(b"frame").hexdigest()),
        lambda reason: arrived.set(),
    )
    until(lambda: worker.refused)
    assert "0.5 GB stay free (half of brender-server --keep-free)" in worker.refused and not (tmp_path / "arrived").exists()
    free[0] = 10**10
    assert arrived.wait(10) and not worker.refused
    for end in (server, manager, worker):
        end.stop()


def test_a_frame_arrives_whole_whatever_is_lost_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brender.transfer.worker._RESEND_SECONDS", 0.05)
    above, between, below, chance = new_pair(), new_pair(), new_pair(), random.Random(1)
    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])
    store, send, sent = BlobStore(tmp_path / "blobs"), Socket.send, set[int]()
    places = ServerPlaces(lambda piece: tmp_path / f"arrived-{piece.part}", lambda *wanted: None, store)
    server = FileReceiver(ANY, places, above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(tmp_path / "cache", 10**9))
    worker = FileSender(BlobStore(tmp_path / "own", 10**9))
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    content = {part: random.Random(part).randbytes(part * PIECE + part) for part in (1, 9)}
    over = {part: threading.Event() for part in content}

    def lossy(socket: Socket, message: object, *args: object, **more: object) -> bool:
        if socket.name == "worker files" and isinstance(message, FilePiece) and message.part == 9:
            sent.add(message.offset)
        if isinstance(message, FileAck) and message.part == 9 and len(sent) < 4:
            return True  # several pieces are on their way before the first is acknowledged
        return chance.random() < 0.2 or send(socket, message, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Socket, "send", lossy)
    for end in (server, manager, worker):
        end.start()
    for part, bytes_ in content.items():
        (tmp_path / f"frame-{part}").write_bytes(bytes_)
        kind: Literal["frame", "piece"] = "piece" if part == 1 else "frame"
        name = hashlib.sha256(bytes_).hexdigest()
        file = FrameFile(kind, "a" * 16, "b" * 16, part, 0, tmp_path / f"frame-{part}", name)
        worker.send_frame(file, lambda reason, part=part: over[part].set())
    assert all(event.wait(30) for event in over.values())
    for end in (server, manager, worker):
        end.stop()
    assert (tmp_path / "arrived-9").read_bytes() == content[9]
    assert store.path(hashlib.sha256(content[1]).hexdigest()).read_bytes() == content[1]


def test_a_goodbye_has_its_default_reason() -> None:
    assert decode(encode(Bye()))[0] == Bye(reason="")


def test_a_server_that_takes_connections_and_says_nothing_is_not_said_to_be_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        there = ServerAddresses.of(Address("127.0.0.1", hung.getsockname()[1]), new_pair().public)
        with Client(there, new_pair(), 0.2) as client, pytest.raises(Unreachable, match="is there and did not answer within"):
            client.ask("jobs")
    with Client(there, new_pair(), 0.2) as client, pytest.raises(Unreachable, match="Is it running"):
        client.ask("jobs")

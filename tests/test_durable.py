"""What was acknowledged survives a power cut: its sender has forgotten it."""

import hashlib
import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from brender.bus.keys import Credentials, Keyring, new_pair
from brender.bus.messages import BlobHave, BlobPiece, FileAck, FilePiece, Message, NoFile
from brender.bus.transport import Socket
from brender.model.frame_file import FrameFile
from brender.model.keys import KeyRole
from brender.transfer import durable
from brender.transfer.blob_store import BlobStore
from brender.transfer.blobs import Intake
from brender.transfer.manager import FileRelay
from brender.transfer.pieces import Arrivals
from brender.transfer.server import FileReceiver, ServerPlaces
from brender.transfer.worker import FileSender
from tests.power import Disk
from tests.test_bus import ANY, principal

ATTEMPT = "b" * 16


def acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Send one file of each kind from a worker by a manager to a server; returns by kind whether it would have survived a power
    cut at the moment when it was acknowledged."""
    above, between, below = new_pair(), new_pair(), new_pair()
    ring = Keyring([principal(KeyRole.MANAGER, between, "a"), principal(KeyRole.WORKER, below, "b")])
    root, store = tmp_path / "server", BlobStore(tmp_path / "server" / "blobs")
    disk, survives, send = Disk(monkeypatch), dict[str, bool](), Socket.send
    contents = {kind: kind.encode() * 1000 for kind in ("log", "thumbnail", "frame", "piece")}
    digests = {kind: hashlib.sha256(content).hexdigest() for kind, content in contents.items()}

    def place(piece: FilePiece) -> Path:
        return root / piece.kind / "deeper" / f"{piece.attempt}-{piece.part}"

    def sent(socket: Socket, message: object, *args: object, **more: object) -> bool:
        if isinstance(message, FileAck) and message.complete and socket.name == "server files":
            arrived = root / message.kind / "deeper" / f"{ATTEMPT}-{message.part}"
            path = store.path(digests["piece"]) if message.kind == "piece" else arrived
            survives[message.kind] = disk.has(path, root)
        return send(socket, message, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Socket, "send", sent)
    server = FileReceiver(ANY, ServerPlaces(place, lambda *part: None, store), above, ring)
    manager = FileRelay(ANY, between, ring, BlobStore(tmp_path / "cache", 10**9))
    worker = FileSender(BlobStore(tmp_path / "own", 10**9))
    manager.connect(server.address, Credentials(between, above.public))
    worker.turn_to(manager.address, Credentials(below, between.public))
    for end in (server, manager, worker):
        end.start()
    for kind, content in contents.items():
        (tmp_path / kind).write_bytes(content)
    worker.send_log("a" * 16, ATTEMPT, tmp_path / "log", finished=True)
    worker.send_thumbnail("a" * 16, ATTEMPT, 1, tmp_path / "thumbnail")
    over = {"frame": threading.Event(), "piece": threading.Event()}
    for kind, event in over.items():
        file = FrameFile(kind, "a" * 16, ATTEMPT, 1, 0, tmp_path / kind, digests[kind])  # type: ignore[arg-type]
        worker.send_frame(file, lambda reason, event=event: event.set())
    assert worker.wait_idle(20) and all(event.wait(5) for event in over.values())
    for end in (worker, manager, server):
        end.stop()
    assert set(survives) == set(contents)
    return survives


def test_a_file_that_its_worker_forgets_survives_a_power_cut_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(acknowledged(tmp_path, monkeypatch).values())


@pytest.mark.parametrize("forgotten", ["flush_files", "flush_names"])
def test_a_file_that_is_acknowledged_before_it_is_flushed_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """So that the test before can fail: of the file the content, or its name, is not flushed."""
    for module in ("server", "blob_store"):
        monkeypatch.setattr(f"brender.transfer.{module}.{forgotten}", lambda *_: {})
    assert not any(acknowledged(tmp_path, monkeypatch).values())


def test_a_cache_trusts_nothing_that_a_power_cut_may_have_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache does not flush what it fetches, since it can fetch it again."""
    cache, written = BlobStore(tmp_path, 10**9), time.time() - 86_400
    cache.forget_what_was_given_up()
    blobs = {age: hashlib.sha256(age.encode()).hexdigest() for age in ("old", "new")}
    for age, blob in blobs.items():
        cache.path(blob).parent.mkdir()
        cache.path(blob).write_bytes(age.encode())
        os.utime(cache.path(blob), (written - 3600 * (age == "old"),) * 2)
    cache.forget_what_was_given_up()
    assert cache.has(blobs["old"]) and cache.has(blobs["new"]), "the role was started again, not the machine"
    boot = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot + 50_000)
    BlobStore(tmp_path, 10**9).forget_what_was_given_up()
    assert cache.has(blobs["old"]) and not cache.has(blobs["new"])


@pytest.mark.parametrize("length", [0, 5])
def test_a_file_that_a_client_sent_survives_a_power_cut_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    disk, store, content = Disk(monkeypatch), BlobStore(tmp_path / "data" / "blobs"), b"x" * length
    blob = hashlib.sha256(content).hexdigest()
    answer = Intake(store).take(BlobPiece(blob=blob, size=length, offset=0), content)
    assert answer == BlobHave(blob=blob, offset=length, complete=True) and disk.has(store.path(blob), tmp_path / "data")


def test_what_a_disk_did_not_take_while_it_came_is_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is flushed as it comes, and only the first flush after a failure tells of it."""
    store, content, failing = BlobStore(tmp_path / "blobs"), bytes(range(200)), [OSError(5, "Input/output error")]
    blob, arrivals, intake = hashlib.sha256(content).hexdigest(), Arrivals(), Intake(store)
    monkeypatch.setattr(durable, "_AHEAD_BYTES", 50)
    flush = durable.flush_file

    def flushed(path: Path) -> None:
        if failing:
            raise failing.pop()
        flush(path)

    monkeypatch.setattr(durable, "flush_file", flushed)

    def sent() -> list[Message]:
        pieces = [BlobPiece(blob=blob, size=200, offset=offset) for offset in range(0, 200, 50)]
        return [intake.take(piece, content[piece.offset : piece.offset + 50]) for piece in pieces]

    assert any(isinstance(answer, NoFile) and "Input/output error" in answer.reason for answer in sent())
    assert not store.has(blob) and sent()[-1] == BlobHave(blob=blob, offset=200, complete=True)
    failing.append(OSError(5, "Input/output error"))
    frame = tmp_path / "frame"
    arrivals.add(frame, 0, content)
    with pytest.raises(OSError, match="Input/output error"):
        arrivals.digest(frame)
    assert not frame.exists()
    arrivals.add(frame, 0, content)
    assert arrivals.digest(frame) == blob

"""What a client sends to the server's files door, and fetches from there, while the files change."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from brender.bus.keys import Credentials, Keyring, new_pair
from brender.model.errors import BadInput
from brender.model.keys import KeyRole
from brender.transfer.blob_store import BlobStore
from brender.transfer.client import Exchange
from brender.transfer.pieces import PIECE
from brender.transfer.server import FileReceiver, ServerPlaces
from tests.test_bus import ANY, principal


@dataclass
class Server:
    """A server's files door, and a client that is connected to it."""

    store: BlobStore
    client: Exchange


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    above, below, store = new_pair(), new_pair(), BlobStore(tmp_path / "blobs")
    ring = Keyring([principal(KeyRole.CLIENT, below, "c")])
    receiver = FileReceiver(ANY, ServerPlaces(lambda piece: None, lambda *part: None, store), above, ring)
    receiver.start()
    with Exchange(receiver.address, Credentials(below, above.public)) as client:
        yield Server(store, client)
    receiver.stop()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def cut(path: Path) -> None:
    os.truncate(path, PIECE // 2)


def saved_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"saved")


@pytest.mark.parametrize("pieces", [0, 40])
@pytest.mark.parametrize("change", [cut, saved_in_place, Path.unlink])
def test_a_file_that_is_changed_before_it_is_sent_is_refused_in_a_sentence(
    server: Server, tmp_path: Path, pieces: int, change: Callable[[Path], None]
) -> None:
    path, content = tmp_path / "scene.blend", random.Random(1).randbytes(pieces * PIECE + 600_000)
    path.write_bytes(content)
    change(path)
    with pytest.raises(BadInput, match=r"scene\.blend .*: submit again"):
        server.client.send({digest(content): path})
    assert not server.store.has(digest(content))


@pytest.mark.parametrize("change", [cut, saved_in_place])
def test_a_file_that_is_changed_while_it_is_sent_is_refused_in_a_sentence(
    server: Server, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path, content = tmp_path / "scene.blend", random.Random(2).randbytes(60 * PIECE)
    path.write_bytes(content)
    changes = iter([change])

    def progress(sent: int, total: int) -> None:
        for each in changes if 0 < sent < total else ():
            each(path)

    with pytest.raises(BadInput, match=r"scene\.blend was changed while it was sent: submit again"):
        server.client.send({digest(content): path}, progress)


def test_a_file_that_is_replaced_while_it_is_sent_arrives_as_it_was(server: Server, tmp_path: Path) -> None:
    """Blender saves to another name, and gives that the file's own."""
    path, content = tmp_path / "scene.blend", random.Random(3).randbytes(60 * PIECE)
    path.write_bytes(content)

    def progress(sent: int, total: int) -> None:
        if sent < total:
            (tmp_path / "new").write_bytes(b"newer")
            (tmp_path / "new").replace(path)

    server.client.send({digest(content): path}, progress)
    assert server.store.path(digest(content)).read_bytes() == content

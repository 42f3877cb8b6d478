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
from brender.roles.server.files import piece_of
from brender.transfer.blob_store import BlobStore
from brender.transfer.client import Exchange
from brender.transfer.pieces import PIECE
from brender.transfer.server import FileReceiver, ServerPlaces
from tests.test_bus import ANY, principal
from tests.test_job_files import contents
from tests.tools import replace_unseen


@dataclass
class Server:
    """A server's files door, and a client that is connected to it; *frame* is the only one that it has."""

    store: BlobStore
    client: Exchange
    frame: Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    above, below, store, frame = new_pair(), new_pair(), BlobStore(tmp_path / "blobs"), tmp_path / "frame"
    ring = Keyring([principal(KeyRole.CLIENT, below, "c")])
    places = ServerPlaces(
        lambda piece: None, lambda wanted, answer: answer(*piece_of(os.open(frame, os.O_RDONLY), wanted)), store
    )
    receiver = FileReceiver(ANY, places, above, ring)
    receiver.start()
    with Exchange(receiver.address, Credentials(below, above.public)) as client:
        yield Server(store, client, frame)
    receiver.stop()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def cut(path: Path) -> None:
    os.truncate(path, PIECE // 2)


def saved_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"saved")


@pytest.mark.parametrize("pieces", [0, 3])
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
    path, content = tmp_path / "scene.blend", random.Random(2).randbytes(34 * PIECE)
    path.write_bytes(content)
    changes = iter([change])

    def progress(sent: int, total: int) -> None:
        for each in changes if 0 < sent < total else ():
            each(path)

    with pytest.raises(BadInput, match=r"scene\.blend was changed while it was sent: submit again"):
        server.client.send({digest(content): path}, progress)


def test_a_file_that_is_replaced_while_it_is_sent_arrives_as_it_was(server: Server, tmp_path: Path) -> None:
    """Blender saves to another name, and gives that the file's own."""
    path, content = tmp_path / "scene.blend", random.Random(3).randbytes(34 * PIECE)
    path.write_bytes(content)

    def progress(sent: int, total: int) -> None:
        if sent < total:
            (tmp_path / "new").write_bytes(b"newer")
            (tmp_path / "new").replace(path)

    server.client.send({digest(content): path}, progress)
    assert server.store.path(digest(content)).read_bytes() == content


class Cut(Exception):
    """The client was ended in the middle."""


def fetch(server: Server, target: Path, at: int = -1, then: Callable[[], object] = lambda: None) -> None:
    """Fetch the frame as *target*; when *at* bytes are here for the first time, *then* is done."""
    once = iter([then])

    def progress(have: int, size: int) -> None:
        for each in once if have == at else ():
            each()

    server.client.fetch("a" * 16, 1, target, progress)


def end() -> None:
    raise Cut


def test_a_fetch_goes_on_where_it_was_cut(server: Server, tmp_path: Path) -> None:
    content, asked = random.Random(1).randbytes(3 * PIECE + 1), []
    server.frame.write_bytes(content)
    with pytest.raises(Cut):
        fetch(server, tmp_path / "got" / "1.png", 2 * PIECE, end)
    server.client.fetch("a" * 16, 1, tmp_path / "got" / "1.png", lambda have, size: asked.append(have))
    assert asked == [3 * PIECE, 3 * PIECE + 1]
    assert contents(tmp_path / "got") == {"1.png": content}


@pytest.mark.parametrize("size", [PIECE // 2, 3 * PIECE])
def test_the_beginning_of_an_earlier_rendering_is_not_continued_by_a_later_one(server: Server, tmp_path: Path, size: int) -> None:
    server.frame.write_bytes(random.Random(1).randbytes(3 * PIECE))
    with pytest.raises(Cut):
        fetch(server, tmp_path / "got" / "1.png", 2 * PIECE, end)
    content = random.Random(2).randbytes(size)
    replace_unseen(server.frame, content)
    fetch(server, tmp_path / "got" / "1.png")
    assert contents(tmp_path / "got") == {"1.png": content}


def test_a_frame_that_is_rendered_again_while_it_is_fetched_is_fetched_from_its_beginning(server: Server, tmp_path: Path) -> None:
    server.frame.write_bytes(random.Random(1).randbytes(3 * PIECE))
    content = random.Random(2).randbytes(3 * PIECE)
    fetch(server, tmp_path / "got" / "1.png", PIECE, lambda: replace_unseen(server.frame, content))
    assert contents(tmp_path / "got") == {"1.png": content}

"""A client's connection for files: blobs to the server, and finished frames from it."""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

import zmq

from brender.bus.address import Address
from brender.bus.asking import ask
from brender.bus.ids import new_id
from brender.bus.keys import Credentials
from brender.bus.messages import BlobHave, BlobPiece, FramePiece, FrameWanted, Lacks, Message, NoFile, Offer
from brender.bus.transport import Received, Socket
from brender.model.errors import BadInput, BrenderError, NotFound, Unreachable
from brender.model.text import plural
from brender.transfer.blobs import ON_THEIR_WAY, RESEND_SECONDS
from brender.transfer.pieces import PIECE, append_piece

T = TypeVar("T")

#: Files of one piece that are sent at once.
_SMALL_ON_THEIR_WAY = 32
_OFFERED_AT_ONCE = 500
#: Times that a file is sent which does not arrive as what its name says.
_TRIES = 3


class Exchange:
    """A client's connection to the server's *files* door, for blobs to it and frames from it. Use it in a ``with`` statement."""

    def __init__(self, files: Address, credentials: Credentials, patience: float = 60.0) -> None:
        self._files = files
        self._patience = patience
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = Socket(self._context, zmq.DEALER, "client files", credentials)
        self._socket.connect(files)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        self._context.term()

    def send(self, blobs: Mapping[str, Path], progress: Callable[[int, int], None] = lambda sent, size: None) -> list[str]:
        """Let the server have *blobs*, each by its digest a file that has it; returns those that it did not have. *progress*
        hears of the bytes sent and to be sent. Raises `BadInput` where a file has changed meanwhile, `Unreachable`, or
        `BrenderError` where the server does not take one."""
        names, lacking = list(blobs), list[str]()
        for start in range(0, len(names), _OFFERED_AT_ONCE):
            offer = Offer(id=new_id(), blobs=tuple(names[start : start + _OFFERED_AT_ONCE]))
            lacking += self._ask(offer, partial(_lacking, offer.id))
        sizes = {blob: _size(blobs[blob]) for blob in lacking}
        total, sent = sum(sizes.values()), 0
        for blob in (blob for blob, size in sizes.items() if size > PIECE):
            for have in self._push(blob, blobs[blob]):
                progress(sent + have, total)
            sent += sizes[blob]
        for size in self._push_small({blob: blobs[blob] for blob, size in sizes.items() if size <= PIECE}):
            sent += size
            progress(sent, total)
        return lacking

    def fetch(
        self,
        job: str,
        part: int,
        target: Path,
        progress: Callable[[int, int], None] = lambda have, size: None,
        file: int = 0,
        small: bool = False,
    ) -> None:
        """Have the file of *job*'s finished *part*, or with *file* one of its further ones, as *target*; *small*: its small
        picture. Goes on from a beginning of it that is there, unless the file has changed since. Raises `NotFound`,
        `Unreachable`, or `OSError`."""
        named = f".brender-{hashlib.sha256(target.name.encode(errors='surrogateescape')).hexdigest()[:12]}-"
        found = {path.name[len(named) : -len(".part")]: path for path in target.parent.glob(f"{named}?*.part")}
        version, begun = next(iter(found.items()), ("", target))
        have, size = begun.stat().st_size if version else 0, -1
        while have != size:
            piece, content = self._ask(
                FrameWanted(job=job, part=part, file=file, offset=have, small=small), partial(_piece, (part, file, have))
            )
            if (size < 0 and not have) or piece.version != version:
                for old in target.parent.glob(f"{named}*.part"):
                    old.unlink()
                version, begun = piece.version, target.with_name(f"{named}{piece.version}.part")
                have, size = 0, -1
                if piece.offset:
                    continue
            have, size = append_piece(begun, have, content), piece.size
            progress(have, size)
        begun.replace(target)

    def _push(self, blob: str, path: Path) -> Iterator[int]:
        """Send the file *path*; yields, again and again, how many of its bytes have arrived.

        Where the file is replaced meanwhile, as Blender does when it saves, the one that was opened is sent to its end.
        """
        with _opened(path) as file:
            size, acknowledged, sent, times = os.fstat(file.fileno()).st_size, 0, 0, 1
            moved = asked = time.monotonic()
            while True:
                now = time.monotonic()
                if now - moved > self._patience:
                    raise Unreachable(
                        f"The server has not taken any of {path} for {self._patience:.0f} seconds. Submit it again to go on"
                    )
                if now - asked > RESEND_SECONDS:
                    sent, asked = acknowledged, now
                while sent < size and sent - acknowledged < ON_THEIR_WAY * PIECE:
                    file.seek(sent)
                    content = file.read(PIECE)
                    if len(content) != min(PIECE, size - sent):
                        raise _changed(path)
                    if not self._socket.send(BlobPiece(blob=blob, size=size, offset=sent), bulk=[content]):
                        break
                    sent += len(content)
                self._socket.raw.poll(100)
                for received in self._socket.drain():
                    message = received.message
                    if isinstance(message, NoFile) and message.what == blob:
                        raise BrenderError(f"The server did not take {path}: {message.reason}")
                    if not isinstance(message, BlobHave) or message.blob != blob:
                        continue
                    if message.complete:
                        yield size
                        return
                    if message.offset < acknowledged:
                        # It has arrived as something else than its name says.
                        if _digest(file) != blob:
                            raise _changed(path)
                        if times == _TRIES:
                            raise BrenderError(f"{path} arrived {_TRIES} times as something else: see the server's log and disk")
                        sent, times = message.offset, times + 1
                    if message.offset != acknowledged:
                        moved = asked = time.monotonic()
                    acknowledged = message.offset
                    sent = max(sent, acknowledged)
                    yield acknowledged

    def _push_small(self, blobs: Mapping[str, Path]) -> Iterator[int]:
        """Send *blobs*, files of one piece each, many at once; yields the size of each that has arrived, in bytes."""
        waiting, on_their_way = deque(blobs), dict[str, tuple[float, int]]()
        moved = time.monotonic()
        while waiting or on_their_way:
            now = time.monotonic()
            if now - moved > self._patience:
                left = len(waiting) + len(on_their_way)
                raise Unreachable(
                    f"The server took none of {plural(left, 'file')} for {self._patience:.0f} seconds; submit them again, and it "
                    "goes on"
                )
            lost = [blob for blob, (at, _) in on_their_way.items() if now - at > RESEND_SECONDS]
            waiting.extendleft(lost)
            for blob in lost:
                del on_their_way[blob]
            while waiting and len(on_their_way) < _SMALL_ON_THEIR_WAY:
                blob = waiting[0]
                with _opened(blobs[blob]) as file:
                    content = file.read(PIECE + 1)
                if hashlib.sha256(content).hexdigest() != blob:
                    raise _changed(blobs[blob])
                if not self._socket.send(BlobPiece(blob=blob, size=len(content), offset=0), bulk=[content]):
                    break
                on_their_way[waiting.popleft()] = now, len(content)
            self._socket.raw.poll(100)
            for received in self._socket.drain():
                message = received.message
                if isinstance(message, NoFile) and message.what in on_their_way:
                    raise BrenderError(f"The server did not take {blobs[message.what]}: {message.reason}")
                if isinstance(message, BlobHave) and message.complete and message.blob in on_their_way:
                    moved = time.monotonic()
                    yield on_their_way.pop(message.blob)[1]

    def _ask(self, question: Message, answer: Callable[[Received], T | None]) -> T:
        found = ask(self._socket, question, self._patience, RESEND_SECONDS, answer)
        if found is None:
            raise Unreachable(f"The server's files at {self._files} did not answer within {self._patience:.0f} seconds")
        return found


def _changed(path: Path) -> BadInput:
    return BadInput(f"{path} was changed while it was sent: submit again")


def _opened(path: Path) -> BufferedReader:
    """Open the file *path* for reading. Raises `BadInput` where that cannot be done any more."""
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read any more ({error.strerror}): submit again when it can") from error


def _size(path: Path) -> int:
    with _opened(path) as file:
        return os.fstat(file.fileno()).st_size


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _lacking(offer: str, received: Received) -> tuple[str, ...] | None:
    """Return what the server lacks, where *received* is its answer to that *offer*."""
    told = received.message
    return told.blobs if isinstance(told, Lacks) and told.id == offer else None


def _piece(which: tuple[int, int, int], received: Received) -> tuple[FramePiece, bytes] | None:
    """Return what *received* says of a piece, and its bytes, where it is that: *which* part, file and offset. Raises
    `NotFound`."""
    told = received.message
    if isinstance(told, NoFile):
        raise NotFound(told.reason)
    if isinstance(told, FramePiece) and (told.part, told.file, told.offset) == which and len(received.bulk) == 1:
        return told, received.bulk[0]
    return None

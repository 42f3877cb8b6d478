"""Blobs on their way: pulled from above, piece by piece, many pieces at once; and taken in from a client that pushes them
(`brender.transfer.client`).

The receiver holds the state: how much it has lies on its disk, and it goes on there after a cut. The other end keeps none.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from brender.bus.address import is_loopback
from brender.bus.messages import BlobAt, BlobHave, BlobPiece, BlobWanted, Message, NoFile
from brender.bus.transport import Received
from brender.transfer.blob_store import BlobStore, BlobWriter
from brender.transfer.pieces import PIECE

log = logging.getLogger("brender.files")

ON_THEIR_WAY = 16
RESEND_SECONDS = 3.0
#: Times that a blob is fetched again which did not arrive as what its name says.
_TRIES = 3
#: Bytes from which on a blob is linked where it can be: less is sent sooner.
_LINKED_FROM = 8 * PIECE
#: Files that are kept open while they are pushed.
_WRITERS = 64


class Pull:
    """One *blob* on its way into *store*. *ask* sends for a piece; whether it could. *wake* is called, from a thread of its own,
    when it is time for a `tick`. Raises `OSError` where the store's disk cannot take it."""

    def __init__(
        self, blob: str, store: BlobStore, ask: Callable[[BlobWanted], bool], wake: Callable[[], None] = lambda: None
    ) -> None:
        self.blob = blob
        self.targets: list[Path] = []
        """Files that it is linked to when it is here (`BlobWriter.finish`)."""
        self.error = ""
        self.done = False
        self.size: int | None = None
        self._store = store
        self._ask = ask
        self._writer = store.writing(blob)
        self._asked = self.have
        self._moved = float("-inf")
        self._bad = 0
        self._may_link = not self.have
        self._there: BlobAt | None = None
        self._linking: threading.Event | None = None
        """Set once it is known whether a link has brought it."""
        self._wake = wake

    @property
    def have(self) -> int:
        """How many of its bytes are here."""
        return self._writer.have

    def tick(self, now: float) -> None:
        """Ask for what is missing: as much as may be on its way; all of it again, where nothing has come for a while."""
        if self.done or not self._is_linked(now):
            return
        if now - self._moved > RESEND_SECONDS:
            self._asked, self._moved = self.have, now
        end = self.have + 1 if self.size is None else min(self.size, self.have + ON_THEIR_WAY * PIECE)
        while self._asked < end:
            if not self._ask(BlobWanted(blob=self.blob, offset=self._asked, linkable=self._may_link)):
                return
            self._asked += PIECE

    def take(self, piece: BlobPiece, content: bytes, now: float) -> None:
        """A piece has come. Raises `OSError` where it cannot be written."""
        if self.done or piece.offset != self.have or (not content and piece.size != self.have):
            return
        if self.size is None:
            self._store.expect(self.blob, piece.size - self.have)
        self.size, self._moved = piece.size, now
        self._asked = max(self._asked, self._writer.add(piece.offset, content))
        if self.have < piece.size:
            self.tick(now)
        elif self._writer.finish(self.targets):
            self.done = True
        else:
            self._bad += 1
            self._writer, self._asked = self._store.writing(self.blob), 0
            log.error("the blob %s arrived as something else, %d times now", self.blob[:12], self._bad)
            if self._bad >= _TRIES:
                self.fail(f"it arrived {_TRIES} times as something else than its name says")

    def link(self, there: BlobAt, now: float) -> None:
        """It lies on this machine: take it by a link, and see in a thread of its own whether it is what its name says. Where
        pieces of it have come already, ask for the others in place of a link."""
        if self.done or self._linking is not None or not self._may_link:
            return
        if self.have:
            self._may_link, self._asked = False, self.have
            self.tick(now)
        else:
            self._there = there
            self._linking = threading.Event()
            what = (Path(there.path), self._linking)
            threading.Thread(target=self._link, args=what, name="brender-link", daemon=True).start()

    def _link(self, path: Path, tried: threading.Event) -> None:
        self._store.link(self.blob, path, list(self.targets))
        tried.set()
        self._wake()

    def _is_linked(self, now: float) -> bool:
        """Return whether pieces are to be asked for: a link is not being tried, or has not brought it. Else it is done, or
        soon is."""
        if self._linking is None:
            return True
        if not self._linking.is_set():
            return False
        self._linking, self._may_link, self._moved = None, False, float("-inf")
        self.done = self._store.has(self.blob)
        if self.done:
            self._writer.give_up()
        return not self.done

    def passed_on(self, wanted: BlobWanted) -> tuple[Message, list[bytes]] | None:
        """Return the answer to *wanted* from what is here already, though not all is: its receiver verifies it too.
        ``None`` where the piece is not here."""
        if wanted.linkable and self._there is not None:
            return self._there, []
        if self.size is None or self.have < min(wanted.offset + PIECE, self.size):
            return None
        content = self._writer.read(wanted.offset, min(PIECE, self.size - wanted.offset))
        return BlobPiece(blob=self.blob, size=self.size, offset=wanted.offset), [content]

    def fail(self, reason: str) -> None:
        self.error, self.done = reason, True
        self._writer.close()


class Pulls:
    """What comes into *store*, which is *whose* (for a person: "the manager's"). *ask* sends for a piece; whether it could.
    *post* has something done soon in the thread that these are used in."""

    def __init__(
        self,
        store: BlobStore,
        ask: Callable[[BlobWanted], bool],
        whose: str,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._ask = ask
        self._whose = whose
        self._post = post
        self._going: dict[str, tuple[Pull, list[Callable[[str], None]]]] = {}

    def get(self, blob: str) -> Pull | None:
        going = self._going.get(blob)
        return going[0] if going is not None else None

    def begin(self, blob: str, ended: Callable[[str], None], targets: Iterable[Path] = ()) -> None:
        """Bring *blob*; *ended* is called with "" once it is there, linked to *targets* where it can be, or with why it cannot be
        had."""
        if blob in self._going:
            pull, waiting = self._going[blob]
            pull.targets += targets
            waiting.append(ended)
            return
        try:
            pull = Pull(blob, self._store, self._ask, lambda: self._post(self.tick))
        except OSError as error:
            ended(self._full(error))
            return
        pull.targets += targets
        self._going[blob] = (pull, [ended])
        pull.tick(time.monotonic())

    def tick(self) -> None:
        now = time.monotonic()
        for blob, (pull, _) in list(self._going.items()):
            pull.tick(now)
            self._look_whether_done(blob, pull)

    def hear(self, message: Message, bulk: list[bytes]) -> str:
        """Return a message has come; the blob that it is about, where that is one of these; "" for any other."""
        about = message.blob if isinstance(message, BlobPiece | BlobAt) else message.what if isinstance(message, NoFile) else ""
        pull = self.get(about)
        if pull is None:
            return ""
        if isinstance(message, NoFile):
            pull.fail(message.reason)
        elif isinstance(message, BlobAt):
            pull.link(message, time.monotonic())
        elif isinstance(message, BlobPiece) and len(bulk) == 1:
            try:
                pull.take(message, bulk[0], time.monotonic())
            except OSError as error:
                pull.fail(self._full(error))
        self._look_whether_done(about, pull)
        return about

    def _look_whether_done(self, blob: str, pull: Pull) -> None:
        if pull.done:
            for ended in self._going.pop(blob)[1]:
                ended(pull.error)

    def _full(self, error: OSError) -> str:
        return f"{self._whose} disk cannot take it ({error.strerror})"


def served(store: BlobStore, wanted: BlobWanted) -> tuple[Message, list[bytes]]:
    """Return the answer to *wanted*, from *store*."""
    try:
        if wanted.linkable and (size := store.path(wanted.blob).stat().st_size) >= _LINKED_FROM:
            store.is_wanted(wanted.blob)
            return BlobAt(blob=wanted.blob, size=size, path=str(store.path(wanted.blob))), []
        content, size = store.read(wanted.blob, wanted.offset, PIECE)
    except OSError:
        return NoFile(what=wanted.blob, reason="this file of the job is not here (any more): submit the job again"), []
    return BlobPiece(blob=wanted.blob, size=size, offset=wanted.offset), [content]


def from_here(received: Received, links: bool) -> BlobWanted:
    """Return the `BlobWanted` that was *received*: linkable where it says so, it came from this machine, and *links* are
    wanted."""
    wanted = received.message
    assert isinstance(wanted, BlobWanted)
    if wanted.linkable and not (links and is_loopback(received.origin)):
        return msgspec.structs.replace(wanted, linkable=False)
    return wanted


class Intake:
    """Takes into *store* what clients push: files of *largest* bytes at most (0: of any size), with *least_free* bytes of its
    disk left free."""

    def __init__(self, store: BlobStore, largest: int = 0, least_free: int = 0) -> None:
        self._store = store
        self._largest = largest
        self._least_free = least_free
        self._writers: OrderedDict[str, BlobWriter] = OrderedDict()

    def take(self, piece: BlobPiece, content: bytes) -> Message:
        """Return the answer to *piece*."""
        (answer,) = self.take_many([(piece, content)])
        return answer

    def take_many(self, pieces: Sequence[tuple[BlobPiece, bytes]]) -> list[Message]:
        """Return the answers to *pieces*, each with its content. What is complete by them is flushed together."""
        complete: dict[str, BlobWriter] = {}
        answers = [self._add(piece, content, complete) for piece, content in pieces]
        failed = self._store.adopt_many({blob: writer.partial for blob, writer in complete.items()})
        for writer in complete.values():
            writer.close()
        for number, (piece, _) in enumerate(pieces):
            if piece.blob in failed:
                answers[number] = _no_room(piece.blob, failed[piece.blob])
        return answers

    def _add(self, piece: BlobPiece, content: bytes, complete: dict[str, BlobWriter]) -> Message:
        """Return the answer to *piece*, if what is *complete* by it, which is added there, gets its name."""
        if piece.blob in complete or self._store.has(piece.blob):
            return BlobHave(blob=piece.blob, offset=piece.size, complete=True)
        if self._largest and piece.size > self._largest:
            sizes = f"{piece.size / 1e9:.1f} GB, and this farm takes files of up to {self._largest / 1e9:.1f} GB"
            reason = f"it has {sizes} (brender-server --largest-file)"
            return NoFile(what=piece.blob, reason=reason)
        try:
            free = self._store.free_bytes() if self._least_free else 0
            if self._least_free and free - (piece.size - piece.offset) < self._least_free:
                reason = (
                    f"it has {piece.size / 1e9:.1f} GB, its disk {free / 1e9:.1f} GB free, and {self._least_free / 1e9:.1f} GB "
                    "stay free (brender-server --keep-free): make room there, and submit again"
                )
                return NoFile(what=piece.blob, reason=reason)
            writer = self._writers.get(piece.blob) or self._begin(piece.blob)
            have = writer.add(piece.offset, content)
            if have < piece.size:
                return BlobHave(blob=piece.blob, offset=have, complete=False)
            del self._writers[piece.blob]
            if not writer.is_right():
                writer.close()
                return BlobHave(blob=piece.blob, offset=0, complete=False)
        except OSError as error:
            if (failed := self._writers.pop(piece.blob, None)) is not None:
                failed.close()
            return _no_room(piece.blob, error)
        complete[piece.blob] = writer
        return BlobHave(blob=piece.blob, offset=piece.size, complete=True)

    def _begin(self, blob: str) -> BlobWriter:
        self._writers[blob] = writer = self._store.writing(blob)
        if len(self._writers) > _WRITERS:
            _, oldest = self._writers.popitem(last=False)
            oldest.close()
        return writer


def _no_room(blob: str, error: OSError) -> NoFile:
    return NoFile(what=blob, reason=f"its disk cannot take it ({error.strerror}): make room there, and submit again")

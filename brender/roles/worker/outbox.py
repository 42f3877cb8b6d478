"""A worker's reports on disk, until the server has them: an append-only journal that a killed process loses nothing of."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgpack
import msgspec

from brender.bus.messages import AnyReport
from brender.model.errors import BadInput

#: The journal is written anew once it is this long and nothing in it is still needed.
_COMPACT_BYTES = 1024 * 1024


class Outbox:
    """The journal at *path*. ``kept`` are the reports that were in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[tuple[str, int], AnyReport] = {}
        self._dirty = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for entry in _read(path):
                self._apply(entry)
            self._rewrite()
        except OSError as error:
            raise BadInput(
                f"The worker's folder {path.parent} cannot be used: {error.strerror}. Give another with --data"
            ) from error

    @property
    def kept(self) -> list[AnyReport]:
        return sorted(self._entries.values(), key=lambda report: (report.attempt, report.number))

    def keep(self, report: AnyReport) -> None:
        """Add *report*. Not on disk before `flush`."""
        self._entries[report.attempt, report.number] = report
        self._write(["keep", msgspec.to_builtins(report)])

    def forget(self, attempt: str, number: int) -> None:
        """The reports of *attempt* up to *number* are not needed any more."""
        self._apply(["forget", attempt, number])
        self._write(["forget", attempt, number])

    def flush(self) -> None:
        """Bring what was kept to disk; once a round of the loop, before anything is sent."""
        if not self._dirty:
            return
        self._dirty = False
        self._file.flush()
        os.fsync(self._file.fileno())
        if not self._entries and self._file.tell() > _COMPACT_BYTES:
            self._file.close()
            self._rewrite()

    def close(self) -> None:
        self.flush()
        self._file.close()

    def _write(self, entry: list[object]) -> None:
        self._file.write(msgpack.packb(entry))
        self._dirty = True

    def _apply(self, entry: list[object]) -> None:
        if entry[0] == "keep":
            report = msgspec.convert(entry[1], AnyReport)
            self._entries[report.attempt, report.number] = report
        else:
            attempt, number = str(entry[1]), entry[2]
            assert isinstance(number, int)
            self._entries = {key: kept for key, kept in self._entries.items() if key[0] != attempt or key[1] > number}

    def _rewrite(self) -> None:
        """A fresh journal with what is still needed, put in place of the old one in one step."""
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            for report in self.kept:
                file.write(msgpack.packb(["keep", msgspec.to_builtins(report)]))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._file = self._path.open("ab")


def _read(path: Path) -> Iterator[list[object]]:
    """The entries of a journal; a last one that was cut off by a crash was never sent, and is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        unpacker = msgpack.Unpacker(file)
        try:
            yield from unpacker
        except (msgpack.exceptions.UnpackException, ValueError):
            return

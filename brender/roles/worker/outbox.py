"""A worker's reports on disk, until the server has them: an append-only journal that a killed process loses nothing of."""

import logging
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import msgpack
import msgspec

from brender.bus.messages import AnyReport, Started
from brender.model.errors import BadInput
from brender.transfer.durable import flush_folder

log = logging.getLogger("brender.worker")

#: A journal that is longer than this, and much longer than what in it is still needed, is rewritten.
_COMPACT_BYTES = 1024 * 1024


class Outbox:
    """The journal at *path*. ``kept`` are the reports that were in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, dict[int, AnyReport]] = {}
        self._pending = bytearray()
        self._pack = msgpack.Packer().pack
        self._file: FileIO
        self._length = self._needed = 0
        self._must_write = self._must_sync = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for entry in _read(path):
                if isinstance(entry, tuple):
                    self._drop(*entry)
                else:
                    self._add(entry)
            self._rewrite()
        except OSError as error:
            raise BadInput(
                f"The worker's folder {path.parent} cannot be used: {error.strerror}. Give another with --data"
            ) from error

    @property
    def kept(self) -> list[AnyReport]:
        return [reports[number] for _, reports in sorted(self._entries.items()) for number in sorted(reports)]

    def keep(self, report: AnyReport) -> None:
        """Add *report*. Not on disk before `flush`."""
        self._add(report)
        self._pending += self._pack(["keep", msgspec.to_builtins(report)])
        self._must_write = True
        # That an attempt has started matters to nobody after a power cut, which it does not outlive.
        self._must_sync |= not isinstance(report, Started)

    def forget(self, attempt: str, number: int) -> None:
        """The reports of *attempt* up to *number* are not needed any more."""
        self._drop(attempt, number)
        # Need not be on disk at any time: what is forgotten there too late is sent once too often, and changes nothing.
        self._pending += self._pack(["forget", attempt, number])

    def flush(self) -> None:
        """Write what was kept, and have it outlive a power cut where it has to; once a round of the loop, before anything is
        sent. Raises `OSError`, where the disk is full for one; nothing is lost then, and the next call tries again."""
        if not self._must_write:
            return
        try:
            if os.write(self._file.fileno(), self._pending) < len(self._pending):
                raise OSError(28, "No space left on device")
            if self._must_sync:
                os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._length)
            raise
        self._length += len(self._pending)
        self._pending.clear()
        self._must_write = self._must_sync = False
        if self._length > max(_COMPACT_BYTES, 8 * self._needed):
            self._compact()

    def close(self) -> None:
        """Write what can be written. What cannot is lost with this process: its tasks are done again."""
        try:
            self.flush()
        except OSError as error:
            log.error("%s: the last reports cannot be written: %s", self._path, error)
        finally:
            self._file.close()

    def _add(self, report: AnyReport) -> None:
        self._entries.setdefault(report.attempt, {})[report.number] = report

    def _drop(self, attempt: str, number: int) -> None:
        left = {at: report for at, report in self._entries.pop(attempt, {}).items() if at > number}
        if left:
            self._entries[attempt] = left

    def _compact(self) -> None:
        self._file.close()
        try:
            self._rewrite()
        except OSError as error:
            # All is on disk, in the longer journal: that goes on, and is tried again once it has grown as much again.
            log.warning("%s could not be rewritten, and goes on as it is: %s", self._path, error)
            self._needed = self._length
            self._file = self._path.open("ab", buffering=0)

    def _rewrite(self) -> None:
        """A fresh journal with what is still needed, put in place of the old one in one step."""
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            for report in self.kept:
                file.write(msgpack.packb(["keep", msgspec.to_builtins(report)]))
            file.flush()
            os.fsync(file.fileno())
            length = file.tell()
        temporary.replace(self._path)
        self._length = self._needed = length
        flush_folder(self._path.parent)
        self._file = self._path.open("ab", buffering=0)


def _read(path: Path) -> Iterator[AnyReport | tuple[str, int]]:
    """The entries of a journal: a report that was kept, or an attempt and the number up to which its reports were forgotten. A
    last one that was cut off by a crash was never sent, and is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        unpacker = msgpack.Unpacker(file)
        try:
            for entry in unpacker:
                match entry:
                    case ["keep", report]:
                        yield msgspec.convert(report, AnyReport)
                    case ["forget", str(attempt), int(number)]:
                        yield attempt, number
                    case _:
                        raise ValueError(f"a broken entry: {str(entry)[:40]}")
        except (msgpack.exceptions.UnpackException, msgspec.ValidationError, ValueError) as error:
            log.warning("%s: what follows is left out, it is not a report of ours (%s); its tasks are done again", path, error)

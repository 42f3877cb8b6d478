"""Recordings: what a monitor took in, with its times, in lines of JSON.

The first line says what it is and of which version; each further one holds the seconds since the beginning and an item
(`brender.monitor.items`); the last one says that it is whole. What may hold secrets is not in items, and so not in here.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from brender import __version__
from brender.model.errors import BadInput
from brender.model.field_types import Count, Seconds, Text
from brender.monitor.items import Item

#: The version of recordings that is written and read.
VERSION = 1


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    brender_recording: Count
    software: Text
    source: Text
    began: Seconds
    """By the clock of the machine that recorded, in seconds since the epoch."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An item, and when it was taken in, in seconds since the beginning."""

    at: Seconds
    item: Item


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last line."""

    at: Seconds
    items: Count


_encoder = msgspec.json.Encoder()
_line = msgspec.json.Decoder(Taken)
_FLUSH_ITEMS = 200


class Recorder:
    """Writes a recording to the new file *path*. Raises `BadInput`."""

    def __init__(self, path: Path, source: str, wall: float) -> None:
        self.path = path
        self._count, self._last = 0, 0.0
        try:
            self._file: IO[bytes] = path.open("xb")
        except FileExistsError as error:
            raise BadInput(f"{path} is there already: name another file to record to, or remove it first") from error
        except OSError as error:
            raise BadInput(f"Nothing can be recorded to {path}: {error.strerror}. Name another file") from error
        self._write(Head(brender_recording=VERSION, software=__version__, source=source, began=wall))

    def take(self, item: Item, at: float) -> None:
        """Write *item*, taken in *at* so many seconds. Raises `BadInput` where the disk does not take it."""
        self._count, self._last = self._count + 1, at
        self._write(Taken(at=at, item=item), flush=self._count % _FLUSH_ITEMS == 0)

    def close(self, at: float | None = None) -> None:
        """Say that it is whole, and close it."""
        with contextlib.suppress(BadInput):
            self._write(End(at=self._last if at is None else at, items=self._count))
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, what: Head | Taken | End, flush: bool = True) -> None:
        try:
            self._file.write(_encoder.encode(what) + b"\n")
            if flush:
                self._file.flush()
        except OSError as error:
            raise BadInput(f"The recording {self.path} ends here: it cannot be written ({error.strerror})") from error


class Recording(msgspec.Struct, frozen=True):
    """What was read of a recording: its items in order, and how many seconds it lasts."""

    head: Head
    taken: list[Taken]
    lasts: float


def read_recording(path: Path, partial: bool = False) -> Recording:
    """Return the recording in the file *path*. *partial*: as much of a cut one as is whole. Raises `BadInput` if it is not a
    recording, of another version, or cut."""
    try:
        with path.open("rb") as file:
            lines = _whole_lines(file)
            head = _read_head(path, next(lines, b""))
            return _read_rest(path, head, lines, partial)
    except OSError as error:
        raise BadInput(f"The recording {path} cannot be read: {error.strerror}") from error


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield each line of *file*; one that does not end is cut, and yielded as what no reader takes."""
    for line in file:
        yield line if line.endswith(b"\n") else b"cut"


def _read_head(path: Path, line: bytes) -> Head:
    try:
        found = msgspec.json.decode(line)
        version = found["brender_recording"] if isinstance(found, dict) else None
    except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
        version = None
    if version is None:
        raise BadInput(f"{path} is not a recording of brender-monitor: `brender-monitor --record FILE` makes one")
    if version != VERSION:
        raise BadInput(
            f"The recording {path} is of version {version}, and this brender reads version {VERSION}: replay it with the brender "
            f"that made it ({str(found.get('software', 'unknown'))[:40]})"
        )
    try:
        return msgspec.convert(found, Head)
    except msgspec.ValidationError as error:
        raise BadInput(f"The recording {path} is damaged in its first line: {error}") from error


def _read_rest(path: Path, head: Head, lines: Iterator[bytes], partial: bool) -> Recording:
    taken: list[Taken] = []
    for number, line in enumerate(lines, 2):
        try:
            taken.append(_line.decode(line))
            continue
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        try:
            end = msgspec.json.decode(line, type=End)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _cut(path, head, taken, partial, f"line {number} is damaged")
        if end.items != len(taken):
            return _cut(path, head, taken, partial, f"it has {len(taken):,} of {end.items:,} messages")
        return Recording(head, taken, max(end.at, taken[-1].at if taken else 0.0))
    return _cut(path, head, taken, partial, "its end is missing")


def _cut(path: Path, head: Head, taken: list[Taken], partial: bool, why: str) -> Recording:
    """Return what is whole of a cut recording, where that will do. Raises `BadInput`."""
    lasts = taken[-1].at if taken else 0.0
    if not partial:
        raise BadInput(
            f"The recording {path} is cut: {why}, after {len(taken):,} messages of {lasts:.0f} seconds. `--partial` replays those"
        )
    return Recording(head, taken, lasts)

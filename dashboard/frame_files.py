"""Where the pages find frames and their small pictures: in the server's own folders, or, where the server is on another machine,
asked of it and kept here for a while."""

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from brender.bus.address import ServerAddresses
from brender.bus.keys import Credentials, KeyPair
from brender.model.errors import BadInput, NotFound, Unreachable
from brender.model.frame_file import named_files
from brender.store.named import Record, job_id
from brender.store.progressive import pictures
from brender.store.reader import Reader
from brender.transfer.client import Exchange
from dashboard.pulse import Pulse

#: Bytes of files of another machine that are kept, how often that is looked at, and after how long an unfinished one goes.
_KEPT_BYTES = 5 * 10**9
_LOOK_SECONDS = 30.0
_UNFINISHED_SECONDS = 3600.0
#: How long the server may say nothing.
_PATIENCE = 15.0
_UNFINISHED = ".part"
_NO_PICTURE = "There is no small picture of that frame"


class FrameFiles:
    """The files of the farm that *reader* reads. What lies on another machine is asked of *server*, with the key *pair*, unless
    its *pulse* says that it is silent, and kept in the folder *kept*, at most *most* bytes."""

    def __init__(
        self, reader: Reader, server: ServerAddresses, pair: KeyPair, kept: Path, pulse: Pulse, most: int = _KEPT_BYTES
    ) -> None:
        self._reader, self._server, self._pair, self._pulse = reader, server, pair, pulse
        self._kept, self._most = kept, most
        self._looking = threading.Lock()
        self._looked = float("-inf")

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server keeps its files on another machine."""
        return not self._reader.folder.server_key.exists()

    def frame(self, job: str, part: int, number: int | None = None) -> Path:
        """Return the picture of a finished *part* of *job* (its id, or how that begins), or the file that has that *number*
        (`named_files`). Raises `NotFound`."""
        with self._reader.record() as record:
            id = job_id(record, job)
            try:
                return self._reader.frame_file(record, id, part, number)
            except NotFound:
                row = record.tables.Part.get_or_none(id=part, job=id, status="completed")
                names = [] if row is None else named_files(row.output, (each["output"] for each in row.further_files))
                if not self.is_elsewhere or (number or 0) >= len(names) or (number is None and not row.output):
                    raise
        return self._fetched(id, part, row.attempt, PurePosixPath(names[number or 0]).suffix, number=number or 0)

    def small(self, job: str, part: int) -> Path:
        """Return the small picture of a *part* of *job*. Raises `NotFound` if there is no such picture (yet)."""
        with self._reader.record() as record:
            id = job_id(record, job)
            row = record.tables.Part.get_or_none(id=part, job=id)
        if row is None or not row.attempt:
            raise NotFound(_NO_PICTURE)
        return self._small(id, part, row.attempt)

    def finished(self, record: Record, job: str) -> list[tuple[int, str]]:
        """Return each finished frame of the job *job* as (part, attempt), in the order of the frames."""
        part = record.tables.Part
        passes = record.tables.Job.get_by_id(job).passes
        rows = part.select(part.id, part.attempt).where(pictures(record.tables, job, passes))
        return list(rows.order_by(part.frame).limit(100_000).tuples())

    def all_small(self, job: str, chosen: list[tuple[int, str]]) -> Iterator[Path]:
        """Yield the small pictures that there are of the parts *chosen* (part, attempt) of *job*."""
        for part, attempt in chosen:
            with contextlib.suppress(NotFound):
                yield self._small(job, part, attempt)

    def _small(self, job: str, part: int, attempt: str) -> Path:
        path = self._reader.folder.thumbnail(attempt, part)
        if path.is_file():
            return path
        if not self.is_elsewhere:
            raise NotFound(_NO_PICTURE)
        return self._fetched(job, part, attempt, ".jpg", small=True)

    def _fetched(self, job: str, part: int, attempt: str, suffix: str, small: bool = False, number: int = 0) -> Path:
        """Return the file here, asked of the server if it is not. Raises `NotFound`, also where the server does not answer."""
        path = self._kept / f"{attempt}-{part}{'-small' if small else f'-{number}' if number else ''}{suffix}"
        if path.is_file():
            with contextlib.suppress(OSError):
                os.utime(path)
            return path
        self._kept.mkdir(parents=True, exist_ok=True)
        try:
            self._pulse.check()
            with tempfile.TemporaryDirectory(dir=self._kept, suffix=_UNFINISHED) as folder:
                target = Path(folder) / path.name
                with Exchange(self._server.files, Credentials(self._pair, self._server.key), _PATIENCE) as exchange:
                    exchange.fetch(job, part, target, file=number, small=small)
                target.replace(path)
        except (Unreachable, BadInput, OSError) as error:
            raise NotFound(f"It is on the server's machine, and could not be fetched from there: {error}") from error
        self._make_room()
        return path

    def _make_room(self) -> None:
        """Remove what was looked at longest ago, now and then, where more than `_KEPT_BYTES` are kept."""
        with self._looking:
            if time.monotonic() - self._looked < _LOOK_SECONDS:
                return
            self._looked = time.monotonic()
        there = []
        for path in self._kept.iterdir():
            with contextlib.suppress(OSError):
                there.append((path.stat().st_mtime, path.stat().st_size, path))
        left = sum(size for _, size, _ in there)
        for when, size, path in sorted(there):
            with contextlib.suppress(OSError):
                if path.suffix == _UNFINISHED and path.is_dir():
                    if time.time() - when > _UNFINISHED_SECONDS:
                        for file in path.iterdir():
                            file.unlink()
                        path.rmdir()
                elif left > self._most:
                    path.unlink()
                    left -= size

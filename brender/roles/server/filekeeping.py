"""The server's files: who may send which, blobs of jobs, frames that arrive and are given their names once their report is
accepted."""

import logging
import os
import shutil
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from peewee import PeeweeException

from brender.bus.blobstore import BlobStore
from brender.bus.messages import FilePiece
from brender.bus.receiving import ServerPlaces
from brender.model.bundle import read_bundle
from brender.model.errors import BadInput
from brender.model.job import JobSpec
from brender.model.status import Outcome, PartStatus
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables

log = logging.getLogger("brender.files")
_REMEMBERED = 10_000
_DAY = 86_400.0


class FileKeeper:
    """The files in *folder*, by the record in *database*. What reads and writes pieces is for the thread of files, what
    publishes for the server's own."""

    def __init__(self, folder: DataFolder, database: str) -> None:
        self._folder = folder
        self._database = database
        self._owners: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._late: dict[tuple[str, int], tuple[str, str]] = {}
        self.blobs = BlobStore(folder.blobs)

    def places(self, largest: int) -> ServerPlaces:
        """*largest*: bytes of a file that a client may send at most; 0: any."""
        return ServerPlaces(self._place, self._frame, self.blobs, largest)

    def check(self, spec: JobSpec) -> None:
        """Raises `BadInput` where *spec* is a job whose files travel and have not all arrived."""
        if not spec.bundle:
            return
        lost = "Some of the job's files are not on the server (any more): submit it again"
        if not self.blobs.has(spec.bundle):
            raise BadInput(lost)
        bundle = read_bundle(self.blobs.path(spec.bundle).read_bytes())
        if bundle.main != spec.settings.get("file"):
            raise BadInput(f"The job renders {spec.settings.get('file')!r}, and the list of its files names {bundle.main!r}")
        if not all(self.blobs.has(file.blob) for file in bundle.files):
            raise BadInput(lost)

    def publish(self, attempt: str, part: int, into: str, output: str) -> None:
        """Give the frame that has arrived its name. What cannot be done now is done later (`settle`)."""
        arrived, folder = self._incoming(attempt, part), Path(into)
        target = folder / output
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.resolve().is_relative_to(folder.resolve()):
                raise PermissionError(1, "it would lie outside of the job's folder")
            _move(arrived, target)
        except OSError as error:
            self._late[attempt, part] = into, output
            log.error("the frame %s cannot be put into %s, and will be tried again: %s", output, into, error)

    def settle(self) -> None:
        """Try again to publish what could not be."""
        late, self._late = self._late, {}
        for (attempt, part), (into, output) in late.items():
            self.publish(attempt, part, into, output)

    def sweep(self, tables: Tables) -> None:
        """At the server's start: publish what was accepted and not yet published, throw away what nobody waits for."""
        for path in self._folder.incoming.glob("*-*"):
            attempt, _, number = path.name.partition("-")
            if not number.isdigit():
                continue
            part = tables.Part.get_or_none(tables.Part.id == int(number))
            if part is not None and part.status == PartStatus.COMPLETED and part.attempt == attempt:
                self.publish(attempt, part.id, part.job.output, part.output)
            elif (
                tables.Attempt.select().where((tables.Attempt.id == attempt) & (tables.Attempt.outcome == Outcome.LIVE)).count()
                == 0
            ):
                path.unlink(missing_ok=True)

    def collect(self, tables: Tables, wall: float, keep: float) -> None:
        """Throw away the blobs that no job needs: none that has not ended, or ended less than *keep* seconds before *wall*. In a
        thread of its own; what came or was offered less than a day ago stays, its job may be on its way."""
        job = tables.Job
        wanted = (job.bundle != "") & (job.finished.is_null() | (job.finished > wall - keep))
        bundles = {row.bundle for row in job.select(job.bundle).where(wanted)}
        threading.Thread(target=self._collect, args=(bundles, wall - _DAY), name="brender-blobs", daemon=True).start()

    def _collect(self, bundles: set[str], before: float) -> int:
        """Keep *bundles* and what is in them, and what was used after *before*; returns how many others there were."""
        needed, count = set(bundles), 0
        for bundle in bundles:
            try:
                needed |= {file.blob for file in read_bundle(self.blobs.path(bundle).read_bytes()).files}
            except (OSError, BadInput) as error:
                log.error("the files of a job are not known (%s), so that none is thrown away: %s", bundle[:12], error)
                return 0
        for path in self.blobs.root.glob("[0-9a-f][0-9a-f]/*"):
            try:
                if path.name not in needed and path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
            except OSError as error:
                log.error("the blob %s cannot be thrown away: %s", path, error)
        if count:
            log.info("%d blobs that no job needs were thrown away", count)
        return count

    # --- in the thread of files ---------------------------------------------------------------------------------------

    def _place(self, piece: FilePiece) -> Path | None:
        if (self._owners.get(piece.attempt) or self._owner(piece.attempt)) != (piece.worker, piece.job):
            return None
        if piece.kind == "log":
            return self._folder.log(piece.job, piece.attempt)
        if piece.kind == "frame":
            return self._incoming(piece.attempt, piece.part)
        return self._folder.thumbnail(piece.attempt, piece.part)

    def _owner(self, attempt: str) -> tuple[str, str] | None:
        """The worker and the job of *attempt*, as the record has them."""
        row = self._look_up("SELECT worker, job FROM attempt WHERE id = {}", attempt)
        if row is None:
            return None
        self._owners[attempt] = found = (row[0], row[1])
        if len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return found

    def _frame(self, job: str, part: int) -> Path | None:
        words = (
            "SELECT j.output, p.output FROM part p JOIN job j ON j.id = p.job "
            "WHERE p.id = {} AND p.status = 'completed' AND j.id = {}"
        )
        row = self._look_up(words, part, job)
        if row is None or not row[1]:
            return None
        folder = Path(row[0]).resolve()
        path = (folder / row[1]).resolve()
        return path if path.is_relative_to(folder) else None

    def _look_up(self, words: str, *values: Any) -> Any:
        try:
            database = open_for_reading(self._database)
            with database.connection_context():
                sql = words.replace("{}", database.param)
                return database.execute_sql(sql, values).fetchone()  # type: ignore[no-untyped-call]
        except PeeweeException:
            return None  # whoever asks will ask again

    def _incoming(self, attempt: str, part: int) -> Path:
        return self._folder.incoming / f"{attempt}-{part}"


def _move(source: Path, target: Path) -> None:
    """Let *target* be *source*, whole at any moment, also from one disk to another. Raises `OSError`."""
    try:
        source.replace(target)
    except OSError:
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        source.unlink()

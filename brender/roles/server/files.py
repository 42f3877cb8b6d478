"""The server's files: who may send which, blobs of jobs, frames that arrive and are given their names once their report is
accepted."""

import contextlib
import json
import logging
import os
import platform
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from peewee import PeeweeException

from brender.bus.messages import FilePiece
from brender.model.bundle import read_bundle
from brender.model.errors import BadInput
from brender.model.job import FILM, JobSpec
from brender.model.paths import expand, platform_of
from brender.model.status import JobStatus, Outcome, PartStatus
from brender.roles.effects import PublishFrame
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables
from brender.transfer.blob_store import BlobStore
from brender.transfer.server import ServerPlaces

log = logging.getLogger("brender.files")
_REMEMBERED = 10_000
_DAY = 86_400.0
_PLATFORM = platform_of(platform.system())


class FileKeeper:
    """The files in *folder*, by the record in *database*. What reads and writes pieces is for the thread of files, what
    publishes for the server's own."""

    def __init__(self, folder: DataFolder, database: str) -> None:
        self._folder = folder
        self._database = database
        self._owners: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._late: dict[PublishFrame, None] = {}
        self.here: Mapping[str, str] = {}
        """Where this machine has the folders that path variables stand for."""
        self.blobs = BlobStore(folder.blobs)
        self._copying = ThreadPoolExecutor(1, "brender-copies")

    def places(self, largest: int, links: bool) -> ServerPlaces:
        """*largest*: bytes of a file that a client may send at most; 0: any. *links*: whoever is on this machine may link
        blobs."""
        return ServerPlaces(self._place, self._frame, self.blobs, largest, links, self._recover)

    def close(self) -> None:
        """Wait for the copy that is being made; what else was to be copied is when it is asked for."""
        self._copying.shutdown(cancel_futures=True)

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

    def folder_of(self, output: str) -> Path:
        """The folder of this machine that a job's *output* means. Raises `BadInput` where it has no place here."""
        return Path(expand(output, self.here, _PLATFORM))

    def publish(self, frame: PublishFrame) -> None:
        """Give the files of the frame, which have arrived, their names. What cannot be done now is done later (`settle`)."""
        try:
            folder = self.folder_of(frame.into)
            for number, output in enumerate((frame.output, *frame.extras)):
                arrived, target = self._incoming(frame.attempt, frame.part, number), folder / output
                if number and not arrived.exists():
                    continue  # named already, when an earlier try went wrong at a later one
                if not target.resolve().is_relative_to(folder.resolve()):
                    raise PermissionError(1, "it would lie outside of the job's folder")
                target.parent.mkdir(parents=True, exist_ok=True)
                _move(arrived, target)
                if frame.blob and not number:
                    self._copying.submit(self._keep, target, frame.blob)
        except (OSError, BadInput) as error:
            self._late[frame] = None
            log.error("the frame %s cannot be put into %s, and will be tried again: %s", frame.output, frame.into, error)

    def settle(self) -> None:
        """Try again to publish what could not be."""
        late, self._late = self._late, {}
        for frame in late:
            self.publish(frame)

    def sweep(self, tables: Tables) -> None:
        """At the server's start: publish what was accepted and not yet published, throw away what nobody waits for."""
        for path in self._folder.incoming.glob("*-*"):
            attempt, _, rest = path.name.partition("-")
            number, _, further = rest.partition("-")
            if not number.isdigit():
                continue
            part = tables.Part.get_or_none(tables.Part.id == int(number))
            if part is not None and part.status == PartStatus.COMPLETED and part.attempt == attempt:
                if not further:
                    extras = tuple(extra["output"] for extra in part.extras)
                    blob = part.digest if part.job.settings.get("film") and part.piece != FILM else ""
                    self.publish(PublishFrame(attempt, part.id, part.job.output, part.output, extras, blob))
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
        part = tables.Part
        # A film that failed is made again of the same frames.
        unfinished = wanted & (job.status != JobStatus.COMPLETED) & (part.digest != "")
        pieces = {digest for (digest,) in part.select(part.digest).join(job).where(unfinished).tuples()}
        threading.Thread(target=self._collect, args=(bundles, pieces, wall - _DAY), name="brender-blobs", daemon=True).start()

    def _collect(self, bundles: set[str], pieces: set[str], before: float) -> int:
        """Keep *bundles* and what is in them, the *pieces* of stills, and what was used after *before*; returns how many others
        there were."""
        needed, count = bundles | pieces, 0
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

    def _keep(self, file: Path, blob: str) -> bool:
        """Have the frame *file* as *blob*, for the film; in a thread of its own or that of files. Whether that could be done."""
        try:
            return self.blobs.keep(file, blob)
        except OSError as error:
            log.error("the frame %s cannot be copied for its film: %s", file, error)
            return False

    # --- in the thread of files ---------------------------------------------------------------------------------------

    def _place(self, piece: FilePiece) -> Path | None:
        if (self._owners.get(piece.attempt) or self._owner(piece.attempt)) != (piece.worker, piece.job):
            return None
        if piece.kind == "log":
            return self._folder.log(piece.job, piece.attempt)
        if piece.kind in ("frame", "piece"):
            return self._incoming(piece.attempt, piece.part, piece.file)
        return self._folder.thumbnail(piece.attempt, piece.part)

    def _recover(self, blob: str) -> str | None:
        """Keep *blob* again where it is the frame of a film that is still to be made; returns a sentence where that frame is not
        as it was any more."""
        words = (
            "SELECT j.id, j.output, p.id, p.output, p.attempt, p.frame FROM job j JOIN part p ON p.job = j.id "
            "WHERE j.bundle <> '' AND j.status IN ('queued', 'active', 'paused') AND p.status = 'completed' AND p.digest = {}"
        )
        row = self._look_up(words, blob)
        if row is None:
            return None
        job, into, part, output, attempt, frame = row
        with contextlib.suppress(BadInput):
            waiting = self._incoming(attempt, part, 0)  # it could not be given its name yet
            if any(self._keep(file, blob) for file in (self.folder_of(into) / output, waiting) if file.is_file()):
                return None
        again = f"`brender requeue {job} --frames {frame}` renders it again"
        return f"frame {frame} is gone, or was changed, since it was rendered: {again}"

    def _owner(self, attempt: str) -> tuple[str, str] | None:
        """The worker and the job of *attempt*, as the record has them."""
        row = self._look_up("SELECT worker, job FROM attempt WHERE id = {}", attempt)
        if row is None:
            return None
        self._owners[attempt] = found = (row[0], row[1])
        if len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return found

    def _frame(self, job: str, part: int, file: int) -> Path | None:
        words = (
            "SELECT j.output, p.output, p.extras FROM part p JOIN job j ON j.id = p.job "
            "WHERE p.id = {} AND p.status = 'completed' AND j.id = {}"
        )
        row = self._look_up(words, part, job)
        if row is None or not row[1]:
            return None
        names = [row[1], *(extra["output"] for extra in json.loads(row[2]))]
        try:
            folder = self.folder_of(row[0]).resolve()
        except BadInput:
            return None
        path = (folder / names[file]).resolve() if file < len(names) else None
        return path if path is not None and path.is_relative_to(folder) else None

    def _look_up(self, words: str, *values: Any) -> Any:
        try:
            database = open_for_reading(self._database)
            with database.connection_context():
                sql = words.replace("{}", database.param)
                return database.execute_sql(sql, values).fetchone()  # type: ignore[no-untyped-call]
        except PeeweeException:
            return None  # whoever asks will ask again

    def _incoming(self, attempt: str, part: int, file: int) -> Path:
        return self._folder.incoming / (f"{attempt}-{part}-{file}" if file else f"{attempt}-{part}")


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

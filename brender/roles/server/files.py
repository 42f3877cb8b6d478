"""The server's files: who may send which, blobs of jobs, and frames from their arrival until they are in their jobs' folders.

What touches a job's folder is done by a thread of that folder (`FolderThreads`), which may hang for as long as its drive does.
"""

import contextlib
import json
import logging
import os
import platform
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from peewee import PeeweeException

from brender.bus.messages import FilePiece, FramePiece, FrameWanted, NoFile
from brender.engines.destination import one_spelling
from brender.engines.directories import read
from brender.jobs.pieces import is_piece
from brender.jobs.video import main_of, not_among
from brender.model.addon import AddOn
from brender.model.bundle import Bundle, read_bundle
from brender.model.errors import BadInput, BrenderError
from brender.model.frame_file import named_files
from brender.model.job import FILM, JobSpec
from brender.model.paths import PathVariable, expand, platform_of
from brender.model.status import Outcome, PartStatus
from brender.model.text import short_id
from brender.roles.effects import PublishFrame
from brender.roles.server.folder_threads import Alive, FolderThreads
from brender.roles.server.placement import Placement
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables
from brender.transfer.blob_store import BlobStore
from brender.transfer.pieces import PIECE
from brender.transfer.server import Answer, ServerPlaces

log = logging.getLogger("brender.files")
_REMEMBERED = 10_000
_DAY = 86_400.0
_CLOSE_SECONDS = 2.0
_PLATFORM = platform_of(platform.system())
_NOT_THERE = "That frame is not rendered, or its file is not where the server put it any more"


class FileKeeper:
    """The files in *folder*, by the record in *database*. *placed* is called, in a thread, with frames that are in their jobs'
    folders now."""

    def __init__(
        self,
        folder: DataFolder,
        database: str,
        placed: Callable[[list[PublishFrame]], None] = lambda frames: None,
        threads: FolderThreads | None = None,
    ) -> None:
        self._folder = folder
        self._database = database
        self._owners: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._asked: set[object] = set()
        """What is being looked for in jobs' folders: frames that are wanted, and blobs to make again."""
        self.here: Mapping[str, str] = {}
        """Where this machine has the folders that path variables stand for."""
        self.blobs = BlobStore(folder.blobs)
        self.threads = threads or FolderThreads()
        self.placement = Placement(self.threads, self._incoming, self.folder_of, self._keep_for_film, placed)

    def places(self, largest: int, links: bool, least_free: int = 0) -> ServerPlaces:
        """Return *largest*: bytes of a file that a client may send at most; 0: any. *links*: roles on this machine may link
        blobs. *least_free*: bytes of the disk that what clients send leaves free."""
        return ServerPlaces(self._place, self._give_frame, self.blobs, largest, least_free, links, self._recover)

    def close(self) -> None:
        """Wait a moment for what is being done in folders; what is left is done after the next start."""
        self.threads.close(_CLOSE_SECONDS)

    def folder_of(self, output: str) -> Path:
        """Return the folder of this machine that a job's *output* means. Raises `BadInput` where it has no place here."""
        return Path(expand(output, self.here, _PLATFORM))

    def prepare(
        self, spec: JobSpec, variables: Iterable[PathVariable], site: str, then: Callable[[JobSpec | Exception], None]
    ) -> None:
        """Look whether the files of *spec* that travel, and its add-ons, have arrived. Where files travel, give its output folder
        its one spelling.

        *then* is called, in a thread, with the job as it is to be accepted, or with why it cannot be.
        """

        def look(alive: Alive) -> None:
            try:
                self.check_addons(spec.addons)
                if spec.bundle:
                    self._check(spec)
                alive()
                # (Where files do not travel its submitter has done so, who may see another machine's folders.)
                output = one_spelling(spec.output, variables, site) if spec.bundle else spec.output
                then(msgspec.structs.replace(spec, output=output))
            except (BrenderError, OSError) as error:
                then(error)

        self.threads.do(f"submit {spec.output}", look)

    def check_addons(self, addons: Iterable[AddOn]) -> None:
        """Raises `BadInput` where not all *addons* are here, or `OSError`."""
        for addon in addons:
            if self.blobs.has(addon.digest):
                continue
            if addon.of_site:
                raise BadInput(
                    f"The files of {addon.subject} are not on the server (any more), as after a backup was restored: "
                    f"`brender addon add PATH` gives them again, {addon.remedy}"
                )
            raise BadInput(f"The add-on {addon.label} is not on the server (any more): submit it again")

    def look_for_files(self, bundle: str, addons: Iterable[AddOn], then: Callable[[BrenderError | OSError | None], None]) -> None:
        """Look whether the files of an accepted job, which brought those of *bundle* ("": none) and has *addons*, are still here.

        *then* is called, in a thread, with why not, or with ``None``.
        """

        def look(alive: Alive) -> None:
            try:
                self.check_addons(addons)
                if bundle:
                    self._read_bundle(bundle)
                alive()
                then(None)
            except (BrenderError, OSError) as error:
                then(error)

        self.threads.do(f"files {bundle}", look)

    def sweep(self, tables: Tables) -> list[PublishFrame]:
        """At the server's start, return the frames that were accepted and are not in their jobs' folders yet, and
        delete files that nobody waits for."""
        arrived: dict[tuple[str, int], list[Path]] = {}
        for path in sorted(self._folder.incoming.glob("*-*")):
            attempt, _, rest = path.name.partition("-")
            number = rest.partition("-")[0]
            if number.isdigit():
                arrived.setdefault((attempt, int(number)), []).append(path)
        frames = []
        for (attempt, id), paths in arrived.items():
            part = tables.Part.get_or_none(tables.Part.id == id)
            if part is not None and part.status == PartStatus.COMPLETED and part.attempt == attempt:
                outputs = named_files(part.output, (further["output"] for further in part.further_files))
                placed = [each for each in outputs if not (part.job.passes and is_piece(each))]
                if not placed:
                    continue
                blob = part.digest if part.job.settings.get("film") and part.piece != FILM else ""
                frames.append(PublishFrame(attempt, part.id, part.job.output, placed[0], tuple(placed[1:]), blob, part.job.id))
                continue
            row = tables.Attempt.get_or_none(tables.Attempt.id == attempt)
            if row is None and part is not None and part.status != PartStatus.COMPLETED:
                continue  # the record is an older one, restored; its worker may report it yet
            if row is None or row.outcome != Outcome.LIVE:
                for path in paths:
                    path.unlink(missing_ok=True)
        return frames

    def delete_leftovers(self, wall: float, alive: Alive) -> None:
        """Delete files that arrived more than a day before *wall*, of attempts that are over and did not complete their parts.

        While the record cannot be read, nothing is deleted.
        """
        words = (
            "SELECT (SELECT COUNT(*) FROM attempt WHERE id = {} AND outcome = {}), "
            "(SELECT COUNT(*) FROM part WHERE id = {} AND attempt = {} AND status = {})"
        )
        for path in self._folder.incoming.glob("*-*"):
            alive()
            attempt, part = path.name.split("-")[:2]
            with contextlib.suppress(OSError):
                if part.isdecimal() and path.stat().st_mtime < wall - _DAY:
                    found = self._look_up(words, attempt, Outcome.LIVE, int(part), attempt, PartStatus.COMPLETED)
                    if found is not None and not any(found):
                        path.unlink()

    def _check(self, spec: JobSpec) -> None:
        """Raises `BadInput` where not all files of *spec* are here, or `OSError`."""
        bundle = self._read_bundle(spec.bundle)
        if bundle.main != (main := main_of(spec.settings)):
            raise BadInput(f"The job renders {main!r}, and the list of its files names {bundle.main!r}")
        if strange := not_among(spec.settings, {file.path for file in bundle.files}):
            raise BadInput(f"The job needs {strange[0]!r}, which is not in the list of its files")

    def _read_bundle(self, blob: str) -> Bundle:
        """Return the list of a job's files that is *blob*. Raises `BadInput` where not all of them are here, or `OSError`."""
        lost = "Some of the job's files are not on the server (any more): submit it again"
        if not self.blobs.has(blob):
            raise BadInput(lost)
        bundle = read_bundle(self.blobs.path(blob).read_bytes())
        if not all(self.blobs.has(file.blob) for file in bundle.files):
            raise BadInput(lost)
        return bundle

    def _keep_for_film(self, frame: PublishFrame, arrived: Path) -> None:
        """Copy *frame* for the worker that makes a film of it: from where it has *arrived*, before anybody may change it."""
        if frame.blob and not self.blobs.has(frame.blob):
            self._keep(arrived, frame.blob)

    def _keep(self, file: Path, blob: str) -> bool:
        """Copy the frame *file* into the store as *blob*. Returns whether that could be done."""
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

    def _recover(self, blob: str, then: Callable[[str | None], None]) -> None:
        """Copy the frame of a film that is still to be made into the store again, as *blob*. *then* is called, in a thread, with
        a sentence where the frame is not as it was any more, else with ``None``; never while its folder does not answer."""
        words = (
            "SELECT j.id, j.output, p.id, p.output, p.attempt, p.frame FROM job j JOIN part p ON p.job = j.id "
            "WHERE j.bundle <> '' AND j.status IN ('queued', 'active', 'paused') AND p.status = 'completed' AND p.digest = {}"
        )
        row = self._look_up(words, blob)
        if row is None:
            then(None)
            return
        job, into, part, output, attempt, frame = row
        arrived = self._incoming(attempt, part, 0)  # while it is not in its place yet
        if arrived.is_file() and self._keep(arrived, blob):
            then(None)
            return

        def look(alive: Alive) -> None:
            with contextlib.suppress(BadInput):
                placed = self.folder_of(into) / output
                if any(self._keep(file, blob) for file in (placed, arrived) if file.is_file()):
                    then(None)
                    return
            again = f"`brender requeue {short_id(job)} --frames {frame}` renders it again"
            then(f"frame {frame} is gone, or was changed, since it was rendered: {again}")

        self._once(into, blob, look)

    def _owner(self, attempt: str) -> tuple[str, str] | None:
        """Return the worker and the job of *attempt*, as the record has them. Raises `OSError`."""
        try:
            row = self._found("SELECT worker, job FROM attempt WHERE id = {}", attempt)
        except PeeweeException as error:
            raise OSError(f"the record cannot be read: {error}") from error
        if row is None:
            return None
        self._owners[attempt] = found = (row[0], row[1])
        if len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return found

    def _give_frame(self, wanted: FrameWanted, answer: Answer) -> None:
        words = (
            "SELECT j.output, p.output, p.further_files, p.attempt FROM part p JOIN job j ON j.id = p.job "
            "WHERE p.id = {} AND p.status = 'completed' AND j.id = {}"
        )
        missing = NoFile(what=f"{wanted.job}/{wanted.part}", reason=_NOT_THERE)
        row = self._look_up(words, wanted.part, wanted.job)
        names = [] if row is None else named_files(row[1], (further["output"] for further in json.loads(row[2])))
        if wanted.file >= len(names):
            answer(missing, [])
            return
        into, name = row[0], names[wanted.file]
        if wanted.small:
            try:
                answer(*piece_of(os.open(self._folder.thumbnail(row[3], wanted.part), os.O_RDONLY), wanted))
            except OSError:
                answer(missing, [])
            return
        with contextlib.suppress(OSError):
            arrived = self._incoming(row[3], wanted.part, wanted.file)
            answer(*piece_of(read(arrived.parent, arrived.name), wanted))
            return

        def look(alive: Alive) -> None:
            try:
                answer(*piece_of(read(self.folder_of(into), name), wanted))
            except (OSError, BadInput):
                answer(missing, [])

        if into in self.threads.silent():
            reason = f"The folder {into} does not answer on the server's machine: try again when it does"
            answer(NoFile(what=missing.what, reason=reason), [])
        else:
            self._once(into, wanted, look)

    def _once(self, into: str, what: object, look: Callable[[Alive], None]) -> None:
        """Do *look* in the folder *into*, unless *what* is being looked for there: it is asked for again and again."""
        if what in self._asked:
            return
        self._asked.add(what)

        def once(alive: Alive) -> None:
            try:
                look(alive)
            finally:
                self._asked.discard(what)

        self.threads.do(into, once)

    def _look_up(self, words: str, *values: Any) -> Any:
        try:
            return self._found(words, *values)
        except PeeweeException:
            return None  # the asker will ask again

    def _found(self, words: str, *values: Any) -> Any:
        """Return the first row that *words* find in the record, or ``None``. Raises `PeeweeException`."""
        database = open_for_reading(self._database)
        with database.connection_context():
            sql = words.replace("{}", database.param)
            return database.execute_sql(sql, values).fetchone()  # type: ignore[no-untyped-call]

    def _incoming(self, attempt: str, part: int, file: int) -> Path:
        return self._folder.incoming / (f"{attempt}-{part}-{file}" if file else f"{attempt}-{part}")


def piece_of(descriptor: int, wanted: FrameWanted) -> tuple[FramePiece, list[bytes]]:
    """Return the piece that is *wanted* of the file that is open as *descriptor*, which is closed. Raises `OSError`."""
    with os.fdopen(descriptor, "rb") as file:
        stat = os.fstat(file.fileno())
        version = f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"
        file.seek(wanted.offset)
        content = file.read(PIECE)
    piece = FramePiece(
        job=wanted.job, part=wanted.part, file=wanted.file, size=stat.st_size, offset=wanted.offset, version=version
    )
    return piece, [content]

"""The server's backups of its own record: by the clock, and before it migrates the record of an earlier brender.

The work is done by another process (brender.store.backup_process), so that a disk that does not answer stops nothing but the
backup.
"""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from brender.model.errors import BadInput, BrenderError
from brender.roles.effects import Now
from brender.store.backup_process import PATIENCE_SECONDS, Hung, Wanted, made_by_process
from brender.store.datafolder import DataFolder

log = logging.getLogger("brender.server")

#: Seconds from the server's start until it looks whether a backup is due, and after one that failed until the next try.
_FIRST, _AGAIN = 600.0, 600.0
#: Backups that are kept of records before they were migrated.
_KEEP_BEFORE = 3


@dataclass(frozen=True)
class BackupPlan:
    """A backup ``every`` so many seconds (0: never), in the folder ``into``, of which the newest ``keep`` stay."""

    every: float = 24 * 3600.0
    into: Path | None = None
    """``None``: ``backups`` in the data folder."""
    keep: int = 7

    def folder(self, data: DataFolder) -> Path:
        return self.into.absolute() if self.into is not None else data.backups


def farm_mark(data: DataFolder, public_key: str) -> str:
    """Return what the names of a server's backups hold, so that no other farm with the same folder of backups takes them for its
    own: neither that of another key, nor a copy of this one that was laid out elsewhere."""
    return hashlib.sha256(f"{public_key}\n{data.root.resolve()}".encode()).hexdigest()[:8]


class ScheduledBackups:
    """Backups of the record at *database*, by *plan*, named with *farm* (`farm_mark`).

    *tell* is called, from any thread, with what became of one: a word for the activity log, and a sentence; only where that is
    news."""

    def __init__(
        self,
        data: DataFolder,
        database: str,
        plan: BackupPlan,
        farm: str,
        least_free: int,
        tell: Callable[[str, str], None],
        now: Now,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._data = data
        self._every = plan.every
        folder = str(plan.folder(data))
        self._wanted = Wanted(database, folder, f"farm-{farm}", keep=plan.keep, every=plan.every, least_free=least_free)
        self._tell = tell
        self._patience = patience
        self._next = now.mono + min(plan.every, _FIRST)
        self._thread: threading.Thread | None = None
        self._is_told = False

    def step(self, now: Now) -> None:
        """Begin what is due. Takes no longer than a moment."""
        if not self._every or now.mono < self._next or (self._thread is not None and self._thread.is_alive()):
            return
        self._next = now.mono + min(self._every, _AGAIN)
        self._thread = threading.Thread(target=self._make, name="backups", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        try:
            made = made_by_process(self._wanted, self._patience)
        except Hung as error:
            self._trouble(str(error))
            error.process.wait()  # no second one beside it
        except (BrenderError, OSError) as error:
            self._trouble(str(error))
        else:
            self._data.note_backup(asdict(made))
            if self._is_told:
                self._is_told = False
                self._tell("backed-up", f"the record can be backed up again: {made.file}")

    def _trouble(self, why: str) -> None:
        log.error("the record could not be backed up: %s", why)
        self._data.note_backup({**(self._data.last_backup() or {}), "trouble": why})
        if not self._is_told:
            self._is_told = True
            self._tell("backup-failed", f"the record could not be backed up: {why}")


def back_up_before(newest: str, data: DataFolder, database: str, plan: BackupPlan, farm: str) -> None:
    """Keep the record as it is, before it is migrated from the migration *newest* on; log where.

    Where an upgrade was cut off, the record is kept as it was before that one began.

    Raises `BadInput` where that cannot be done: then nothing is to be migrated.
    """
    folder = plan.folder(data)
    try:
        made = made_by_process(Wanted(database, str(folder), f"before-upgrade-{farm}", _KEEP_BEFORE, is_once=True))
    except BrenderError as error:
        raise BadInput(
            f"The record is of an earlier brender (it knows {newest}), and is not changed before it is backed up. {error}. "
            "Name another folder with --backups"
        ) from error
    log.warning("the record is of an earlier brender, and is brought to this one's form. As it was it is kept: %s", made.file)

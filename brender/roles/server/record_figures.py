"""Metrics that the server's memory does not have: nodes that are away, and backups. Read in a thread of the metrics' page."""

import logging
import time

from peewee import PeeweeException, fn

from brender.metrics.families import Values
from brender.model.errors import BrenderError
from brender.model.status import UNLISTED, ManagerStatus, WorkerStatus
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader

log = logging.getLogger("brender.server")

_LOOK_SECONDS = 10.0


class RecordFigures:
    """What the record at *database* says of nodes that are away, and *folder* of the last backup.

    ``offline`` has how many nodes are away and not forgotten, of kind "worker" and "manager"; ``backups`` the metrics of backups.
    Both are empty while they cannot be read.
    """

    def __init__(self, folder: DataFolder, database: str) -> None:
        self._folder = folder
        self._reader = Reader(folder, database)
        self._looked = float("-inf")
        self.offline: dict[str, int] = {}
        self.backups: Values = {}

    def look(self) -> None:
        """Look again, where the last look was some seconds ago. May take long."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        self.backups = self._of_backups()
        try:
            with self._reader.record() as record:
                self.offline = {
                    kind: int(
                        table.select(fn.COUNT(table.id)).where((table.status == away) & table.wanted.not_in(UNLISTED)).scalar()
                    )
                    for kind, table, away in (
                        ("worker", record.tables.Worker, WorkerStatus.OFFLINE),
                        ("manager", record.tables.Manager, ManagerStatus.OFFLINE),
                    )
                }
        except (BrenderError, PeeweeException) as error:
            self.offline = {}
            log.debug("the metrics cannot be completed from the record: %s", error)

    def _of_backups(self) -> Values:
        noted = self._folder.last_backup() or {}
        values: Values = {"brender_backup_failed": float(bool(noted.get("trouble")))}
        if isinstance(made := noted.get("wall"), int | float):
            values["brender_backup_made_timestamp_seconds"] = made
        return values

"""Reading the farm's record from outside the server: the database, opened so that nothing can be written, and the data folder."""

import platform
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peewee import OperationalError, ProgrammingError

from brender.model.errors import BadInput, NotFound
from brender.model.frame_file import named_files
from brender.model.paths import expand, places, platform_of
from brender.store.database import check_for_reading, open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.named import LooksAhead, Record
from brender.store.path_variables import path_variables
from brender.store.tables import Tables, make_tables

#: PostgreSQL's code of a table that is not there: the server, which has just started, has not made it yet.
_NO_SUCH_TABLE = "42P01"


class Reader:
    """Reads the farm whose files lie in *folder* and whose database is *database* ("": the folder's own). From any thread.
    *outlook*: who looks ahead for it."""

    def __init__(self, folder: DataFolder, database: str = "", outlook: LooksAhead | None = None) -> None:
        self.folder = folder
        self._where = database or str(folder.database)
        # Table classes that nobody uses now. To make them takes longer than most questions.
        self._idle: deque[Tables] = deque()
        self._outlook = outlook

    @contextmanager
    def record(self) -> Iterator[Record]:
        """The record, for a few questions: opened, read and closed, since a read that stays open would keep the write-ahead
        log growing. Raises `BadInput` where there is no database yet."""
        check_for_reading(self._where)
        try:
            tables = self._idle.pop()
        except IndexError:
            tables = make_tables(open_for_reading(self._where))
        try:
            with tables.Job._meta.database.connection_context():
                yield Record(tables, self.folder, self._outlook)
        except (OperationalError, ProgrammingError) as error:
            if isinstance(error, ProgrammingError) and not _is_without_its_tables(error):
                raise
            raise BadInput(f"The farm's database cannot be read: {' '.join(str(error).split())}") from error
        finally:
            self._idle.append(tables)

    def frame_file(self, record: Record, job: str, part: int, number: int | None = None) -> Path:
        """Return the published picture of a part, or the file that has that *number* (`named_files`). Raises `NotFound` if
        it is not there (yet, or any more)."""
        table = record.tables.Part
        row = table.get_or_none((table.id == part) & (table.job == job) & (table.status == "completed"))
        if row is None or (number is None and not row.output):
            raise NotFound("That frame is not rendered")
        names = named_files(row.output, (each["output"] for each in row.further_files))
        number = number or 0
        if number >= len(names):
            raise NotFound(f"That frame has no file {number}")
        folder = Path(self.folder_of(record, row.job.output)).resolve()
        path: Path = (folder / names[number]).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise NotFound(f"The file {names[number]} is no longer in {row.job.output}")
        return path

    def folder_of(self, record: Record, output: str) -> str:
        """Return the folder that a job's *output* means on the server's machine. Raises `NotFound` where it has no place
        there."""
        if not output.startswith("{"):
            return output
        here = platform_of(platform.system())
        site = str((self.folder.announced("server") or {}).get("site", ""))
        try:
            return expand(output, places(path_variables(record.tables), here, site), here)
        except BadInput as error:
            raise NotFound(str(error)) from error


def _is_without_its_tables(error: ProgrammingError) -> bool:
    """Return whether *error* is of a table that is not there."""
    return getattr(getattr(error, "orig", None), "sqlstate", "") == _NO_SUCH_TABLE  # orig: what the driver raised

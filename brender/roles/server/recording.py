"""Bringing what the core decided into the record: at once, or, while the database cannot be written, as soon as it can be."""

import logging
import time
from collections.abc import Callable

from peewee import InterfaceError, OperationalError, PeeweeException

from brender.farm.record import Ledger, Row
from brender.model.errors import BrenderError
from brender.store.writer import Writer

log = logging.getLogger("brender.server")

_TRY_AGAIN_SECONDS = 1.0


class DatabaseLost(BrenderError):
    """What was accepted can never be recorded."""


class Recording:
    """Rows on their way from *ledger* into the database of *writer*, called *name*.

    ``trouble`` says why they cannot be recorded now, "" where they can. Until then nothing that depends on them may leave the
    server: whoever was not answered asks again.
    """

    def __init__(self, writer: Writer, ledger: Ledger, name: str, tell: Callable[[str], None]) -> None:
        self.writer = writer
        self.ledger = ledger
        self._pending: list[Row] = []
        self.trouble = ""
        self._name = name
        self._tell = tell
        self._tried = 0.0

    def commit(self) -> list[Row]:
        """Write what is no longer true, in one transaction; return it, or nothing while it cannot be written (``trouble`` then
        says why). Raises `DatabaseLost` where trying again would not help."""
        self._pending = self._pending or self.ledger.take()
        if not self._pending or (self.trouble and time.monotonic() - self._tried < _TRY_AGAIN_SECONDS):
            return []
        self._tried = time.monotonic()
        try:
            self.writer.commit(self._pending)
        except (OperationalError, InterfaceError) as error:
            # A full disk, a lock that another program holds, a lost connection: what passes.
            self._pause(_cause(error))
            return []
        except PeeweeException as error:
            raise DatabaseLost(
                f"The database {self._name} cannot be written ({error}). The server stops; nothing that was acknowledged is "
                "lost. Mend it, or put a backup in its place, and start the server again"
            ) from error
        if self.trouble:
            log.warning("the database can be written again; nothing was lost")
            self.trouble = ""
            self._tell("")
        committed, self._pending = self._pending, []
        return committed

    def _pause(self, why: str) -> None:
        said = f"The server cannot write its database ({why}). Nothing new is accepted or handed out until it can"
        if said != self.trouble:
            log.error("%s: %s. Running renders go on", self._name, said)
            self.trouble = said
            self._tell(said)


def _cause(error: BaseException) -> str:
    """What was wrong first: undoing a transaction that a full disk has undone already fails too."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split())

"""A server that starts while its PostgreSQL is away, as when both machines start at once."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from peewee import InterfaceError, OperationalError

from brender.store.database import DatabaseAway, explained
from brender.store.datafolder import DataFolder
from brender.store.last_seen import was_seen

log = logging.getLogger("brender.server")

_AGAIN_SECONDS = 1.0

S = TypeVar("S")


def once_database_answers(make: Callable[[], S], folder: DataFolder, database: str) -> S:
    """Return what *make* makes, a server of *folder* with its record at *database*. Where that does not answer, and a server had
    its record there before, it is tried again until it does. Raises `BadInput` where it never was, or what is wrong stays."""
    said = ""
    while True:
        try:
            return make()
        except (OperationalError, InterfaceError, DatabaseAway) as error:
            why = error if isinstance(error, DatabaseAway) else explained(database, error)
            if not isinstance(why, DatabaseAway) or not was_seen(folder, database):
                raise why from error
            if str(why) != said:
                said = str(why)
                log.error("%s. The server starts as soon as it does", said)
        time.sleep(_AGAIN_SECONDS)

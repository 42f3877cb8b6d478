"""Questions about the record, answered in a thread of their own, so that a large answer never holds up the control loop."""

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from peewee import InterfaceError, OperationalError

from brender.bus.messages import Done, Message, Sorry
from brender.model.errors import BrenderError, Conflict
from brender.store.database import open_for_reading
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.outlook import Outlook
from brender.store.tables import make_tables

log = logging.getLogger("brender.server")

#: Questions of one asker that may wait at once.
_WAITING_OF_ONE = 1000
_END_SECONDS = 5.0

Query = Callable[[Record], Any]
_DISCONNECTED = (OperationalError, InterfaceError)


@dataclass(frozen=True)
class _Waiting:
    route: bytes
    id: str
    query: Query
    then: Callable[[Any], None] | None = None
    """What hears the answer, where nobody outside asked."""


class QueryThread:
    """Answers queries over a read-only connection to *database*. *deliver* gets each answer with the route that it goes to, in
    this thread. Askers take turns, so that one who asks much does not keep the others waiting."""

    def __init__(self, folder: DataFolder, database: str, deliver: Callable[[bytes, Message], None]) -> None:
        self._folder = folder
        self._where = database
        self._deliver = deliver
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, OrderedDict[tuple[bytes, str], _Waiting]] = OrderedDict()
        self._closed = False
        self._record: Record | None = None
        self._outlook = Outlook(time.monotonic, time.time)
        self._thread = threading.Thread(target=self._run, name="brender-queries", daemon=True)
        self._thread.start()

    def put(self, asker: str, route: bytes, id: str, query: Query) -> None:
        """Answer the message *id* of *asker* (a key's id), which came by *route*, with what *query* returns. A message that was
        sent again while it waits is answered once. Raises `Conflict` where too many of the asker's wait already."""
        with self._changed:
            mine = self._waiting.setdefault(asker, OrderedDict())
            if len(mine) >= _WAITING_OF_ONE:
                raise Conflict(f"{_WAITING_OF_ONE} questions of this key wait for their answers: ask again when they have come")
            mine.setdefault((route, id), _Waiting(route, id, query))
            self._changed.notify()

    def look(self, id: str, query: Query, then: Callable[[Any], None]) -> None:
        """Tell *then*, in this thread, what *query* returns: a question of the server's own, one of each *id* at a time."""
        with self._changed:
            self._waiting.setdefault("", OrderedDict()).setdefault((b"", id), _Waiting(b"", id, query, then))
            self._changed.notify()

    def close(self) -> None:
        """End the thread after the answer that it is at."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            answer = self._answer(waiting)
            if waiting.then is not None:
                if isinstance(answer, Done):
                    waiting.then(msgspec.msgpack.decode(answer.data))
            elif answer is not None:
                self._deliver(waiting.route, answer)
        self._disconnect()

    def _next(self) -> _Waiting | None:
        """Wait for the next question: the oldest of the asker whose turn it is. ``None``: the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            asker, mine = self._waiting.popitem(last=False)
            _, waiting = mine.popitem(last=False)
            if mine:
                self._waiting[asker] = mine
            return waiting

    def _answer(self, waiting: _Waiting) -> Message | None:
        """Return the answer; ``None`` where the database is away: the asker asks again."""
        try:
            try:
                data = waiting.query(self._connected())
            except _DISCONNECTED:
                self._disconnect()
                data = waiting.query(self._connected())
            # Encoded here, so that the loop only passes it on.
            return Done(id=waiting.id, data=msgspec.Raw(msgspec.msgpack.encode(data)))
        except BrenderError as error:
            return Sorry(id=waiting.id, code=error.code, message=str(error))
        except _DISCONNECTED:
            log.exception("the database did not answer a question")
            return None
        except Exception:
            log.exception("the server failed at a question")
            return Sorry(id=waiting.id, code=BrenderError.code, message="The server failed at this question: its log says why")

    def _connected(self) -> Record:
        if self._record is None:
            database = open_for_reading(self._where)
            database.connect()
            self._record = Record(make_tables(database), self._folder, self._outlook)
        return self._record

    def _disconnect(self) -> None:
        record, self._record = self._record, None
        if record is not None:
            with contextlib.suppress(*_DISCONNECTED):
                record.tables.Job._meta.database.close()

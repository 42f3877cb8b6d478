"""The common base of the jobs and workers of a `Farm`."""

from typing import Any

from brender.api.connection import Connection
from brender.api.waiting import Patience


class Known:
    """A job or worker, as it was when it was looked at last. ``record`` has all that is known of it."""

    def __init__(self, connection: Connection, record: dict[str, Any]) -> None:
        self._connection = connection
        self.record = record
        self._patience = Patience(connection.refusal_is_final)

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.record["id"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.record["name"])

    @property
    def status(self) -> str:
        """How it stands, in a word: of a job ``queued``, ``active``, ``paused``, ``completed``, ``failed`` or ``canceled``, of a
        worker ``idle``, ``busy``, ``offline`` and so on."""
        return str(self.record["status"])

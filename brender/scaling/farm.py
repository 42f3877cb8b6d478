"""The farm as `brender scale` sees it and acts on it, over the bus."""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from brender.bus.address import ServerAddresses
from brender.bus.client import Client
from brender.bus.membership import JoinToken, reached_at
from brender.model.answers import PAGE
from brender.model.errors import BrenderError, Conflict, NotFound
from brender.model.keys import KeyRole
from brender.scaling.decisions import Work
from brender.scaling.provider import tag_of
from brender.store.datafolder import DataFolder

#: Characters of workers' names that are drawn, and how many: of a thousand workers two have the same in one of 4,000 farms.
_ALPHABET, _DRAWN = "abcdefghjkmnpqrstuvwxyz23456789", 6


def farm_mark(addresses: ServerAddresses) -> str:
    """Return a short mark of the farm whose server has these *addresses*: other farms have others."""
    return hashlib.sha256(addresses.key.encode()).hexdigest()[:8]


def new_name(fleet: str) -> str:
    """Return a name for a worker of *fleet* that no other has."""
    return f"{fleet}-" + "".join(secrets.choice(_ALPHABET) for _ in range(_DRAWN))


@dataclass(frozen=True)
class FarmView:
    """The ``rows`` of the fleet's workers, as the question ``workers`` answers, and the ``work`` that there is for them."""

    rows: list[dict[str, Any]]
    work: Work


class FarmLink:
    """Asks the farm, by *connect*, about the workers of *fleet*. *folder* is this machine's data folder; at *addresses* others
    reach the server's enrolment port ("": where this machine does)."""

    def __init__(self, connect: Callable[[], Client], folder: DataFolder, fleet: str, addresses: Sequence[str] = ()) -> None:
        self._connect = connect
        self._folder = folder
        self._tag = tag_of(fleet)
        self._start = f"{fleet}-"
        self._named = re.compile(rf"{re.escape(fleet)}-[{_ALPHABET}]{{{_DRAWN}}}")
        self._addresses = addresses
        self._client: Client | None = None
        self._example = ""
        self._calm_since: float | None = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def look(self, now: float) -> FarmView:
        """Return how the farm stands. Raises `BrenderError`."""
        try:
            return self._look(now)
        except BrenderError:
            self.close()  # it may come back at another address
            raise

    def token(self, uses: int, seconds: float) -> tuple[str, str]:
        """Return a new token, as one string, by which so many workers may join within so many *seconds*, and its id."""
        made = self._asked.manage("create-token", role=KeyRole.WORKER, uses=uses, expires=f"{max(60, round(seconds))}s", name="")
        enrolment, key = self._asked.addresses.enrolment, self._asked.addresses.key
        where = reached_at(str((self._folder.announced("server") or {}).get("enrolment", "")), enrolment, self._addresses)
        return JoinToken(KeyRole.WORKER, key, where, made["id"], made["secret"]).as_text(), str(made["id"])

    def revoke_token(self, id: str) -> None:
        """Let nobody join by the token *id* any more."""
        with suppress(NotFound):
            self._asked.manage("revoke-token", token=id)

    def drain(self, name: str) -> None:
        """Let the worker *name* finish and leave; it may have left already."""
        with suppress(NotFound, Conflict):
            self._asked.act("drain", name)

    def forget(self, id: str, name: str) -> bool:
        """Take the worker off the lists, and its key out of the farm. Returns whether that could be: one that has just left is
        forgotten a little later."""
        try:
            self._asked.act("forget", id)
        except Conflict:
            return False
        self.revoke_key(name)
        return True

    def revoke_key(self, name: str) -> None:
        """Take the key of the worker *name* out of the farm, where it has one."""
        with suppress(NotFound):
            self._asked.manage("revoke-key", key=name)

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _asked(self) -> Client:
        if self._client is None:
            self._client = self._connect()
        return self._client

    def _look(self, now: float) -> FarmView:
        rows = [row for row in self._all_named_so() if self._named.fullmatch(row["name"]) and self._tag in row["tags"]]
        for row in rows:
            if row["status"] != "offline":
                self._example = str(row["id"])
        found = self._asked.ask("backlog", fleet=self._tag, like=self._example)
        if found["tasks"]:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        work = Work(
            tasks=found["tasks"],
            unknown=found["unknown"],
            seconds=found["seconds"],
            others=found["workers"],
            others_idle=found["idle"],
            calm_since=self._calm_since,
            unfit=_unfit(found),
        )
        return FarmView(rows, work)

    def _all_named_so(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        offset = 0
        while True:
            page = self._asked.ask("workers", limit=PAGE, offset=offset, start=self._start)
            found |= {row["id"]: row for row in page}
            offset += len(page)
            if len(page) < PAGE:
                return list(found.values())


def _unfit(found: dict[str, Any]) -> str:
    """Return, as a sentence, which jobs this fleet's workers cannot take, or "" if they can take all."""
    if not found["unfit"]:
        return ""
    more = found["unfit"] - len(found["unfit_named"])
    named = ", ".join(found["unfit_named"]) + (f" and {more} more" if more else "")
    return f"its workers cannot take {named} ({found['unfit_why']})"

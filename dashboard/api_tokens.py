"""The tokens that programs show: whose they are, and that they are in use."""

import logging
import threading
import time

from flask import current_app, g
from werkzeug.exceptions import Unauthorized

from brender.model.device_sign_in import token_digest
from brender.model.errors import BrenderError
from dashboard.farm import farm

log = logging.getLogger("brender.dashboard")

#: The server is told so seldom that a token is in use, in seconds.
_TOLD_SECONDS = 3600.0
#: And again so soon where it did not hear that.
_AGAIN_SECONDS = 60.0
_EXTENSION = "brender-token-uses"
NOT_VALID = "This token is not valid (any more): make a new one on the page Account and tokens, or by `brender api-token make`"


class TokenExpired(Unauthorized):
    """A token that was good until lately."""

    said_code = "token-expired"


class TokenUses:
    """When the server was told that a token is in use."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, id: str, used: float | None, now: float) -> bool:
        """Return whether the server is to be told that the token *id* is in use, of which it knows when it was *used* last."""
        if used is not None and now - used < _TOLD_SECONDS:
            return False
        with self._lock:
            if now - self._told.get(id, 0.0) < _TOLD_SECONDS:
                return False
            self._told[id] = now
            return True

    def was_not_heard(self, id: str, now: float) -> None:
        """Note that the server did not hear of it: it is told again in a minute."""
        with self._lock:
            self._told[id] = now - _TOLD_SECONDS + _AGAIN_SECONDS


def owner_of(secret: str) -> str:
    """Return the name of the user whose program shows the token *secret*. Raises `Unauthorized`."""
    now = time.time()
    with farm().reader.record() as record:
        token = record.tables.ApiToken.get_or_none(digest=token_digest(secret))
    if token is None or token.revoked is not None:
        raise Unauthorized(NOT_VALID)
    if token.expires is not None and token.expires < now:
        raise TokenExpired("This token has expired: sign in again, or make a new one on the page Account and tokens")
    g.token_id = token.id
    uses: TokenUses = current_app.extensions.setdefault(_EXTENSION, TokenUses())
    if uses.is_due(token.id, token.used, now):
        try:
            with farm().own_client() as client:
                client.manage("use-api-token", id=token.id)
        except BrenderError as error:  # (a server that is away, or of an earlier version, is told at a later use)
            uses.was_not_heard(token.id, now)
            log.info("The server was not told that the token %s is in use: %s", token.id, error)
    return str(token.user)


def token_of_now() -> str:
    """Return the id of the token that the current request shows, or "" if it shows none."""
    return str(g.get("token_id", ""))

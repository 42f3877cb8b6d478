"""Large bodies of requests: whether one is taken is decided by the request's header, before any of it is kept.

waitress (https://docs.pylonsproject.org/projects/waitress/) keeps a whole body on the disk before the application sees the
request: anybody who reaches the port, signed in or not, could fill the disk with it.
"""

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from werkzeug.exceptions import LengthRequired, RequestEntityTooLarge

from dashboard.farm import farm, user_name
from dashboard.people import need
from dashboard.uploads import Reservation

log = logging.getLogger("brender.dashboard")

SMALL_BYTES = 2**20
#: Where large bodies may go.
_UPLOAD = "v1-files.upload"

Admission = Callable[[dict[str, Any]], Reservation | Response]


def admission(app: Flask) -> Admission:
    """Return what decides of a large request by its WSGI environment: room for its body, or the answer that refuses it."""

    def admit(environ: dict[str, Any]) -> Reservation | Response:
        with app.request_context(environ):
            try:
                refused = app.preprocess_request()
                if refused is not None:
                    return app.make_response(refused)
                if request.endpoint != _UPLOAD:
                    raise RequestEntityTooLarge
                if not request.content_length:
                    raise LengthRequired("Say how long the files are (Content-Length), so that the dashboard can check for room")
                need("submit")
                return farm().uploads.reserve(user_name(), request.content_length)
            except Exception as error:
                return app.make_response(app.handle_user_exception(error))

    return admit


def channel_with(admit: Admission) -> type[HTTPChannel]:
    """Return the class of waitress' connections that ask *admit* of each large body."""

    class Channel(HTTPChannel):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self.parser_class = lambda adjustments: _Request(adjustments, self, admit)

        def handle_close(self) -> None:
            unfinished = self.request
            super().handle_close()
            if unfinished is not None:
                unfinished.release()

    return Channel


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it arrives."""

    def __init__(self, adjustments: Any, channel: HTTPChannel, admit: Admission) -> None:
        super().__init__(adjustments)
        self._channel = channel
        self._admit = admit
        self._reservation: Reservation | None = None
        self._asked = False

    def received(self, data: bytes) -> int:
        consumed = int(super().received(data))
        if self.error is None and self.body_rcv is not None and not self._asked:
            length = max(self.content_length, self.body_bytes_received)
            if length > SMALL_BYTES:
                self._ask()
        if self.completed:
            # From now on the application reserves what it needs itself.
            self.release()
        return consumed

    def release(self) -> None:
        """Give up the room that was kept for the body."""
        if self._reservation is not None:
            self._reservation.release()

    def _ask(self) -> None:
        self._asked = True
        try:
            answer = self._admit(WSGITask(self._channel, self).get_environment())
        except Exception:
            log.exception("the dashboard failed at a large request")
            answer = Response("The dashboard failed at this request: its log says why", 500)
        if isinstance(answer, Reservation):
            self._reservation = answer
            return
        self.error = _Refusal(answer)
        self.completed = True
        # Or it would be asked for all the same.
        self.expect_continue = False


class _Refusal:
    """The answer to a request whose body is not read, as waitress wants it."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [(name, value) for name, value in self._response.headers if name.lower() != "content-length"]
        return self._response.status, headers, self._response.get_data()

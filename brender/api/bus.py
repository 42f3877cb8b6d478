"""A farm over the bus, as the command line asks it: with the key of this machine."""

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from brender.api.cloning import submit_again
from brender.api.connection import Again, Bytes, Change, Notify, unseen
from brender.api.job_types import named_type
from brender.api.options import DEFAULTS, check_named_project, job_type_of, render_options
from brender.api.place import Place, as_commands, user
from brender.api.submitting import Wanted, submit
from brender.bus.keys import Credentials
from brender.bus.messages import Event
from brender.bus.transport import Socket
from brender.model.beginning import After, parse_start
from brender.model.errors import Unreachable
from brender.model.sharing import Sharing, check_sharing
from brender.model.text import read_size
from brender.store.datafolder import DataFolder
from brender.transfer.client import Exchange

_LOOK_SECONDS = 0.5


class Bus:
    """A connection to the farm at *place*, over the bus (`brender.api.connection.Connection`)."""

    refusal_is_final = True

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client = place.client()
        self._asking, self._fetching = threading.Lock(), threading.Lock()
        self._exchange: Exchange | None = None

    def ask(self, question: str, **arguments: Any) -> Any:
        with self._asking:
            try:
                return self._client.ask(question, **arguments)
            except Unreachable:
                self._place.follow(self._client)  # (so that the next question finds it)
                raise

    def act(self, action: str, target: str, value: Any = None) -> dict[str, Any]:
        with self._asking:
            return self._client.act(action, target, value=value, user=user())

    def submit(self, file: Path | None, options: Mapping[str, Any], notify: Notify, progress: Bytes) -> dict[str, Any]:
        place, kind = dataclasses.replace(self._place, notify=notify), job_type_of(options)
        output = options.get("output")
        render = render_options(options) | {"output": Path(output) if output else None}
        wanted = Wanted(
            named_type(place.data, kind),
            kind,
            dict(options.get("settings", {})),
            render | {"addons": tuple(map(Path, render["addons"])), "view_layers": tuple(render["view_layers"])},
            (str(file),) if file is not None else tuple(options.get("command", ())),
            options.get("name"),
            _more(options),
            bool(options.get("send")),
            options.get("site", ""),
        )
        may_begin = partial(check_named_project, project=wanted.more["project"] if wanted.more else "", options=options)
        _, accepted = submit(wanted, place, lambda what: nullcontext(progress), may_begin, notify)
        return accepted

    def clone(self, record: Mapping[str, Any], again: Again) -> dict[str, Any]:
        with self._asking:
            return submit_again(self._client, record, again, DataFolder(self._place.data).local_key.exists())[1]

    def fetch(self, job: str, part: int, target: Path, progress: Bytes = unseen, file: int = 0) -> None:
        with self._fetching:
            self._exchange = self._exchange or self._place.exchange()
            self._exchange.fetch(job, part, target, progress, file)

    def changes(self, timeout: float | None) -> Iterator[Change]:
        addresses, pair = as_commands(self._place.server, self._place.data, self._place.notify)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = Socket(context, zmq.SUB, "events", Credentials(pair, addresses.key))
        socket.connect(addresses.events)
        socket.subscribe()
        return _heard(context, socket, timeout)

    def close(self) -> None:
        self._client.close()
        if self._exchange is not None:
            self._exchange.__exit__()


def _heard(context: "zmq.Context[zmq.Socket[bytes]]", socket: Socket, timeout: float | None) -> Iterator[Change]:
    try:
        quiet = time.monotonic()
        while timeout is None or time.monotonic() - quiet < timeout:
            wait = _LOOK_SECONDS if timeout is None else min(_LOOK_SECONDS, timeout)
            if not socket.raw.poll(int(wait * 1000)):
                continue
            for received in socket.drain():
                event = received.message
                if isinstance(event, Event):
                    quiet = time.monotonic()
                    yield Change(event.kind, str(event.fields.get("job") or event.key), event.change)
    finally:
        socket.close()
        context.term()


def _more(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *options* a `JobSpec` has beyond its settings. Raises `BadInput`."""
    given = DEFAULTS | dict(options)
    sharing = Sharing(
        most_workers=given["most_workers"],
        licences=tuple(given["licences"]),
        pool=given["pool"],
        reclaim_at_once=given["reclaim_at_once"],
        rush=given["rush"],
        cores=given["cores"],
        gpu_memory=read_size(memory) if isinstance(memory := given["gpu_memory"], str) else memory,
    )
    check_sharing(sharing)
    after = [After(job, False) for job in given.get("after", ())] + [After(job, True) for job in given.get("after_frames", ())]
    start_at = given.get("start_at")
    return {
        **{name: given[name] for name in ("project", "priority", "paused", "night", "stall_minutes", "limit_minutes")},
        "tags": tuple(given["tags"]),
        "after": tuple(after),
        "start_at": parse_start(start_at, datetime.now()) if start_at else 0.0,
        "sharing": sharing,
    }

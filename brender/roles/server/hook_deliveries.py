"""Carrying out the deliveries of hooks: web addresses are asked, programs run, each hook in a thread of its own, so that none
waits for another and the control loop for none.

A hook's deliveries go in their order. While its target does not take them, they wait, ever longer, up to an hour; one that is a
day old is given up, and one that is refused as such (HTTP 4xx) after a few tries. A delivery may arrive twice, where the server
was killed just after it: its id tells.
"""

import contextlib
import logging
import os
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from brender import __version__
from brender.model.errors import BadInput
from brender.model.hooks import Hook, check_target, signature, words_of
from brender.roles.effects import Deliver
from brender.system.processes import APART, kill_group

log = logging.getLogger("brender.server")

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0
_GIVEN_UP_SECONDS = 86_400.0
_TRIES_IF_REFUSED = 3
_ANSWER_SECONDS = 10.0
_PROGRAM_SECONDS = 60.0
_OUTPUT_KEPT = 2000
#: Answers of a web address that mean that it may take the same later.
_LATER = frozenset({408, 425, 429})

#: Told of each try: the delivery's id, the hook's, tries, why it failed ("" where it went well), whether that is the end of it.
Tell = Callable[[str, str, int, str, bool], None]


class Undelivered(Exception):
    """The target did not take it; the text says why, without the address. ``refused``: the same again would be refused again."""

    def __init__(self, why: str, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class HookDeliveries:
    """Carries out deliveries, and says by *tell* what came of each try. *programs*: what hooks may run."""

    def __init__(self, tell: Tell, programs: tuple[str, ...] = (), first_pause: float = _FIRST_PAUSE) -> None:
        self._tell = tell
        self._programs = programs
        self._pause = first_pause
        self._waiting: dict[str, deque[tuple[Deliver, int]]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._running: set[int] = set()
        """The programs that run now, by their process ids."""

    def put(self, delivery: Deliver, tries: int = 0) -> None:
        """Carry *delivery* out, which was tried *tries* times before. Does not wait."""
        with self._lock:
            if (mine := self._waiting.get(delivery.hook.id)) is not None:
                mine.append((delivery, tries))
                return
            self._waiting[delivery.hook.id] = deque([(delivery, tries)])
        name = f"brender-hook-{delivery.hook.id[:8]}"
        threading.Thread(target=self._work, args=(delivery.hook.id,), name=name, daemon=True).start()

    def forget(self, hook: str) -> None:
        """Let go what waits of *hook*, which is removed."""
        with self._lock:
            if (mine := self._waiting.get(hook)) is not None:
                mine.clear()

    def close(self) -> None:
        """Begin nothing more, and kill what runs. What was not taken is in the record."""
        self._closed.set()
        for pid in list(self._running):
            kill_group(pid)

    def _work(self, hook: str) -> None:
        failures = 0
        while not self._closed.is_set():
            with self._lock:
                if not self._waiting[hook]:
                    del self._waiting[hook]
                    return
                delivery, tries = self._waiting[hook][0]
            why, refused = self._try(delivery)
            tries += 1
            is_old = time.time() - delivery.created > _GIVEN_UP_SECONDS
            is_over = not why or is_old or (refused and tries >= _TRIES_IF_REFUSED)
            failures = failures + 1 if why else 0
            with self._lock:
                mine = self._waiting[hook]
                if mine and mine[0][0] is delivery:
                    mine.popleft()
                    if not is_over:
                        mine.appendleft((delivery, tries))
            self._tell(delivery.id, hook, tries, why, is_over)
            if why:
                log.warning("the hook %s (%s) was not told of %s: %s", hook, shown(delivery.hook), delivery.event, why)
                self._closed.wait(min(_LONGEST_PAUSE, self._pause * 2 ** min(failures - 1, 12)))

    def _try(self, delivery: Deliver) -> tuple[str, bool]:
        """Return why *delivery* failed, or "" if it did not, and whether it was refused for good."""
        try:
            if delivery.hook.kind == "program":
                _run(delivery, self._programs, self._running)
            else:
                _ask(delivery)
        except Undelivered as error:
            return str(error) or "it failed", error.refused
        except Exception as error:
            log.exception("the hook %s failed in brender itself", delivery.hook.id)
            return f"brender itself failed: {type(error).__name__}", False
        return "", False


def shown(hook: Hook) -> str:
    """Return whom *hook* tells, for a log: the rest of a web address is often what lets its holder post there."""
    if hook.kind == "program":
        return hook.target
    try:
        parts = urlsplit(hook.target)
        return f"{parts.scheme}://{parts.hostname}/…"
    except ValueError:
        return "a web address"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An address that was named is asked, and not another that it names: an admin has allowed that one only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _ask(delivery: Deliver) -> None:
    """Post *delivery* to its web address. Raises `Undelivered`."""
    body, timestamp = delivery.body.encode(), str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"brender/{__version__}",
        "Brender-Event": delivery.event,
        "Brender-Delivery": delivery.id,
        "Brender-Timestamp": timestamp,
    }
    if delivery.hook.secret:
        headers["Brender-Signature"] = signature(delivery.hook.secret, timestamp, body)
    try:
        request = urllib.request.Request(delivery.hook.target, body, headers, method="POST")
        with _OPENER.open(request, timeout=_ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise Undelivered(f"it answered {error.code}", 400 <= error.code < 500 and error.code not in _LATER) from None
    except urllib.error.URLError as error:
        reason = error.reason
        why = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        raise Undelivered(why) from None
    except (OSError, HTTPException, ValueError) as error:
        raise Undelivered(type(error).__name__) from None


def _run(delivery: Deliver, programs: tuple[str, ...], running: set[int]) -> None:
    """Run the program of *delivery*, the body at its standard input, among those *running* meanwhile; its output goes into the
    server's log.

    Raises `Undelivered`."""
    try:
        words = words_of(check_target("program", delivery.hook.target, programs))
    except BadInput as error:
        raise Undelivered(str(error), refused=True) from None
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ}
    env |= {"BRENDER_EVENT": delivery.event, "BRENDER_DELIVERY": delivery.id}
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=env, **APART)
        except OSError as error:
            raise Undelivered(f"it cannot be run: {error.strerror or error}") from None
        running.add(process.pid)
        try:
            with contextlib.suppress(BrokenPipeError):
                process.communicate(delivery.body.encode(), timeout=_PROGRAM_SECONDS)
        except subprocess.TimeoutExpired:
            kill_group(process.pid)
            process.wait()
            raise Undelivered(f"it ran for longer than {_PROGRAM_SECONDS:.0f} seconds, and was killed") from None
        finally:
            running.discard(process.pid)
        output.seek(0)
        said = output.read(_OUTPUT_KEPT).decode("utf-8", "replace")
    for each in said.splitlines():
        log.info("the hook %s (%s) says: %s", delivery.hook.id, Path(words[0]).name, each)
    if process.returncode:
        raise Undelivered(f"it ended with exit code {process.returncode}")

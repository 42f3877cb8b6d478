"""The page of ``--metrics``: /metrics for Prometheus, /healthz and /readyz for the supervisor that keeps the role running.

It is served by threads of its own. The role's loop calls `turned` and leaves a snapshot once a second; it waits for no scrape,
and a scrape computes nothing in it.
"""

import contextlib
import errno
import logging
import shutil
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from brender.bus.address import Address
from brender.metrics.families import FAMILIES, Values, info
from brender.model.errors import BadInput, BrenderError

log = logging.getLogger("brender.metrics")

#: A loop that has not turned for so many seconds hangs, as /healthz says it.
STALE_SECONDS = 5.0
_SNAPSHOT_SECONDS = 1.0
_LOOK_SECONDS = 2.0
#: What was looked at longer ago is not told: the disk or the database does not answer.
_LOOK_STALE_SECONDS = 15.0
#: A client has so many seconds for its request.
_CLIENT_SECONDS = 5.0
_CLIENTS = 16


@dataclass(frozen=True)
class Snapshot:
    """What a role leaves: its ``values``, and the sentence that says why it is not ready; ``None``: it is."""

    values: Values = field(default_factory=dict)
    not_ready: str | None = None


class MetricsPage:
    """The page of a *role* on *address*, whose data is in *folder*. From now on it answers, that the role is starting at first.

    Raises `BadInput` where it cannot listen there.
    """

    def __init__(self, address: Address, role: str, folder: Path) -> None:
        self._role = role
        self._folder = folder
        self._started = time.time()
        self._turned: float | None = None
        self._taken = float("-inf")
        self._snapshot: Snapshot | None = None
        self._take: Callable[[], Snapshot] = Snapshot
        self._look: Callable[[], None] | None = None
        self._why_not: str | None = None
        self._looked = float("-inf")
        self._disk: tuple[float, float, float] | None = None
        registry = CollectorRegistry()
        registry.register(_Exported(self._values))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._server = _listening(address, self.answer)
        self._registry = registry
        self.address = Address(address.host, int(self._server.server_address[1]))
        self._ended = threading.Event()
        for name, run in (("brender-metrics", self._serve), ("brender-metrics-looks", self._keep_looking)):
            threading.Thread(target=run, name=name, daemon=True).start()

    def show(self, take: Callable[[], Snapshot], look: Callable[[], None] | None = None) -> None:
        """Show from now on what *take* returns, which is called in the loop. *look* sees, in a thread, whether what may take long
        can be used, and raises `BrenderError` where it cannot."""
        self._take, self._look = take, look

    def turned(self) -> None:
        """Note that the loop turns. In the loop, at each round."""
        now = time.monotonic()
        self._turned = now
        if now - self._taken >= _SNAPSHOT_SECONDS:
            self._taken = now
            try:
                self._snapshot = self._take()
            except Exception:
                log.exception("the metrics cannot be read")
                self._snapshot = None

    @property
    def is_readable(self) -> bool:
        """Whether what may take long could be used when it was looked at last, and that is not long ago."""
        return self._why_not is None and time.monotonic() - self._looked < _LOOK_STALE_SECONDS

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()
        with contextlib.suppress(OSError):  # which wakes the thread that waits for clients
            socket.create_connection((self.address.host, self.address.port), 1.0).close()
        self._server.server_close()

    # --- answers, in threads of their own -----------------------------------------------------------------------------

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Return status, type and content of the page at *path*, for a client that accepts *accept*."""
        match path.partition("?")[0]:
            case "/metrics":
                encoder, kind = choose_encoder(accept)
                return 200, kind, encoder(self._registry)
            case "/healthz":
                return _said(self.not_alive())
            case "/readyz":
                return _said(self.not_ready())
        return 404, _PLAIN, b"There are /metrics, /healthz and /readyz\n"

    def not_alive(self) -> str | None:
        """Return the sentence that says that the loop hangs; ``None``: it turns, or the role has just begun to start."""
        age = self._age()
        if age is None or age <= STALE_SECONDS:
            return None
        return f"The loop of this {self._role} has not turned for {age:.0f} seconds"

    def not_ready(self) -> str | None:
        """Return the sentence that says why the role is not ready; ``None``: it is."""
        if (hangs := self.not_alive()) is not None:
            return hangs
        snapshot = self._snapshot
        if snapshot is None:
            return f"This {self._role} is starting"
        if self._look is not None:
            if self._why_not is not None:
                return self._why_not
            if (age := time.monotonic() - self._looked) > _LOOK_STALE_SECONDS:
                return f"What this {self._role} reads does not answer" + (f", for {age:.0f} seconds" if age < 1e6 else " yet")
        return snapshot.not_ready

    def _serve(self) -> None:
        """Serve clients. (Not by `serve_forever`, which wakes up to see whether it is to end.)"""
        while not self._ended.is_set():
            self._server.handle_request()

    def _age(self) -> float | None:
        return None if self._turned is None else time.monotonic() - self._turned

    def _values(self) -> Values:
        """Return all values of now."""
        snapshot, disk = self._snapshot, self._disk
        values = info(self._role, self._started) | (snapshot.values if snapshot is not None else {})
        values["brender_ready"] = float(self.not_ready() is None)
        if (age := self._age()) is not None:
            values["brender_loop_age_seconds"] = age
        if disk is not None and time.monotonic() - disk[0] < _LOOK_STALE_SECONDS:
            values |= {"brender_disk_free_bytes": disk[1], "brender_disk_bytes": disk[2]}
        return values

    def _keep_looking(self) -> None:
        """Look now and then at what may hang: the disk, and what the role named."""
        while not self._ended.is_set():
            if self._look is not None:
                try:
                    self._look()
                    self._why_not = None
                except BrenderError as error:
                    self._why_not = str(error)
                except Exception:
                    log.exception("the files that this role reads cannot be checked")
                    self._why_not = f"The files that this {self._role} reads cannot be checked: its log says why"
                self._looked = time.monotonic()
            try:
                usage = shutil.disk_usage(self._folder)
                self._disk = time.monotonic(), float(usage.free), float(usage.total)
            except OSError:
                self._disk = None
            self._ended.wait(_LOOK_SECONDS)


class _Exported(Collector):
    """What *values* returns, as Prometheus' client has it."""

    def __init__(self, values: Callable[[], Values]) -> None:
        self._values = values

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for name, value in self._values().items():
            family = FAMILIES[name]
            kind = CounterMetricFamily if family.is_counter else GaugeMetricFamily
            metric = kind(name, family.help, labels=family.labels)
            for labels, number in value.items() if not isinstance(value, int | float) else (((), value),):
                metric.add_metric(labels, number)
            yield metric


_PLAIN = "text/plain; charset=utf-8"


def _said(wrong: str | None) -> tuple[int, str, bytes]:
    return (200, _PLAIN, b"ok\n") if wrong is None else (503, _PLAIN, f"{wrong}\n".encode())


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    server: "_Server"
    server_version, sys_version = "brender", ""

    def do_GET(self) -> None:
        status, kind, content = self.server.answer(self.path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *words: object) -> None:
        """Log nothing: there is a scrape every few seconds."""


class _Server(socketserver.ThreadingTCPServer):
    """Answers few clients at a time, each in a thread."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = sys.platform != "win32"  # (there it would let two listen on one port)
    request_queue_size = 32

    def __init__(self, address: Address, answer: Callable[[str, str], tuple[int, str, bytes]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.answer = answer
        self._free = threading.BoundedSemaphore(_CLIENTS)
        super().__init__((address.host, address.port), _Handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("a client of the metrics page went away", exc_info=True)


def _listening(address: Address, answer: Callable[[str, str], tuple[int, str, bytes]]) -> _Server:
    try:
        return _Server(address, answer)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BadInput(
                f"--metrics: port {address.port} on {address.host} is in use. Name another, or stop the program that uses it"
            ) from error
        raise BadInput(f"--metrics: cannot listen on {address}: {error.strerror or error}") from error

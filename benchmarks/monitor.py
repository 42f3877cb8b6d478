"""What a monitor costs, itself and the farm that it watches.

    python -m benchmarks.monitor [--quick]

- the share of a core that ``brender-monitor`` takes, in a terminal of 160 by 50, for a farm of 1,000 workers (500 heartbeats and
  100 other events a second);
- the same at 10,000 events a second, and how many seconds what it shows is behind;
- tasks that do nothing a second with five monitors against none, side by side. The monitors run on this machine too, where they
  yield to all else (nice 19): elsewhere they take nothing from it.
"""

import contextlib
import fcntl
import multiprocessing
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import msgspec
import psutil
import zmq

from benchmarks.localroles import Roles, roles, until
from benchmarks.report import arguments, report
from brender.bus.address import Address, ServerAddresses
from brender.bus.keys import Guard, KeyPair, Keyring, Zap, new_pair
from brender.bus.messages import Event
from brender.bus.rights import Door
from brender.bus.transport import Socket
from brender.model.bus_figures import BusFigures, Link, LinkState, Rounds, packed
from brender.model.keys import KeyRole, Principal
from brender.model.nodes import Stats
from brender.monitor.feed import Feed
from brender.monitor.session import LiveSession

WORKERS = 1_000
_COLUMNS, _LINES = 160, 50
_WARM_SECONDS = 6.0


def publish(pair: KeyPair, public: str, a_second: int, port: "Synchronized[int]") -> None:
    """Be the events of a server with `WORKERS` workers, with *a_second* other events, for one monitor's key."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keyring = Keyring([Principal(id="a" * 16, public=public, role=KeyRole.MONITOR, name="m")])
    zap = Zap(context, keyring)
    events = Socket(context, zmq.XPUB, "events", Guard(pair, keyring, Door.SERVER_EVENTS))
    port.value = events.bind(Address("127.0.0.1", 0), "The benchmark").port
    while not events.raw.poll(0):
        zap.answer()
        time.sleep(0.01)
    number, began = 0, time.monotonic()
    stats = msgspec.structs.asdict(Stats(cpu_percent=50.0, memory_used=10**9, memory_total=10**10))
    while True:
        tick = time.monotonic()
        for _ in range(WORKERS // 2 // 20):
            number += 1
            _send(events, "stats", f"{number % WORKERS:016x}", number, _heartbeat(number, tick - began, stats))
        for _ in range(a_second // 20):
            number += 1
            fields = {
                "status": "completed",
                "seconds": 1.5,
                "worker": f"{number % WORKERS:016x}",
                "job": "b" * 16,
                "frame": number,
            }
            _send(events, "part", str(number), number, fields)
        zap.answer()
        time.sleep(max(0.0, tick + 0.05 - time.monotonic()))


def _heartbeat(number: int, up: float, stats: dict[str, Any]) -> dict[str, Any]:
    link = Link(
        name="worker", address="10.0.0.1:7777", state=LinkState.CONNECTED, sent={"Renew": number}, received={"Renewed": number}
    )
    bus = packed(BusFigures(up=up, links=(link,) * 3, rounds=Rounds(count=number, seconds=up), round_trip=0.001))
    fields = {
        "sequence": number // WORKERS,
        "name": f"render-{number % WORKERS:04}",
        "kind": "worker",
        "status": "idle",
        "reason": "",
    }
    return fields | {"stats": stats, "bus": bus}


def _send(events: Socket, kind: str, key: str, number: int, fields: dict[str, Any]) -> None:
    events.send(Event(change=number, wall=time.time(), kind=kind, key=key, fields=fields, number=number), topic=kind)


@contextlib.contextmanager
def in_terminal(*words: str, nice: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a terminal of its own, whose screen is read and thrown away."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    program = ["nice", "-n", str(nice), sys.executable, *words]
    # (Not in a session of its own: Linux shares processor time out among sessions first, whatever nice says.)
    started = subprocess.Popen(program, stdin=other, stdout=other, stderr=other, env=env)
    os.close(other)

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(main, 65536):
                pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        os.close(main)


def alone(a_second: int, seconds: float) -> tuple[float, float]:
    """Return the share of a core that a monitor takes, and how many seconds what it shows is behind at most."""
    pair, own = new_pair(), new_pair()
    port: Synchronized[int] = multiprocessing.Value("i", 0)
    publisher = multiprocessing.Process(target=publish, args=(pair, own.public, a_second, port), daemon=True)
    publisher.start()
    until(lambda: port.value)
    with tempfile.NamedTemporaryFile() as behind:
        facts = (str(port.value), pair.public, own.public, own.secret, behind.name)
        with in_terminal("-m", "benchmarks.monitor", "--screen", *facts) as started:
            time.sleep(_WARM_SECONDS)
            process = psutil.Process(started.pid)
            before, began = process.cpu_times(), time.monotonic()
            time.sleep(seconds)
            after, took = process.cpu_times(), time.monotonic() - began
        late = [float(line) for line in Path(behind.name).read_text().split()]
    publisher.kill()
    used = after.user + after.system - before.user - before.system
    return used / took, max(late[len(late) // 4 :], default=float("nan"))


def screen(port: str, server: str, public: str, secret: str, behind: str) -> None:
    """Be the monitor of `alone`, which notes now and then how far it is behind."""
    from brender.monitor.app import Monitor

    nowhere, events = Address("127.0.0.1", 1), Address("127.0.0.1", int(port))
    addresses = ServerAddresses(nowhere, events, nowhere, nowhere, nowhere, server)
    session = LiveSession(Feed(addresses, KeyPair(public, secret), KeyRole.MONITOR).start())

    class Noting(Monitor):
        def draw(self) -> None:
            super().draw()
            with Path(behind).open("a") as file:
                file.write(f"{time.time() - self.heard.wall(self.session.now()):.3f}\n")

    Noting(session).run()


def with_monitors(tasks: int, rounds: int, monitors: int) -> tuple[float, float]:
    """Return the rate of tasks with so many monitors over that without, and the share of a core that they make the server take
    more: the medians of *rounds* pairs on one farm."""
    with tempfile.TemporaryDirectory() as folder, roles(Path(folder), 2) as farm, farm.client() as client:
        server = psutil.Process(farm.processes["server"].pid)

        def run() -> tuple[float, float]:
            before = server.cpu_times()
            seconds = farm.run(client, tasks)
            after = server.cpu_times()
            return seconds, after.user + after.system - before.user - before.system

        ratios, shares = [], []
        for _ in range(rounds):
            bare, bare_cpu = run()
            with watched(farm, monitors):
                seen, seen_cpu = run()
            report(f"dispatch with {monitors} monitors", tasks / seen, "tasks/s", f"none: {tasks / bare:.0f}", bare / seen)
            ratios.append(bare / seen)
            shares.append((seen_cpu - bare_cpu) / seen)
        return statistics.median(ratios), statistics.median(shares)


@contextlib.contextmanager
def watched(farm: Roles, monitors: int) -> Iterator[None]:
    """So many monitors watch *farm*, each in a terminal, for the length of the block."""
    words = ("-m", "brender.commands.main", "role", "monitor", "--data", str(farm.folder), "--server", str(farm.server))
    with contextlib.ExitStack() as stack:
        for _ in range(monitors):
            stack.enter_context(in_terminal(*words, nice=19))
        time.sleep(_WARM_SECONDS)
        yield


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    seconds = 8.0 if quick else 30.0
    for name, a_second in (("1,000 workers", 100), ("1,000 workers and 10,000 events a second", 9_500)):
        share, late = alone(a_second, seconds)
        report(f"monitor's own CPU, {name}", share, "of a core")
        report(f"monitor behind, {name}", late, "s at most")
    ratio, share = with_monitors(10_000 if quick else 40_000, 2 if quick else 5, 5)
    report("dispatch with five monitors against none, median", ratio, "of it", "none", ratio)
    report("what five monitors make the server take more", share, "of a core")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--screen"]:
        screen(*sys.argv[2:])
    else:
        main()

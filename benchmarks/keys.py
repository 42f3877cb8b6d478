"""What keys cost: dispatch and verified transfer of files with CURVE against the same without, in turn, in one run.

    python -m benchmarks.keys [--quick]

Transfer is that of one file from one process to another: read from disk, sent in pieces as brender sends them with so many on
their way, each hashed (SHA-256) and written to disk as it arrives.
"""

import argparse
import hashlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zmq

from benchmarks import plain
from benchmarks.dispatch import rate
from benchmarks.report import report
from brender.bus.keys import Credentials, Guard, KeyPair, Keyring, Zap, new_pair
from brender.bus.rights import Door
from brender.model.keys import KeyRole, Principal
from brender.transfer.pieces import PIECE

ON_THEIR_WAY = 32


def receive(port: Any, length: int, server: KeyPair, sender: KeyPair, armed: bool) -> None:
    """Take the file in, and say its digest."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    raw = context.socket(zmq.ROUTER)
    ring = Keyring([Principal(id="a" * 16, public=sender.public, role=KeyRole.MANAGER, name="sender")])
    zap = Zap(context, ring)
    if armed:
        Guard(server, ring, Door.SERVER_FILES).apply(raw)
    port.send(raw.bind_to_random_port("tcp://127.0.0.1"))
    digest, have = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        while have < length:
            if not raw.poll(1):
                zap.answer()
                continue
            route, piece = raw.recv_multipart(copy=False)
            digest.update(piece.buffer)
            file.write(piece.buffer)
            have += len(piece.buffer)
            raw.send_multipart([route.bytes, b"+"])
        file.flush()
    raw.send_multipart([route.bytes, digest.hexdigest().encode()])
    time.sleep(0.2)


def transfer(length: int, armed: bool) -> float:
    """Bytes a second of one file of *length* bytes."""
    server, sender = new_pair(), new_pair()
    ours, theirs = multiprocessing.Pipe()
    with tempfile.NamedTemporaryFile() as file:
        block = os.urandom(2**22)
        for _ in range(length // len(block)):
            file.write(block)
        file.flush()
        other = multiprocessing.Process(target=receive, args=(theirs, length, server, sender, armed))
        other.start()
        raw = zmq.Context().socket(zmq.DEALER)
        if armed:
            Credentials(sender, server.public).apply(raw)
        raw.connect(f"tcp://127.0.0.1:{ours.recv()}")
        file.seek(0)
        began, credit, digest, said = time.perf_counter(), ON_THEIR_WAY, hashlib.sha256(), b""
        while len(said) < 2:
            while credit and (piece := file.read(PIECE)):
                digest.update(piece)
                raw.send(piece, copy=False)
                credit -= 1
            said = raw.recv()
            credit += 1
        taken = time.perf_counter() - began
        assert said.decode() == digest.hexdigest(), "the file arrived as another"
        other.join()
        raw.close(linger=0)
    return length / taken


def measure(what: str, armed: bool, quick: bool) -> float:
    if not armed:
        plain.disarm()
    if what == "dispatch":
        return rate(2, 5_000 if quick else 20_000, armed)
    return transfer(2**26 if quick else 2**28, armed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--one", nargs=2, help="measure one thing, plain or armed, and print it: what this program asks of itself"
    )
    options = parser.parse_args()
    if options.one:
        print(measure(options.one[0], options.one[1] == "armed", options.quick))
        return
    for what, unit, scale in (("dispatch", "tasks/s", 1.0), ("transfer", "MB/s", 1e6)):
        found: dict[str, list[float]] = {"armed": [], "plain": []}
        for _ in range(1 if options.quick else 5):
            for side, values in found.items():
                words = [sys.executable, "-m", "benchmarks.keys", "--one", what, side, *(["--quick"] if options.quick else [])]
                done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
                values.append(float(done.stdout))
        armed, bare = (statistics.median(values) / scale for values in found.values())
        report(f"{what} with keys", armed, unit, f"without: {bare:.0f} {unit}", armed / bare)


if __name__ == "__main__":
    main()

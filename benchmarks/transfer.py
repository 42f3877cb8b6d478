"""One large file from server through manager to worker, each its own process, against cp and rsync over loopback, in one run.

    python -m benchmarks.transfer [--quick]

Over the wire, as between machines, and by links, as on one machine. The manager has not seen the file before; it verifies it, and
the worker does again. Each way in turn, so many rounds. Besides:
how much more memory each role holds meanwhile than before, and how long questions at the server take (p99).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.localroles import Roles, until
from benchmarks.report import report
from brender.blendfile.packing import digest_of_file
from brender.bus.address import free_ports
from brender.bus.keys import Credentials, kept_pair
from brender.commands.joining import join_as_node
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from brender.transfer.worker import FileSender


def pull(folder: Path, blob: str) -> None:
    """What the worker's process does: have *blob*, and nothing of it before."""
    membership = join_as_node(DataFolder(folder), KeyRole.WORKER, "puller", None, None)
    (place,) = membership.manager_addresses()
    sender, over, reasons = FileSender(BlobStore(folder / "pulled", 10**11)), threading.Event(), list[str]()
    sender.start()
    sender.turn_to(place.files, Credentials(kept_pair(folder / "workers" / "puller" / "key"), place.key))
    before, began = psutil.Process().memory_info().rss, time.perf_counter()

    def ended(reason: str) -> None:
        reasons.append(reason)
        over.set()

    sender.fetch(blob, ended)
    over.wait()
    assert reasons == [""], reasons
    print(time.perf_counter() - began, psutil.Process().memory_info().rss - before)
    sender.stop()


def pulled(farm: Roles, blob: str) -> tuple[float, float]:
    """Seconds of a pull with a manager that has nothing yet, and the bytes that the worker's process grew by."""
    for folder in (farm.folder / "managers" / "m" / "blobs", farm.folder / "pulled"):
        shutil.rmtree(folder, ignore_errors=True)
    words = [sys.executable, "-m", "benchmarks.transfer", "--pull", str(farm.folder), blob]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    seconds, grown = done.stdout.split()
    return float(seconds), float(grown)


def touch_memory() -> None:
    """Have the machine's free memory used once: in a virtual machine a page's first use is slow, whoever's turn it is then."""
    script = "import mmap, psutil\nsize = int(psutil.virtual_memory().available * 0.8)\narea = mmap.mmap(-1, size)\n"
    script += "for place in range(0, size, 4096): area[place] = 1\n"
    subprocess.run([sys.executable, "-c", script], check=True)


def copied(source: Path, target: Path) -> float:
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["cp", str(source), str(target)], check=True)
    return time.perf_counter() - began


def synced(port: int, source: Path, target: Path) -> float:
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["rsync", "-W", f"rsync://127.0.0.1:{port}/files/{source.name}", str(target)], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pull", nargs=2, help="what this program asks of itself")
    options = parser.parse_args()
    if options.pull:
        pull(Path(options.pull[0]), options.pull[1])
        return
    touch_memory()
    size, rounds = (2**27, 1) if options.quick else (2**30, 3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        port = free_ports(1)
        (folder / "rsyncd.conf").write_text(
            f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n[files]\npath = {folder}\n"
        )
        daemon = [
            "rsync",
            "--daemon",
            "--no-detach",
            f"--port={port}",
            f"--config={folder / 'rsyncd.conf'}",
            "--address=127.0.0.1",
        ]
        rsync = subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            source = folder / "source"
            with source.open("wb") as file:
                for _ in range(size // 2**22):
                    file.write(os.urandom(2**22))
            for links in (False, True):
                with_farm(Roles(folder / f"farm-{links}", free_ports(9), 0, links=links), source, port, rounds)
        finally:
            rsync.kill()
            rsync.wait()


def with_farm(farm: Roles, source: Path, port: int, rounds: int) -> None:
    """Let *farm*'s server have the file *source*, and measure."""
    try:
        for name in ("server", "manager"):
            farm.start(name)
        with farm.client() as client:
            until(lambda: len(client.ask("managers")) == 1)
        blob, size = digest_of_file(source)
        store = BlobStore(DataFolder(farm.folder).blobs)
        store.path(blob).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, store.path(blob))
        measure(farm, blob, source, source.with_name("target"), port, rounds, size)
    finally:
        for process in farm.processes.values():
            process.kill()
            process.wait()


def measure(farm: Roles, blob: str, source: Path, target: Path, port: int, rounds: int, size: int) -> None:
    roles = {name: psutil.Process(process.pid) for name, process in farm.processes.items()}
    idle = {name: role.memory_info().rss for name, role in roles.items()}
    most, waits, ending = dict(idle), list[float](), threading.Event()
    seconds: dict[str, list[float]] = {"brender": [], "cp": [], "rsync": []}
    grown = 0.0

    def watch() -> None:
        while not ending.wait(0.02):
            for name, role in roles.items():
                most[name] = max(most[name], role.memory_info().rss)

    def ask() -> None:
        with farm.client() as asking:
            while not ending.wait(0.01):
                began = time.perf_counter()
                asking.ask("change")
                waits.append(time.perf_counter() - began)

    watchers = [threading.Thread(target=watch), threading.Thread(target=ask)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(rounds):
            taken, more = pulled(farm, blob)
            grown = max(grown, more)
            seconds["brender"].append(taken)
            seconds["cp"].append(copied(source, target))
            seconds["rsync"].append(synced(port, source, target))
    finally:
        ending.set()
        for watcher in watchers:
            watcher.join()
    rate = {name: size / statistics.median(values) / 1e6 for name, values in seconds.items()}
    how = "by links, on one machine" if farm.links else "over the wire"
    what = f"one file of {size // 2**20} MiB, server to manager to worker, {how}"
    for other in ("rsync", "cp"):
        report(what, rate["brender"], "MB/s", f"{other}: {rate[other]:.0f} MB/s", rate["brender"] / rate[other])
    for name in roles:
        report(f"memory of the {name} meanwhile, beyond idle, {how}", (most[name] - idle[name]) / 1e6, "MB", "aim: 100 MB")
    report(f"memory of the worker's process meanwhile, beyond idle, {how}", grown / 1e6, "MB", "aim: 100 MB")
    waits.sort()
    report(f"a question at the server meanwhile, p99, {how}", waits[int(0.99 * len(waits))] * 1e3, "ms", "aim: 50 ms")


if __name__ == "__main__":
    main()

"""Scenes that are saved, cut short or replaced while `brender submit --send` sends them, over a slow link."""

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from brender.model.bundle import read_bundle
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from tests.chaos.links import Link

_BYTES = 12_000_000
_WITH_FILE = """
import sys, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
bpy.data.images.load(sys.argv[2]).use_fake_user = True
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[3])
"""
#: What may be said of a file that changed, and where the server was killed or cut off meanwhile.
_CHANGED, _CUT_OFF = "was changed while it was sent: submit again", ("did not answer", "took nothing", "took none", "No server")


@dataclass
class _Upload:
    name: str
    process: subprocess.Popen[str]
    file: Path
    change_at: float
    """So many bytes were carried."""
    digests: set[str]
    """Of what the file held, before and after."""


class Uploads:
    """Submits of scenes in *folder*, made of *blend*, to the server of the data folder *server*, at *port* by way of *links*."""

    def __init__(self, folder: Path, blend: Path, server: Path, port: int, links: list[Link]) -> None:
        self._folder, self._blend, self._server, self._port = folder, blend, server, port
        folder.mkdir()
        self._links = links
        for link in links:
            link.mode = "slow"
        self._running: list[_Upload] = []
        self.accepted: dict[str, set[str]] = {}
        """By the name of a job, the digests that its file may have."""
        self.made = {"uploads refused": 0, "uploads cut off": 0, "uploads accepted": 0}
        self.wrong: list[str] = []
        self._number = 0

    def begin(self, chance: random.Random) -> None:
        """Submit one more scene, whose file changes while it is sent. At most two are on their way at a time."""
        if len(self._running) >= 2:
            return
        self._number += 1
        name = f"upload-{self._number}"
        place = self._folder / name
        place.mkdir()
        file, scene = place / "noise.png", place / "scene.blend"
        file.write_bytes(os.urandom(_BYTES))
        subprocess.run([sys.executable, "-c", _WITH_FILE, self._blend, file, scene], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, "-m", "brender.commands.main", "submit", str(scene), "--send", "--name", name]
        command += ["--frames", "1", "--samples", "1", "--resolution", "5"]
        command += ["--data", str(self._server), "--server", f"127.0.0.1:{self._port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._running.append(_Upload(name, process, file, self._carried() + chance.uniform(0.01, 0.9) * _BYTES, {_digest(file)}))

    def go_on(self, chance: random.Random) -> None:
        """Change what it is time for, and look at what was answered."""
        for upload in list(self._running):
            if upload.change_at <= self._carried():
                upload.change_at = float("inf")
                _change(upload.file, chance)
                upload.digests.add(_digest(upload.file))
            if upload.process.poll() is not None:
                self._running.remove(upload)
                self._judge(upload)

    def end(self, chance: random.Random, seconds: float = 120.0) -> None:
        """Wait for those that are on their way."""
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            self.go_on(chance)
            time.sleep(0.1)
        for upload in self._running:
            self.wrong.append(f"{upload.name} never ended")
            upload.process.kill()

    def audit(self, record: sqlite3.Connection) -> list[str]:
        """Return what is wrong with the answers, and with the files of the jobs that were accepted."""
        blobs, wrong = BlobStore(DataFolder(self._server).blobs), list(self.wrong)
        for name, bundle in record.execute("SELECT name, bundle FROM job WHERE name LIKE 'upload-%'"):
            for file in read_bundle(blobs.path(bundle).read_bytes()).files:
                if _digest(blobs.path(file.blob)) != file.blob:
                    wrong.append(f"{name}: {file.path} arrived as something else")
                if file.path.endswith("noise.png") and file.blob not in self.accepted.get(name, {file.blob}):
                    wrong.append(f"{name}: its file is neither what it was before it changed nor after")
        return wrong

    def _carried(self) -> int:
        return sum(link.carried for link in self._links)

    def _judge(self, upload: _Upload) -> None:
        assert upload.process.stderr is not None
        said = upload.process.stderr.read()
        if upload.process.returncode == 0:
            self.made["uploads accepted"] += 1
            self.accepted[upload.name] = upload.digests
        elif _CHANGED in said:
            self.made["uploads refused"] += 1
        elif any(words in said for words in _CUT_OFF):
            self.made["uploads cut off"] += 1
        else:
            self.wrong.append(f"{upload.name} ended with {upload.process.returncode}: {said[-500:]}")


def _change(file: Path, chance: random.Random) -> None:
    """Cut *file* short, save other bytes in its place, or replace it as a whole."""
    match chance.choice(["cut", "saved", "replaced"]):
        case "cut":
            os.truncate(file, _BYTES // 3)
        case "saved":
            with file.open("r+b") as opened:
                opened.seek(_BYTES - 100)
                opened.write(os.urandom(100))
        case "replaced":
            other = file.with_name("other")
            other.write_bytes(os.urandom(_BYTES))
            other.replace(file)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

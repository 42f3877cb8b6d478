"""What hostile jobs do, as a table: each attack by its name, and what it does to a worker that is set up in a folder.

Run as a program by an ordinary user (`tests/test_sandbox.py`), since to root nearly nothing is refused: prints, as JSON, what
came of each attack. An attack that is refused as it should be returns; one that gets through raises.
"""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from brender.engines.attempt import Attempt, AttemptFailed, Place, set_leftovers_aside
from brender.engines.confine import confinement
from brender.engines.directories import Directory, read
from brender.engines.frame_path import FramePath
from brender.engines.leftovers import TEMPORARY, Leftovers, clear
from brender.engines.picture_reader import ChildReader, OpenFile, PictureReader
from brender.engines.pictures import BadPicture, verify
from brender.engines.publish import BadSource, Lease, put, stage
from brender.model.grant import Grant, Order, PartGrant

KEY = "the worker's own key"


@dataclass
class Stage:
    """A worker in *root*: its data folder with a key, its home, and the folder that its owner allows, with a job's output."""

    root: Path
    sockets: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        for each in (self.data / "keys", self.home, self.out, self.worker, self.scratch):
            each.mkdir(parents=True)
        self.key.write_text(KEY)
        (self.home / ".bashrc").write_text("mine")
        (self.show / "shot.blend").write_text("scene")
        self.kept = confinement("bubblewrap", 0, roots=[self.show], data=self.data)
        settings = {"file": str(self.show / "shot.blend")}
        self.order = Order(job="j" * 16, engine="blender", settings=settings, output=str(self.out))
        self.attempt = self.attempt_by(self.order)
        self.files = FramePath(self.attempt, PictureReader())
        self.reader = ChildReader(sandbox=True)

    data = property(lambda self: self.root / "data")
    key = property(lambda self: self.data / "keys" / "server")
    home = property(lambda self: self.root / "home")
    show = property(lambda self: self.root / "show")
    out = property(lambda self: self.show / "out")
    worker = property(lambda self: self.data / "workers" / "w")
    scratch = property(lambda self: self.worker / "blender" / "session-x")

    def attempt_by(self, order: Order) -> Attempt:
        grant = Grant(attempt="a" * 16, worker="w", task=1, job=order.job, parts=(PartGrant(id=1, frame=1),))
        return Attempt(grant, order, Place(self.worker, (), Lease(), confinement=self.kept, least_free=0), lambda event: None)

    def publish(self, source: Path, final: str = "f.png") -> bytes:
        """Publish *source*, which is said to be in scratch; returns what was published."""
        with self.files.stage(source, self.scratch, self.out / final) as staged:
            staged.flush()
            staged.replace()
        return (self.out / final).read_bytes()

    def look(self, file: Path, size: tuple[int, int] | None = (64, 64)) -> dict[str, Any]:
        """Have the picture *file* read in the sandbox."""
        descriptor = os.open(file, os.O_RDONLY)
        try:
            return self.reader.ask("look", [OpenFile(descriptor, file)], size=list(size) if size else None).answer
        finally:
            os.close(descriptor)

    def untouched(self) -> None:
        """Nothing outside of the job's folders has changed."""
        assert self.key.read_text() == KEY and (self.home / ".bashrc").read_text() == "mine"
        assert sorted(path.name for path in self.home.iterdir()) == [".bashrc"]


ATTACKS: dict[str, Callable[[Stage], None]] = {}


def attack(what: str) -> Callable[[Callable[[Stage], None]], None]:
    def known(does: Callable[[Stage], None]) -> None:
        assert what not in ATTACKS
        ATTACKS[what] = does

    return known


@contextlib.contextmanager
def refused(*kinds: type[BaseException], saying: str = "") -> Iterator[None]:
    """The block is refused, by such an error, within ten seconds."""
    began = time.monotonic()
    try:
        yield
    except BaseException as error:
        if not isinstance(error, kinds or (BadSource, BadPicture, OSError, AttemptFailed)):
            raise
        assert saying in str(error), f"it says {error}"
        assert time.monotonic() - began < 10, "it took too long"
        return
    raise AssertionError("it was not refused")


# --- a frame that is none ------------------------------------------------------------------------------------------------


@attack("a frame that is a link to a key")
def _(at: Stage) -> None:
    (at.scratch / "f.png").symlink_to(at.key)
    with refused(BadSource, saying="a link"):
        at.publish(at.scratch / "f.png")
    assert not list(at.out.iterdir())


@attack("a frame that is a link to a device without end")
def _(at: Stage) -> None:
    (at.scratch / "f.png").symlink_to("/dev/zero")
    with refused(BadSource):
        at.publish(at.scratch / "f.png")


@attack("a frame that is a pipe")
def _(at: Stage) -> None:
    os.mkfifo(at.scratch / "f.png")
    with refused(BadSource):
        at.publish(at.scratch / "f.png")


@attack("a frame that is a socket")
def _(at: Stage) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(at.scratch / "f.png"))
        with refused(BadSource):
            at.publish(at.scratch / "f.png")


@attack("a frame that is a folder")
def _(at: Stage) -> None:
    (at.scratch / "f.png").mkdir()
    with refused(BadSource):
        at.publish(at.scratch / "f.png")


@attack("a frame in a folder that is a link to where keys are")
def _(at: Stage) -> None:
    (at.scratch / "picture").symlink_to(at.key.parent)
    with refused(BadSource):
        at.publish(at.scratch / "picture" / "server")


@attack("a node's file that is said to be a key")
def _(at: Stage) -> None:
    with refused(BadSource, saying="outside of the folder"):
        at.publish(at.key)


@attack("a node's file whose name leads up to a key")
def _(at: Stage) -> None:
    with refused(BadSource, saying="outside of the folder"):
        at.publish(at.scratch / ".." / ".." / ".." / ".." / "keys" / "server")


@attack("a file of a terabyte that has none")
def _(at: Stage) -> None:
    with (at.scratch / "f.png").open("wb") as file:
        file.truncate(2**42)
    with refused(OSError, saying="there is room for"):
        at.publish(at.scratch / "f.png")
    assert not list(at.out.iterdir())


@attack("a frame that is exchanged for a link while it is published")
def _(at: Stage) -> None:
    frame, link, spare = at.scratch / "f.png", at.scratch / "link", at.scratch / "spare"
    link.symlink_to(at.key)
    frame.write_text("a frame")
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            spare.write_text("a frame")
            spare.replace(frame)
            os.link(link, spare, follow_symlinks=False)
            spare.replace(frame)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for number in range(300):
            with contextlib.suppress(BadSource):
                assert at.publish(frame, f"f_{number}.png") in (b"a frame", b"")
    finally:
        stop.set()
        thread.join()


@attack("a frame that is written to after it was looked at")
def _(at: Stage) -> None:
    frame = at.scratch / "f.png"
    with frame.open("wb") as file:
        file.write(b"good")
        file.flush()
        with at.files.stage(frame, at.scratch, at.out / "f.png") as staged:
            file.write(b"evil")
            file.flush()
            staged.replace()
    assert (at.out / "f.png").read_bytes() == b"good"


@attack("a frame that becomes shorter while it is copied")
def _(at: Stage) -> None:
    frame = at.scratch / "f.png"
    with frame.open("wb") as file:
        file.truncate(64 * 2**20)

        def shorten() -> None:
            file.truncate(1)

        with refused(OSError, saying="shorter"):
            stage(at.out, "f.png", frame, ".f", copies=True, progress=shorten)
    assert not list(at.out.iterdir())


@attack("a frame that becomes longer while it is copied")
def _(at: Stage) -> None:
    frame = at.scratch / "f.png"
    with frame.open("wb") as file:
        file.truncate(8 * 2**20)
        grown = iter(range(2**30))
        with stage(
            at.out, "f.png", frame, ".f", copies=True, progress=lambda: file.truncate((9 + next(grown)) * 2**20)
        ) as staged:
            assert staged.size == 8 * 2**20


# --- a place that is none ------------------------------------------------------------------------------------------------


def frame_of(at: Stage) -> Path:
    (at.scratch / "f.png").write_text("a frame")
    return at.scratch / "f.png"


@attack("a folder of the output that is a link to a home")
def _(at: Stage) -> None:
    (at.out / "x").symlink_to(at.home)
    with refused(OSError, saying="A link stands"):
        at.publish(frame_of(at), "x/.bashrc")


@attack("a folder below one of the output that is a link to a home")
def _(at: Stage) -> None:
    (at.out / "a").mkdir()
    (at.out / "a" / "x").symlink_to("../../../home")
    with refused(OSError, saying="A link stands"):
        at.publish(frame_of(at), "a/x/new/.bashrc")


@attack("an output folder that is a link to a home")
def _(at: Stage) -> None:
    at.out.rmdir()
    at.out.symlink_to(at.home)
    with refused(OSError, saying="A link stands"):
        at.publish(frame_of(at), ".bashrc")


@attack("a place that is a link to a file in a home")
def _(at: Stage) -> None:
    (at.out / "f.png").symlink_to(at.home / ".bashrc")
    assert at.publish(frame_of(at)) == b"a frame" and not (at.out / "f.png").is_symlink()


@attack("a place that is a folder")
def _(at: Stage) -> None:
    (at.out / "f.png").mkdir()
    with refused(OSError):
        at.publish(frame_of(at))


@attack("a temporary name that is a link to a file in a home")
def _(at: Stage) -> None:
    (at.out / ("." + "f." + "a" * 16 + ".tmp.png")).symlink_to(at.home / "new")
    with refused(FileExistsError):
        at.publish(frame_of(at))


@attack("a temporary name that is a pipe")
def _(at: Stage) -> None:
    os.mkfifo(at.out / ("." + "f." + "a" * 16 + ".tmp.png"))
    with refused(FileExistsError):
        at.publish(frame_of(at))


@attack("an output folder that is exchanged for a link while frames are published")
def _(at: Stage) -> None:
    inner, real, link = at.out / "x", at.out / "real", at.out / "link"
    real.mkdir()
    link.symlink_to(at.home)
    stop = threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            for each in (real, link):
                with contextlib.suppress(OSError):
                    each.rename(inner)
                    inner.rename(each)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        for number in range(300):
            with contextlib.suppress(OSError):
                put(at.out, f"x/{number}", frame_of(at), ".t", lambda: None)
    finally:
        stop.set()
        thread.join()


for name in ("../home/.bashrc", "a/../../../home/.bashrc", "/etc/passwd", "a/../../x"):

    @attack(f"a frame that is called {name}")
    def _(at: Stage, name: str = name) -> None:
        with refused(OSError):
            put(at.out, name, frame_of(at), ".t", lambda: None)


@attack("an empty name")
def _(at: Stage) -> None:
    with refused(OSError), Directory.open(at.out) as directory:
        directory.create("")


# --- a job that names what it may not -------------------------------------------------------------------------------------


def job_of(at: Stage, output: str = "", **settings: Any) -> Attempt:
    order = Order(job="j" * 16, engine="blender", settings=at.order.settings | settings, output=output or str(at.out))
    return at.attempt_by(order)


for where in ("/", "{root}", "{root}/show-evil", "{root}/show/../home", "{data}/keys", "/proc/self/cwd", "/dev/shm"):

    @attack(f"an output folder {where}")
    def _(at: Stage, where: str = where) -> None:
        with refused(AttemptFailed, saying="does not lie below"):
            job_of(at, where.format(root=at.root, data=at.data)).output  # noqa: B018


@attack("an output folder that a render exchanges for a link to a home, before the next one's sandbox is made")
def _(at: Stage) -> None:
    at.out.rmdir()
    at.out.symlink_to(at.home)
    words = at.kept.wrap(["/bin/sh", "-c", f"echo hacked > {at.out}/.bashrc"], [at.scratch, at.out], [], at.scratch)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode and "without following links" in done.stderr, done.stderr


@attack("a file-output node that writes to a home")
def _(at: Stage) -> None:
    with refused(AttemptFailed, saying="does not lie below"):
        at.attempt.where(at.home / ".bashrc")


@attack("a .blend that is a key")
def _(at: Stage) -> None:
    assert at.kept.refusal("The job's file", at.key, to_read=True)


@attack("an OCIO configuration that is a device without end")
def _(at: Stage) -> None:
    assert at.kept.refusal("The job's OCIO configuration", "/dev/zero", to_read=True)


# --- what is there already, and what is left behind -----------------------------------------------------------------------


@attack("a finished frame that is a link to a key")
def _(at: Stage) -> None:
    (at.out / "f.png").symlink_to(at.key)
    with refused(BadPicture, saying="a link, a device or a pipe"):
        at.files.look_at(at.out / "f.png", None)


@attack("a finished frame that is a pipe")
def _(at: Stage) -> None:
    os.mkfifo(at.out / "f.png")
    with refused(BadPicture):
        at.files.look_at(at.out / "f.png", None)


@attack("a frame to fetch that is behind a link")
def _(at: Stage) -> None:
    (at.out / "x").symlink_to(at.key.parent)
    with refused(OSError):
        read(at.out, "x/server")


@attack("a note of a temporary file that a render plants")
def _(at: Stage) -> None:
    for where in (at.scratch, at.worker / "attempts" / ("a" * 16)):
        where.mkdir(parents=True, exist_ok=True)
        for name in ("temporaries", "placeholders"):
            (where / name).write_bytes(bytes(at.home / ".bashrc") + b"\0")
    set_leftovers_aside(at.worker)
    clear(at.worker)


@attack("a noted temporary file whose folder is a link when it is removed")
def _(at: Stage) -> None:
    Leftovers(at.worker, "a").note(TEMPORARY, at.show, "out/.bashrc")
    at.out.rmdir()
    at.out.symlink_to(at.home)
    set_leftovers_aside(at.worker)
    clear(at.worker)


@attack("scratch with links to a home, which is removed")
def _(at: Stage) -> None:
    (at.scratch / "home").symlink_to(at.home)
    set_leftovers_aside(at.worker)
    clear(at.worker)
    assert not at.scratch.exists()


# --- pictures that lie -----------------------------------------------------------------------------------------------------


def png(width: int, height: int, data: bytes = b"", depth: int = 8, color: int = 2) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def exr(width: int = 63, height: int = 63, left: int = 0, channels: int = 3, compression: int = 0, body: bytes = b"") -> bytes:
    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    names = sorted(f"c{number:06d}".encode() for number in range(channels))
    listed = b"".join(name + b"\0" + struct.pack("<iB3xii", 1, 0, 1, 1) for name in names) + b"\0"
    window = struct.pack("<iiii", left, 0, width, height)
    return (
        struct.pack("<II", 20000630, 2)
        + attribute(b"channels", b"chlist", listed)
        + attribute(b"compression", b"compression", bytes([compression]))
        + attribute(b"dataWindow", b"box2i", window)
        + attribute(b"displayWindow", b"box2i", window)
        + attribute(b"lineOrder", b"lineOrder", b"\0")
        + attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1.0))
        + attribute(b"screenWindowCenter", b"v2f", struct.pack("<ff", 0, 0))
        + attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1.0))
        + b"\0"
        + body
    )


def tiff(width: int, height: int, next_directory: int = 0) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 2**31 - 1)]
    packed = b"".join(struct.pack("<HHII", *each) for each in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", next_directory)


def bomb(width: int, height: int) -> bytes:
    """A PNG that is a thousand times larger than its file."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + width * 3)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, data)


_LIES: dict[str, tuple[str, Callable[[], bytes], tuple[int, int] | None]] = {
    "a PNG of 60,000 x 60,000 by its header": ("png", lambda: png(60_000, 60_000), (64, 64)),
    "a PNG of 60,000 x 60,000 by its header, of a frame of any size": ("png", lambda: png(60_000, 60_000), None),
    "a PNG of 2,147,483,647 x 1": ("png", lambda: png(2**31 - 1, 1), None),
    "a PNG of no width": ("png", lambda: png(0, 64), None),
    "a PNG bomb of 12,000 x 12,000": ("png", lambda: bomb(12_000, 12_000), (64, 64)),
    "a PNG with too few rows": ("png", lambda: png(64, 64, zlib.compress(b"\0" * 193 * 8)), (64, 64)),
    "a PNG whose data is not a zip": ("png", lambda: png(64, 64, b"\xff" * 500), (64, 64)),
    "an EXR of 2,147,483,647 columns": ("exr", lambda: exr(width=2**31 - 2), None),
    "an EXR of 2,147,483,647 rows": ("exr", lambda: exr(height=2**31 - 2), None),
    "an EXR whose window ends before it begins": ("exr", lambda: exr(left=2**31 - 1), None),
    "an EXR of 60,000 x 60,000 with no pixels": ("exr", lambda: exr(width=59_999, height=59_999), None),
    "an EXR of 20,000 channels": ("exr", lambda: exr(channels=20_000), None),
    "an EXR without its table of lines": ("exr", lambda: exr(), (64, 64)),
    "an EXR whose lines lie beyond its end": ("exr", lambda: exr(body=struct.pack("<Q", 2**62) * 64), (64, 64)),
    "an EXR whose lines are its own header": ("exr", lambda: exr(body=struct.pack("<Q", 0) * 64), (64, 64)),
    "an EXR with a zip bomb for lines": (
        "exr",
        lambda: exr(
            compression=2,
            body=struct.pack("<Q", 8 * 64 + len(exr())) * 64 + struct.pack("<ii", 0, 9999) + zlib.compress(b"\0" * 10**7),
        ),
        (64, 64),
    ),
    "an EXR with an unknown compression": ("exr", lambda: exr(compression=77), (64, 64)),
    "an EXR that is cut in its header": ("exr", lambda: exr()[:100], (64, 64)),
    "a TIFF of 60,000 x 60,000": ("tif", lambda: tiff(60_000, 60_000), None),
    "a TIFF whose directory leads to itself": ("tif", lambda: tiff(60_000, 60_000, 8), (64, 64)),
    "a JPEG of 65,500 x 65,500": (
        "jpg",
        lambda: b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65_500, 65_500) + b"\3\1\x11\0\2\x11\0\3\x11\0\xff\xd9",
        None,
    ),
    "an HDR of 99,999 x 99,999": ("hdr", lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n", None),
    "a BMP of 2,147,483,647 x 2,147,483,647": (
        "bmp",
        lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 2**31 - 1, 2**31 - 1, 1, 24, 0, 0, 1, 1, 0, 0),
        None,
    ),
    "a TGA of 65,535 x 65,535": ("tga", lambda: bytes([0, 0, 10]) + bytes(9) + struct.pack("<HHBB", 65535, 65535, 32, 0), None),
    "a DPX of 4,294,967,295 lines": (
        "dpx",
        lambda: b"SDPX" + struct.pack(">I", 2048) + bytes(760) + struct.pack(">HHII", 0, 1, 2**32 - 1, 2**32 - 1) + bytes(1272),
        None,
    ),
    "a text that is called a picture": ("png", lambda: b"#!/bin/sh\necho owned\n", None),
    "an empty picture": ("png", lambda: b"", None),
}


def _lie(kind: str, content: Callable[[], bytes], size: tuple[int, int] | None) -> Callable[[Stage], None]:
    def does(at: Stage) -> None:
        file = at.scratch / f"f.{kind}"
        file.write_bytes(content())
        with refused(BadPicture):
            at.look(file, size)
        held = next(line for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines() if line.startswith("VmHWM"))
        assert int(held.split()[1]) < 2**20, "the worker itself has taken no memory for it"

    return does


for what, (kind, content, size) in _LIES.items():
    attack(what)(_lie(kind, content, size))


@attack("a picture that ends what reads it, each time")
def _(at: Stage) -> None:
    (at.scratch / "f.png").write_bytes(bomb(2_000, 2_000))
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.005):
            if (pid := at.reader.pid) is not None:
                subprocess.run(["kill", "-9", str(pid)], check=False, stderr=subprocess.DEVNULL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with refused(BadPicture, saying="twice"):
            at.look(at.scratch / "f.png")
    finally:
        stop.set()
        thread.join()


@attack("what ends the process that reads, once: the picture is read by another")
def _(at: Stage) -> None:
    (at.scratch / "f.png").write_bytes(png(64, 64, zlib.compress(b"\0" * 193 * 64)))
    at.look(at.scratch / "f.png")
    first = at.reader.pid
    for each in psutil.Process(first).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # (it ended with the one before)
            each.kill()
    assert at.look(at.scratch / "f.png")["width"] == 64 and at.reader.pid != first


class _Taken(ChildReader):
    """What reads pictures has been taken over: it says *words*."""

    def __init__(self, words: bytes) -> None:
        super().__init__(sandbox=True)
        self._words = words

    def _running(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(self._words)
        theirs.shutdown(socket.SHUT_WR)
        self.theirs = theirs
        return ours


def said(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body)) + body


_WORDS = {
    "an answer of four gigabytes": b"a" + struct.pack(">I", 2**32 - 1),
    "an answer that is no JSON": said(b"a", b"{") + said(b".", b""),
    "an answer that is a list": said(b"a", b"[1]") + said(b".", b""),
    "an answer of words for numbers": said(b"a", b'{"width": "x", "height": {}, "warnings": 5}') + said(b".", b""),
    "an answer without what was asked": said(b"a", b"{}") + said(b".", b""),
    "a small picture for an answer": said(b"s", b"\xff\xd8\xff") + said(b".", b""),
    "an error that moves the terminal's cursor": said(b"e", b'{"kind": "BadPicture", "text": "\\u001b[2J"}') + said(b".", b""),
    "nothing": b"",
}


def _taken(words: bytes) -> Callable[[Stage], None]:
    def does(at: Stage) -> None:
        files = FramePath(at.attempt, _Taken(words))
        (at.out / "f.png").write_bytes(b"x")
        try:
            files.look_at(at.out / "f.png", None)
        except BadPicture as error:
            assert "\x1b" not in str(error)
            return
        raise AssertionError("it was believed")

    return does


for what, words in _WORDS.items():
    attack(f"a picture that takes over what reads it, which then says {what}")(_taken(words))


@attack("a picture that leaves what reads it without a word")
def _(at: Stage) -> None:
    import brender.engines.picture_reader as module

    (at.scratch / "f.png").write_bytes(bomb(2_000, 2_000))
    at.look(at.scratch / "f.png", None)
    kept, module._SECONDS = module._SECONDS, 0.5
    pid = at.reader.pid
    assert pid is not None
    for each in psutil.Process(pid).children(recursive=True):
        each.suspend()
    try:
        with refused(BadPicture, saying="took longer"):
            at.look(at.scratch / "f.png")
    finally:
        module._SECONDS = kept


@attack("after all of these, a good picture")
def _(at: Stage) -> None:
    (at.scratch / "f.png").write_bytes(png(64, 64, zlib.compress(b"\0" * 193 * 64)))
    assert at.look(at.scratch / "f.png")["width"] == 64
    assert verify(at.scratch / "f.png", (64, 64)).width == 64


# --- a program in the sandbox ----------------------------------------------------------------------------------------------

#: What a program does there; each gets through if it does not raise. The names are those of `_reach`.
INSIDE = {
    "reads the farm's key": "open(key).read()",
    "reads the farm's key by way of its own folder": "open(out + '/../../data/keys/server').read()",
    "lists the farm's data folder": "assert os.listdir(data) != ['workers']",
    "reads a home": "open(home + '/.bashrc').read()",
    "reads another's temporary file": "open(temporary).read()",
    "reads another's shared memory": "open(shared).read()",
    "connects to a socket in /tmp": "socket.socket(socket.AF_UNIX).connect(listening)",
    "connects to an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + abstract)",
    "connects to a port": "socket.create_connection(('127.0.0.1', port), 3)",
    "has sockets of the system": "assert os.listdir('/run')",
    "reads passwords": "open('/etc/shadow')",
    "has settings of the system's services": "assert os.path.exists('/etc/ssh') or os.path.exists('/etc/ssl/private')",
    "signals a process": "os.kill(pid, 0)",
    "reads another's environment": "assert b'outside' in open(f'/proc/{pid}/environ', 'rb').read()",
    "writes beside the .blend": "open(show + '/owned', 'w')",
    "writes to the .blend": "open(show + '/shot.blend', 'a')",
    "writes to the job's output, as a Blender": "open(out + '/owned', 'w')",
    "writes to the system": "open('/usr/owned', 'w')",
    "writes to Python": "open(os.__file__, 'a')",
    "writes to brender": "open(brender, 'a')",
    "makes folders in the root": "os.mkdir('/owned')",
    "makes a device": "os.mknod('device', 0o660 | stat.S_IFBLK, os.makedev(8, 0))",
    "has disks": "assert [name for name in os.listdir('/dev') if name.startswith(('sd', 'nvme', 'vd', 'mem', 'kmsg'))]",
    "mounts": "assert libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0) == 0",
    "makes the allowed folder writable": "assert libc.mount(0, show.encode(), 0, 32 | 4096, 0) == 0",
    "unmounts what hides": "assert libc.umount2(b'/tmp', 2) == 0",
    "begins a namespace of its own": "assert libc.unshare(0x10000000) == 0",
    "leaves its root": "os.chroot('/tmp')",
    "goes by another's root": "open(f'/proc/{parent}/root' + key).read()",
    "links a file of the job to its own folder": "os.link(show + '/shot.blend', 'linked')",
    "exchanges its own folder": "os.rename(scratch, scratch + '-other')",
    "removes its own folder": "os.rmdir(scratch)",
    "writes to its terminal": "open('/dev/tty', 'w')",
    "fills the memory by /tmp": "os.posix_fallocate(os.open('/tmp/large', os.O_RDWR | os.O_CREAT), 0, 300 * 2**20)",
    "fills the memory by /dev/shm": "os.posix_fallocate(os.open('/dev/shm/large', os.O_RDWR | os.O_CREAT), 0, 300 * 2**20)",
    "gains rights by a program of root's": "assert 'NoNewPrivs:\\t0' in open('/proc/self/status').read()",
    "has rights over the system": "assert int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16)",
}

_INSIDE = """
import ctypes, json, os, socket, stat, sys
globals().update(json.loads(sys.argv[1]))
libc, found = ctypes.CDLL(None, use_errno=True), {}
for what, code in json.loads(sys.argv[2]).items():
    try:
        exec(code)
        found[what] = ""
    except (OSError, AssertionError) as error:
        found[what] = repr(error)
print(json.dumps(found))
"""


def inside(at: Stage) -> dict[str, str]:
    """What comes of each of `INSIDE`: "" where it gets through."""
    with contextlib.ExitStack() as undo:
        temporary = undo.enter_context(tempfile.NamedTemporaryFile())
        shared = undo.enter_context(tempfile.NamedTemporaryFile(dir="/dev/shm"))
        paths = {"listening": temporary.name + ".socket", "abstract": f"brender-{os.getpid()}"}
        for name in (paths["listening"], "\0" + paths["abstract"]):
            listener = undo.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(name)
            listener.listen(9)
        undo.callback(os.unlink, paths["listening"])
        network = undo.enter_context(socket.create_server(("127.0.0.1", 0)))
        other = subprocess.Popen(["sleep", "60"], env={"WHERE": "outside"})
        undo.callback(other.wait)
        undo.callback(other.kill)
        reach = {name: str(getattr(at, name)) for name in ("key", "data", "home", "show", "out", "scratch")} | paths
        reach |= {"temporary": temporary.name, "shared": shared.name, "port": network.getsockname()[1], "pid": other.pid}
        reach |= {"parent": os.getpid(), "brender": sys.modules["brender"].__file__}
        command = [sys.executable, "-I", "-c", _INSIDE, json.dumps(reach), json.dumps(INSIDE)]
        free = subprocess.run(
            [sys.executable, "-I", "-c", _INSIDE, json.dumps(reach), json.dumps(_CONTROLS)], stdout=-1, check=True
        )
        through = json.loads(free.stdout)
        assert not any(through.values()), f"outside it they get through, so that they can fail: {through}"
        kept = at.kept.wrap(command, [at.scratch], [], at.scratch)
        done = subprocess.run(kept, capture_output=True, text=True, check=False, cwd=at.scratch)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))


#: What gets through without a sandbox. (The rest is refused to an ordinary user anyway.)
_CONTROLS = {
    what: INSIDE[what]
    for what in (
        *("reads the farm's key", "lists the farm's data folder", "reads a home", "reads another's temporary file"),
        *(
            "reads another's shared memory",
            "connects to a socket in /tmp",
            "connects to an abstract socket",
            "connects to a port",
        ),
        *("has sockets of the system", "signals a process", "reads another's environment", "writes beside the .blend"),
        *("writes to the job's output, as a Blender", "begins a namespace of its own"),
    )
}


def main(folder: Path) -> None:
    found: dict[str, str] = {}
    for number, (what, does) in enumerate(ATTACKS.items()):
        at = Stage(folder / str(number))
        try:
            does(at)
            at.untouched()
            found[what] = ""
        except BaseException:
            found[what] = traceback.format_exc()
        finally:
            at.reader.close()
    at = Stage(folder / "inside")
    through = inside(at)
    found |= {f"a program that {what}": "" if through[what] else "it gets through" for what in INSIDE}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A file system that can hang, as a network drive does: real for the kernel and for every process (FUSE).

It shows the folder *behind* at *mount*, until its process is stopped by a signal: then whatever touches *mount* waits until the
process goes on. ``python -m tests.hanging MOUNT BEHIND``; needs a Linux where this user may mount.
"""

import contextlib
import ctypes
import os
import signal
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from errno import ENOENT, ENOSYS
from pathlib import Path

from tests.tools import until

_REQUEST = struct.Struct("<IIQQIIII")
_ANSWER = struct.Struct("<IiQ")
_DETACH = 2
_MOST = 2**17


class HangingFolder:
    """The folder *path*, which hangs between `hang` and `go_on`. What is in it lies in *behind*."""

    def __init__(self, path: Path, behind: Path, process: subprocess.Popen[bytes]) -> None:
        self.path = path
        self.behind = behind
        self._process = process

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


def can_hang() -> bool:
    """Whether this user may mount such a folder here."""
    return os.name == "posix" and hasattr(os, "geteuid") and os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK)


@contextlib.contextmanager
def hanging(path: Path, behind: Path) -> Iterator[HangingFolder]:
    """Mount *behind* at *path*, both new; unmount it when the block ends. Whoever still waits for it gets an error then."""
    path.mkdir()
    behind.mkdir()
    process = subprocess.Popen([sys.executable, "-m", "tests.hanging", str(path), str(behind)], cwd=Path(__file__).parents[1])
    try:
        until(lambda: str(path) in Path("/proc/self/mounts").read_text(), 10)
        yield HangingFolder(path, behind, process)
    finally:
        process.kill()
        process.wait()
        _libc().umount2(os.fsencode(path), _DETACH)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class _FileSystem:
    """Answers the kernel's requests, one after the other. (The protocol: linux/fuse.h.)"""

    def __init__(self, mount: Path, behind: Path) -> None:
        self._device = os.open("/dev/fuse", os.O_RDWR)
        self._paths = {1: behind}
        options = f"fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other"
        if _libc().mount(b"hanging", os.fsencode(mount), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "cannot mount")
        self._table: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._look_up, 3: self._attributes, 4: self._change, 9: self._make_folder, 10: self._unlink,
            11: self._remove_folder,
            12: self._rename, 14: self._open, 15: self._read, 16: self._write, 17: self._room, 18: self._release, 20: self._flush,
            25: lambda node, body: b"", 26: self._begin, 27: lambda node, body: bytes(16), 28: self._list,
            29: lambda node, body: b"", 30: self._flush_folder, 35: self._create, 45: self._rename_as,
        }  # fmt: skip

    def run(self) -> None:
        """Until the folder is unmounted."""
        while True:
            try:
                request = os.read(self._device, _MOST + 4096)
            except OSError as error:
                if error.errno == ENOENT:  # it was interrupted
                    continue
                return
            _, opcode, unique, node, *_ = _REQUEST.unpack_from(request)
            if opcode in (2, 36, 42):  # forget, interrupt, forget many: not answered
                continue
            content, problem = b"", 0
            try:
                content = self._table[opcode](node, request[_REQUEST.size :])
            except KeyError:
                problem = -ENOSYS
            except OSError as error:
                problem = -(error.errno or ENOSYS)
            with contextlib.suppress(OSError):  # whoever asked was killed
                os.write(self._device, _ANSWER.pack(_ANSWER.size + len(content), problem, unique) + content)

    def _node(self, path: Path) -> int:
        number = next((number for number, known in self._paths.items() if known == path), 0) or max(self._paths) + 1
        self._paths[number] = path
        return number

    def _below(self, node: int, name: bytes) -> Path:
        return self._paths[node] / os.fsdecode(name.rstrip(bytes(1)))

    def _stat(self, path: Path) -> bytes:
        s = path.lstat()
        times = [int(time) for time in (s.st_atime, s.st_mtime, s.st_ctime)]
        parts = [time % 10**9 for time in (s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns)]
        numbers = (s.st_ino, s.st_size, s.st_blocks, *times, *parts, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, 0, 4096, 0)
        return struct.pack("<6Q10I", *numbers)

    def _entry(self, path: Path) -> bytes:
        attributes = self._stat(path)
        return struct.pack("<4Q2I", self._node(path), 0, 0, 0, 0, 0) + attributes

    def _begin(self, node: int, body: bytes) -> bytes:
        return struct.pack("<4I2H2I2H8I", 7, 31, _MOST, 0, 12, 9, _MOST, 1, 32, 0, *[0] * 8)

    def _look_up(self, node: int, body: bytes) -> bytes:
        return self._entry(self._below(node, body))

    def _attributes(self, node: int, body: bytes) -> bytes:
        return struct.pack("<Q2I", 0, 0, 0) + self._stat(self._paths[node])

    def _change(self, node: int, body: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<2I2Q", body)
        mode = struct.unpack_from("<I", body, 68)[0]
        if valid & 8:
            os.truncate(self._paths[node], size)
        if valid & 1:
            self._paths[node].chmod(stat.S_IMODE(mode))
        return self._attributes(node, body)

    def _make_folder(self, node: int, body: bytes) -> bytes:
        path = self._below(node, body[8:])
        path.mkdir()
        return self._entry(path)

    def _unlink(self, node: int, body: bytes) -> bytes:
        self._below(node, body).unlink()
        return b""

    def _remove_folder(self, node: int, body: bytes) -> bytes:
        self._below(node, body).rmdir()
        return b""

    def _rename(self, node: int, body: bytes, start: int = 8) -> bytes:
        old, new = body[start:].split(bytes(1))[:2]
        source, target = self._below(node, old), self._below(struct.unpack_from("<Q", body)[0], new)
        source.rename(target)
        self._paths = {number: path for number, path in self._paths.items() if path != target}
        self._paths = {number: target if path == source else path for number, path in self._paths.items()}
        return b""

    def _rename_as(self, node: int, body: bytes) -> bytes:
        return self._rename(node, body, 16)

    def _open(self, node: int, body: bytes) -> bytes:
        flags = struct.unpack_from("<I", body)[0] & (os.O_ACCMODE | os.O_TRUNC)
        return struct.pack("<QIi", os.open(self._paths[node], flags), 0, 0)

    def _create(self, node: int, body: bytes) -> bytes:
        flags, mode = struct.unpack_from("<2I", body)
        path = self._below(node, body[16:])
        handle = os.open(path, (flags & (os.O_ACCMODE | os.O_TRUNC)) | os.O_CREAT, stat.S_IMODE(mode))
        return self._entry(path) + struct.pack("<QIi", handle, 0, 0)

    def _read(self, node: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<2QI", body)
        return os.pread(handle, size, offset)

    def _write(self, node: int, body: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<2QI", body)
        return struct.pack("<2I", os.pwrite(handle, body[40 : 40 + size], offset), 0)

    def _release(self, node: int, body: bytes) -> bytes:
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _flush(self, node: int, body: bytes) -> bytes:
        os.fsync(struct.unpack_from("<Q", body)[0])
        return b""

    def _flush_folder(self, node: int, body: bytes) -> bytes:
        return b""

    def _room(self, node: int, body: bytes) -> bytes:
        s = os.statvfs(self._paths[node])
        numbers = (s.f_blocks, s.f_bfree, s.f_bavail, s.f_files, s.f_ffree, s.f_bsize, 255, s.f_frsize, *[0] * 7)
        return struct.pack("<5Q10I", *numbers)

    def _list(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<2QI", body)
        listed = b""
        for number, name in enumerate(
            [".", "..", *sorted(each.name for each in self._paths[node].iterdir())][offset:], start=offset + 1
        ):
            raw = os.fsencode(name)
            entry = struct.pack("<2Q2I", number, number, len(raw), 0) + raw
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed


if __name__ == "__main__":
    _FileSystem(Path(sys.argv[1]), Path(sys.argv[2])).run()

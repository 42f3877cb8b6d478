"""What a render process is kept in: a sandbox without network and with the job's folders only, and a limit of memory.

The sandbox is bubblewrap's (``bwrap``, https://github.com/containers/bubblewrap), on Linux. It has to read: the system's programs
and libraries, Python, brender, the Blenders, and the folders that the worker's owner allows. It has to write: its own folder.
Nothing else of the machine is in it: no homes, no /run, no temporary files, no network, no data folder of the farm.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from brender.model.errors import BadInput
from brender.model.nodes import Blender

Sandbox = Literal["auto", "bubblewrap", "none"]
_ENTER = Path(__file__).with_name("enter.py")
#: What of the system programs need: their code, and of its settings those of the loader, of names, fonts and drivers.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store", "/sys")
_SETTINGS = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld-nix.so.preload", "alternatives", "fonts", "passwd", "group"),
    *("nsswitch.conf", "localtime", "timezone", "locale.alias", "os-release", "mime.types", "magic", "ImageMagick-6"),
    *("OpenCL", "vulkan", "glvnd", "egl", "drirc", "openal", "python3", "python3.11"),
)
#: What renders on a GPU needs: the drivers of NixOS, and of /dev.
_DRIVERS = ("/run/opengl-driver",)
_GPU_DEVICES = ("/dev/dri", "/dev/kfd")
_GPU_FILES = "nvidia*"
#: Bytes that the sandbox's own temporary folders may hold: they are memory, which no limit of an attempt counts.
_TEMPORARY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Confinement:
    """How the processes of attempts are kept. ``sandbox``: in bubblewrap's. ``memory``: bytes that an attempt's processes may
    hold together, 0 for any. ``readable``: files and folders that the sandbox has beside the job's. ``roots``: the folders that
    jobs' files and outputs lie below; none: wherever the job says. ``data``: the farm's data folder, with its keys, of which the
    sandbox has what is named only."""

    sandbox: bool = False
    memory: int = 0
    readable: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ()
    data: Path | None = None

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The roots as paths below them may be spelled: as they were named, and without links."""
        return tuple(dict.fromkeys(str(each) for root in self.roots for each in (root, root.resolve())))

    def place(self, path: Path) -> tuple[Path, str] | None:
        """Return the root that *path* is below, as it is spelled, and its path from there; ``None`` where it is below none."""
        spelled = Path(os.path.normpath(path))
        for root in self.roots:
            for each in dict.fromkeys([root, root.resolve()]):
                if spelled.is_relative_to(each):
                    below = spelled.relative_to(each)
                    return each, below.as_posix() if below.parts else ""
        return None

    def refusal(self, what: str, path: str | Path, to_read: bool = False) -> str | None:
        """Return a sentence where *path*, which is *what* of a job, is not below an allowed folder, or one *to_read*; ``None``
        where it is."""
        spelled = Path(os.path.normpath(path))
        if not self.roots or self.place(spelled) or (to_read and any(spelled.is_relative_to(each) for each in self.readable)):
            return None
        named = ", ".join(map(str, self.roots))
        return (
            f"{what}, {path}, does not lie below {named}, where this worker's owner keeps its jobs: move it there, or add "
            f"`--allow-folder {shlex.quote(str(spelled.parent if to_read else spelled))}` to those that the worker has"
        )

    def wrap(self, command: Sequence[str], writable: Iterable[Path], readable: Iterable[Path], folder: Path) -> list[str]:
        """Return *command* as it is started in the sandbox, where *folder* is its working folder.

        Of what is *writable* or *readable*, the part below one of the roots is reached without following links.
        """
        words: list[Any] = ["--die-with-parent", "--new-session", "--unshare-all", "--unshare-user", "--disable-userns"]
        words += ["--dev", "/dev", "--proc", "/proc"]
        for each in ("/dev/shm", "/tmp", "/var/tmp", "/run"):  # nosec B108: the sandbox's own, not the machine's
            words += ["--size", str(_TEMPORARY_BYTES), "--tmpfs", each]
        words += _links_and_folders(_SYSTEM)
        for each in _SETTINGS:
            words += ["--ro-bind-try", f"/etc/{each}", f"/etc/{each}"]
        for each in _DRIVERS:
            words += ["--ro-bind-try", each, each]
        for each in (*_GPU_DEVICES, *map(str, sorted(Path("/dev").glob(_GPU_FILES)))):
            words += ["--dev-bind-try", each, each]
        # Both may lie in what the sandbox has: a service's home and data folder are below /opt, or its home is / itself.
        home, data = ([each] if each is not None and _can_be_emptied(each) else [] for each in (Path.home(), self.data))
        words += _emptied(home)
        for root in self.roots:
            words += [_bound("--ro-bind-fd", root, "", spelled) for spelled in dict.fromkeys([root, root.resolve()])]
        # What is written lies beneath what is read, perhaps, so it comes after.
        there = [Path(each) for each in _SYSTEM] + list(self.roots)
        wanted = [*_programs(), *self.readable, *readable]
        within = [path for path in wanted if any(map(path.is_relative_to, data))]
        for path in [*(each for each in wanted if each not in within), None, *within]:
            if path is None:
                words += _emptied(data)
            elif not _is_there(path, there, [*home, *data]):
                words.append(self._bound("--ro-bind-fd", path) | {"try": True})
                there.append(path)
        for path in writable:
            words.append(self._bound("--bind-fd", path))
        words += ["--chdir", str(folder), "--remount-ro", "/"]
        return [sys.executable, "-I", "-S", str(_ENTER), json.dumps(words), *command]

    def _bound(self, option: str, path: Path) -> dict[str, Any]:
        root, below = self.place(path) or (path, "")
        return _bound(option, root, below, path)


def confinement(
    sandbox: Sandbox, memory: int, readable: Sequence[Path] = (), roots: Sequence[Path] = (), data: Path | None = None
) -> Confinement:
    """Return what the options of a worker mean: *memory* in bytes; *data*, the farm's data folder, which no root may hold or lie
    in. Raises `BadInput` where this machine cannot do it, or where a sandbox has no *roots*."""
    missing = lacking()
    if sandbox == "bubblewrap" and missing:
        raise BadInput(f"--sandbox bubblewrap {missing}")
    kept = sandbox == "bubblewrap" or (sandbox == "auto" and not missing)
    if kept and not roots:
        raise BadInput(
            f"--sandbox {sandbox} needs --allow-folder FOLDER, once for each folder that jobs' files and frames lie below, such "
            "as the one of your projects: renders see nothing of this machine beyond it"
        )
    for root in roots:
        if not root.is_absolute() or not root.is_dir():
            raise BadInput(f"--allow-folder {root}: that is not the whole path of a folder")
        if data is not None and (_overlap(root, data) or _overlap(root.resolve(), data.resolve())):
            raise BadInput(f"--allow-folder {root}: the farm's data folder {data}, with its keys, would be in jobs' reach")
    own = None if data is None else data.resolve()
    return Confinement(kept, memory, tuple(readable), tuple(Path(os.path.normpath(root)) for root in roots), own)


def folders_of(blender: Blender) -> set[Path]:
    """Return the folders that *blender* is made of."""
    paths = [Path(blender.path), Path(blender.path).resolve()]
    return {path.parents[1] if blender.kind == "bpy" else path.parent for path in paths}


@cache
def lacking() -> str | None:
    """Return what this machine lacks for a sandbox, as the end of a sentence; ``None``: nothing."""
    program = shutil.which("bwrap")
    if sys.platform != "linux" or program is None:
        return "needs Linux and the program bwrap (on Debian: apt-get install bubblewrap)"
    told = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    if "--bind-fd" not in told.stdout + told.stderr:
        return "needs a bwrap that knows --bind-fd: 0.10, or one of a distribution with its correction of 2024 (apt-get upgrade)"
    return None


def _can_be_emptied(folder: Path) -> bool:
    """Whether *folder* holds nothing of the system, and is there, or can be made in the sandbox."""
    system = [Path(each) for each in _SYSTEM]
    is_within = any(folder.is_relative_to(each) for each in system)
    return not any(each.is_relative_to(folder) for each in system) and (folder.is_dir() or not is_within)


def _is_there(path: Path, there: Iterable[Path], emptied: Sequence[Path]) -> bool:
    """Whether *path* is below one of the folders that are *there*, and not in one of it that is *emptied*."""
    gone = [each for each in emptied if path.is_relative_to(each)]
    return any(path.is_relative_to(each) and not any(inner.is_relative_to(each) for inner in gone) for each in there)


def _emptied(folders: Iterable[Path]) -> list[str]:
    """The words that have *folders* empty in the sandbox."""
    return [word for each in folders for word in ("--size", str(_TEMPORARY_BYTES), "--tmpfs", str(each))]


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _bound(option: str, root: Path, below: str, at: Path) -> dict[str, Any]:
    return {"option": option, "root": str(root), "below": below, "at": str(at), "try": False}


def _links_and_folders(paths: Iterable[str]) -> list[str]:
    """Return the words that make each of *paths* be in the sandbox as it is outside, where it is there: a link (/bin to
    usr/bin), or the folder."""
    words = []
    for path in paths:
        if Path(path).is_symlink():
            words += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).is_dir():
            words += ["--ro-bind", path, path]
    return words


def _programs() -> list[Path]:
    """Return what Python and brender themselves need, wherever they are installed."""
    here = Path(__file__).resolve().parents[1]
    packages = [Path(each) for each in sys.path if each.endswith("-packages")]
    return list(dict.fromkeys([Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), *packages, here]))

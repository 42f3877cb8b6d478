"""Reading a .blend through Blender itself, where the tracer cannot: a format or data that came after it.

Slower, since Blender is started once for each .blend that takes part; and what is found is the same.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from brender.engines.blenders import find_blenders
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.bundle import check_paths
from brender.model.errors import BadInput, BrenderError
from brender.model.job import FileFacts, MissingFile, SceneFacts
from brender.model.nodes import Blender, can_read

_SCRIPT = Path(__file__).parent / "inside" / "trace.py"
_SECONDS = 600.0
_OUTSIDE = "_outside_project"
_TILE = re.compile(r"<(?:UDIM|UVTILE)>")
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


@dataclass(frozen=True)
class Named:
    """A file, or files, that a .blend names: the path as it is written there, where that leads, what names it, and the files that
    there are."""

    path: str
    absolute: Path
    user: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Read:
    """What Blender tells of a .blend."""

    told: dict[str, Any]
    named: tuple[Named, ...]


class Reader:
    """Reads .blend files with a Blender of this machine's that can open what *version* saved, working in *folder*. Raises
    `BadInput` where there is none."""

    def __init__(self, folder: Path, version: tuple[int, int]) -> None:
        try:
            able = [blender for blender in find_blenders(()) if can_read(blender, version)]
        except BrenderError:
            able = []
        if not able:
            dotted = ".".join(map(str, version))
            raise BadInput(f"only Blender itself could read it, and no Blender {dotted} or later is installed here")
        self._blender: Blender = max(able, key=lambda blender: blender.version)
        self._folder = folder
        self._count = 0

    def read(self, file: Path) -> Read:
        """What Blender tells of *file*. Raises `BadInput`."""
        told = self._run(file, "", {})
        owner = file.name
        return Read(told, tuple(_named(each, owner) for each in told["paths"]))

    def rewritten(self, file: Path, names: dict[str, str]) -> Path:
        """A copy of *file* in which each path of *names* is the other one. Raises `BadInput`."""
        self._count += 1
        copy = self._folder / f"{self._count}-{file.name}"
        self._run(file, str(copy), names)
        return copy

    def _run(self, file: Path, copy: str, names: dict[str, str]) -> dict[str, Any]:
        request, answer = self._folder / "request.json", self._folder / "answer.json"
        answer.unlink(missing_ok=True)
        request.write_text(json.dumps({"file": str(file), "answer": str(answer), "copy": copy, "names": names}))
        words = [*script_in(self._blender, _SCRIPT), "--", str(request)]
        try:
            subprocess.run(
                words,
                env=clean_environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                cwd=self._folder,
            )
            told = json.loads(answer.read_text("utf-8"))
        except subprocess.TimeoutExpired as error:
            raise BadInput(f"{self._blender.label} did not open {file} within {_SECONDS:.0f} seconds") from error
        except (OSError, ValueError) as error:
            raise BadInput(f"{self._blender.label} cannot open {file}") from error
        return dict(told)


def facts_through_blender(path: Path, version: tuple[int, int], within: Path | None = None) -> FileFacts:
    """What the .blend at *path*, saved by *version*, says of itself. Raises `BadInput`."""
    with tempfile.TemporaryDirectory() as folder:
        read = _only_within(Reader(Path(folder), version).read(path), within)
    told = read.told
    missing = [MissingFile(str(each.absolute), each.user) for each in read.named if not each.files]
    return FileFacts(
        path=str(path),
        version=version,
        active_scene=told["active"],
        scenes=tuple(msgspec.convert(scene, SceneFacts) for scene in told["scenes"]),
        cameras=tuple(told["cameras"]),
        missing=tuple({each.path: each for each in missing}.values()),
        size=path.stat().st_size,
    )


@contextmanager
def collected_through_blender(
    file: Path, version: tuple[int, int], within: Path | None = None
) -> Iterator[tuple[str, dict[str, Path]]]:
    """*file* and all that it needs, as `brender.engines.packing.Packed` has it: the path of *file* in the bundle, and for each
    path there a file, for as long as the block runs. Raises `BadInput`."""
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(Path(folder), version)
        reads = _all_reads(reader, file, within)
        shared = _shared_folder(file, reads)
        places = {blend: _place(blend, shared) for blend in reads}
        files: dict[str, Path] = {}
        for blend, read in reads.items():
            names: dict[str, str] = {}
            for named in read.named:
                for each in named.files:
                    files.setdefault(_place(each, shared), each)
                here = os.path.relpath(_place(named.absolute, shared), Path(places[blend]).parent).replace(os.sep, "/")
                inside = named.absolute.is_relative_to(shared)
                if not (inside and named.path.startswith("//")):
                    names[named.path] = f"//{here}"
            files[places[blend]] = reader.rewritten(blend, names) if names else blend
        check_paths(files)
        yield places[file], files


def _all_reads(reader: Reader, file: Path, within: Path | None) -> dict[Path, Read]:
    """*file*, and every .blend that it or another of them links, *within* that folder."""
    reads: dict[Path, Read] = {}
    waiting = [file]
    while waiting:
        blend = waiting.pop()
        if blend in reads:
            continue
        reads[blend] = _only_within(reader.read(blend), within)
        waiting += [each for named in reads[blend].named for each in named.files if each.suffix == ".blend"]
    return reads


def _only_within(read: Read, within: Path | None) -> Read:
    """*read*, as if files that do not lie *within* that folder were not there."""
    if within is None:
        return read
    root = within.resolve()

    def kept(named: Named) -> Named:
        return replace(named, files=tuple(file for file in named.files if file.resolve().is_relative_to(root)))

    return Read(read.told, tuple(kept(named) for named in read.named))


def _shared_folder(file: Path, reads: dict[Path, Read]) -> Path:
    """The folder that *file* and all that is named by relative paths lie in."""
    relative = [str(named.absolute.parent) for read in reads.values() for named in read.named if named.path.startswith("//")]
    try:
        return Path(os.path.commonpath([str(file.parent), *relative]))
    except ValueError:  # on different drives
        return file.parent


def _place(path: Path, shared: Path) -> str:
    """Where *path* lies in the bundle."""
    if path.is_relative_to(shared):
        return path.relative_to(shared).as_posix()
    return "/".join([_OUTSIDE, *(part.rstrip(":\\/") for part in path.parts if part.strip("\\/"))])


def _named(told: dict[str, Any], owner: str) -> Named:
    absolute = Path(os.path.normpath(told["absolute"].replace("\\", os.sep)))
    return Named(told["path"], absolute, f"{told['user']} of {owner}", tuple(_files(absolute, told["many"])))


def _files(path: Path, many: bool) -> list[Path]:
    """The files that *path* means: itself, all of a folder, the tiles or the numbers of a sequence."""
    if path.is_dir():
        return sorted(each for each in path.rglob("*") if each.is_file())
    if _TILE.search(path.name):
        pattern = r"(?:\d{4}|u\d+_v\d+)".join(re.escape(piece) for piece in _TILE.split(path.name))
    elif many and (number := _LAST_NUMBER.search(path.name)) is not None:
        pattern = re.escape(path.name[: number.start()]) + r"\d+" + re.escape(path.name[number.end() :])
    else:
        return [path] if path.is_file() else []
    siblings = path.parent.iterdir() if path.parent.is_dir() else iter(())
    return sorted(each for each in siblings if re.fullmatch(pattern, each.name))

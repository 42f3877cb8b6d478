"""What a .blend says of itself and which files it needs, read through Blender itself (`brender.blendfile.reader`).

Where there is no Blender that can open the file, `brender.blendfile.facts` and `brender.blendfile.packing` use the tracer.
"""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from brender.blendfile.header import saved_by
from brender.blendfile.inputs import inputs_of
from brender.blendfile.reader import Reader
from brender.blendfile.renaming import renamed
from brender.blendfile.tracer_simulations import bakes_missing, simulated
from brender.model.bundle import check_paths
from brender.model.job import FileFacts, MissingFile, SceneFacts
from brender.model.paths import in_own_words

_OUTSIDE = "_outside_project"


@dataclass(frozen=True)
class Named:
    """A file, or files, that a .blend names.

    ``path`` is as it is written there, ``absolute`` where that leads, ``user`` what names it, ``library`` the library that this
    is from ("": the file itself), ``files`` those that there are, ``missing`` those that a render needs and that are not there.
    """

    path: str
    absolute: Path
    user: str
    library: str
    files: tuple[Path, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """What Blender tells of a .blend."""

    told: dict[str, Any]
    named: tuple[Named, ...]


def facts_through_blender(reader: Reader, path: Path, version: tuple[int, int], within: Path | None = None) -> FileFacts:
    """Return what the .blend at *path*, saved by *version*, says of itself; files that do not lie *within* that folder count as
    missing. Raises `BadInput`."""
    read = _only_within(_read(reader, path), within)
    told = read.told
    missing = [
        MissingFile(in_own_words(each), named.user, is_relative=named.path.startswith("//"))
        for named in read.named
        for each in named.missing
    ]
    scenes = simulated(tuple(msgspec.convert(scene, SceneFacts) for scene in told["scenes"]), path)
    missing += bakes_missing(scenes)
    return FileFacts(
        path=str(path),
        version=version,
        active_scene=told["active"],
        scenes=scenes,
        cameras=tuple(told["cameras"]),
        missing=tuple({each.path: each for each in missing}.values()),
        inputs=inputs_of([path, *(file for named in read.named for file in named.files)]),
        needs_trust=tuple(told["needs_trust"]),
        size=path.stat().st_size,
    )


@dataclass(frozen=True)
class Collected:
    """A .blend and all that it needs: its path in the bundle, and for each path there a file. ``saved``: the .blend files that
    this machine's Blender saved, and that are of its version now."""

    main: str
    files: dict[str, Path]
    saved: tuple[Path, ...]


@contextmanager
def collected_through_blender(reader: Reader, file: Path, within: Path | None = None) -> Iterator[Collected]:
    """Give *file* and all that it needs.

    Copies that had to be rewritten are there for as long as the block runs. Raises `BadInput`, `NoReader`.
    """
    with tempfile.TemporaryDirectory() as folder:
        reads = _all_reads(reader, file, within)
        shared = _shared_folder(file, reads)
        places = {blend: _place(blend, shared) for blend in reads}
        files: dict[str, Path] = {}
        saved: list[Path] = []
        for blend, read in reads.items():
            names: dict[str, str] = {}
            for named in read.named:
                for each in named.files:
                    files.setdefault(_place(each, shared), each)
                here = os.path.relpath(_place(named.absolute, shared), Path(places[blend]).parent).replace(os.sep, "/")
                inside = named.absolute.is_relative_to(shared)
                # What is missing keeps its name: that is what the worker's warning should say.
                if named.files and not (inside and named.path.startswith("//")):
                    names[named.path] = f"//{here}"
            files[places[blend]] = copy = Path(folder) / f"{len(files)}.blend" if names else blend
            if names and not _renamed_in_place(reader, blend, read, names, copy):
                reader.ask(blend, copy=copy, names=names)
                saved.append(copy)
        check_paths(files)
        yield Collected(places[file], files, tuple(saved))


def _all_reads(reader: Reader, file: Path, within: Path | None) -> dict[Path, Read]:
    """Read *file*, and every .blend that it or another of them links, *within* that folder."""
    reads: dict[Path, Read] = {}
    waiting = [file]
    while waiting:
        blend = waiting.pop()
        if blend in reads:
            continue
        own = _only_within(_read(reader, blend), within)
        # (What a library names is read from the library, where it stands as it is written.)
        reads[blend] = Read(own.told, tuple(named for named in own.named if not named.library))
        waiting += [each for named in reads[blend].named for each in named.files if each.suffix == ".blend"]
    return reads


def outside_place(path: str) -> str:
    """Return where in an upload the file lies that a .blend looks for at *path*, beyond the upload.

    >>> outside_place("/home/anna/wood.png"), outside_place("P:\\\\tex\\\\wood.png")
    ('_outside_project/home/anna/wood.png', '_outside_project/P/tex/wood.png')
    """
    return "/".join([_OUTSIDE, *filter(None, (part.rstrip(":") for part in re.split(r"[\\/]", path)))])


def _only_within(read: Read, within: Path | None) -> Read:
    """Return *read* as if files that do not lie *within* that folder were not there; what was put there in place of them
    (`outside_place`) is taken."""
    if within is None:
        return read
    root = within.resolve()

    def instead_of(path: str) -> Path:
        return within.absolute() / outside_place(in_own_words(path))

    def kept(named: Named) -> Named:
        inside = tuple(file for file in named.files if file.resolve().is_relative_to(root))
        missing = named.missing + tuple(str(file) for file in named.files if file not in inside)
        put = {each: instead_of(each) for each in missing}
        there = {each: path for each, path in put.items() if path.is_file() and path.resolve().is_relative_to(root)}
        return replace(
            named,
            absolute=instead_of(str(named.absolute)) if there else named.absolute,
            files=(*inside, *there.values()),
            missing=tuple(each for each in missing if each not in there),
        )

    return Read(read.told, tuple(kept(named) for named in read.named))


def _shared_folder(file: Path, reads: dict[Path, Read]) -> Path:
    """Return the folder that *file* and all that is named by relative paths lie in."""
    wanted = [named for read in reads.values() for named in read.named if named.files or named.missing]
    own = [named for named in wanted if named.path.startswith("//") and _OUTSIDE not in named.absolute.parts]
    relative = [str(named.absolute.parent) for named in own]
    try:
        return Path(os.path.commonpath([str(file.parent), *relative]))
    except ValueError:  # on different drives
        return file.parent


def _place(path: Path, shared: Path) -> str:
    """Return where *path* lies in the bundle."""
    if _OUTSIDE in path.parts:
        return "/".join(path.parts[path.parts.index(_OUTSIDE) :])
    if path.is_relative_to(shared):
        return path.relative_to(shared).as_posix()
    return "/".join([_OUTSIDE, *(part.rstrip(":\\/") for part in path.parts if part.strip("\\/"))])


def _read(reader: Reader, file: Path) -> Read:
    told = reader.ask(file)
    return Read(told, tuple(_named(each, file) for each in told["paths"]))


def _renamed_in_place(reader: Reader, file: Path, read: Read, names: dict[str, str], copy: Path) -> bool:
    """Write *copy*, the same as *file* but for the paths that are keys of *names*, where *reader*'s Blender is newer than the
    file; return whether that was done."""
    if reader.blender.version[:2] <= saved_by(file):
        return False
    return renamed(file, names, Counter(named.path for named in read.named if named.path in names), copy)


def _named(told: dict[str, Any], file: Path) -> Named:
    absolute = told["absolute"]
    owner = Path(told["library"] or file).name
    return Named(
        path=told["path"],
        absolute=Path(absolute),
        user=f"{told['user']} of {owner}",
        library=told["library"],
        files=tuple(map(Path, told["files"])),
        missing=tuple(told["missing"]),
    )

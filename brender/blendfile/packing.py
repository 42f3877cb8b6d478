"""What a .blend needs to be rendered elsewhere: its textures, libraries, caches, fonts, as a bundle, with paths that lead to
each other.

Blender itself tells what that is, where one is installed; elsewhere blender-asset-tracer does. What lies outside of the folder
that the scene's relative paths share, or is named by an absolute path, gets a place of its own, and the .blend files that name it
are rewritten, as copies."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from blender_asset_tracer.pack import Packer

from brender.blendfile import tracer
from brender.blendfile.facts import plain_path
from brender.blendfile.header import oldest_reader, saved_by
from brender.blendfile.reader import NoReader, reader_for
from brender.blendfile.through_blender import collected_through_blender
from brender.blendfile.tracer import quiet
from brender.model.bundle import Bundle, BundleFile, check_paths
from brender.model.errors import BadInput, Conflict
from brender.model.job import FileFacts
from brender.model.nodes import dotted

#: Where Packer thinks that it packs to; nothing is written there.
_NOWHERE = Path(os.sep) / "brender-bundle"


@dataclass(frozen=True)
class Packed:
    """A .blend and what it needs: for each path in the bundle the file that is to lie there. ``saved``: those .blend files among
    them that this machine's Blender had to save, and that are of its version now."""

    main: str
    files: dict[str, Path]
    saved: tuple[Path, ...] = ()

    def facts(self, facts: FileFacts) -> FileFacts:
        """Return the *facts* of the .blend, with the version of Blender that opens what is packed."""
        oldest = [facts.oldest_blender, *map(oldest_reader, self.saved)]
        return msgspec.structs.replace(
            facts,
            version=max(facts.version, *map(saved_by, self.saved), (0, 0)),
            oldest_blender=None if None in oldest else max(each for each in oldest if each),
        )

    def why_newer(self, facts: FileFacts) -> str | None:
        """Return a sentence on the newer Blender that renders what is packed, where the original has *facts*; ``None`` where the
        packed file is for the same Blender."""
        version = self.facts(facts).version
        if version == facts.version:
            return None
        return (
            f"Paths in {Path(facts.path).name} had to be changed, and Blender {dotted(version)} saved it with them: it is "
            f"rendered by that or a later one, and not by {dotted(facts.version)}. To avoid that, keep all that it needs in one "
            "folder with it, and choose File, External Data, Make Paths Relative"
        )

    def bundle(self) -> tuple[Bundle, dict[str, Path]]:
        """Return the files by their content: the bundle, and for each blob in it a file that has it. Raises `BadInput` where
        one cannot be read."""
        found, blobs = [], {}
        for path, source in sorted(self.files.items()):
            try:
                digest, size = digest_of_file(source)
            except OSError as error:
                raise BadInput(f"{source} cannot be read: {error.strerror}") from error
            found.append(BundleFile(path, digest, size))
            blobs[digest] = source
        return Bundle(main=self.main, files=tuple(found)), blobs


class _Collector(Packer):  # type: ignore[misc]
    """Packs nothing: notes what is to go where."""

    def __init__(self, file: Path, project: Path, within: Path | None) -> None:
        super().__init__(file, project, str(_NOWHERE))
        self._within = within
        self.found: dict[str, Path] = {}

    def _start_file_transferrer(self) -> None:
        """There is nothing to transfer."""

    def _perform_file_transfer(self) -> None:
        for asset, action in self._actions.items():
            self._copy_asset_and_deps(asset, action)

    def _send_to_target(self, asset_path: Path, target: Any, may_move: bool = False) -> None:
        if not self._may_go(Path(asset_path)):
            return
        self.found[Path(target).relative_to(_NOWHERE).as_posix()] = Path(asset_path)

    def _may_go(self, path: Path) -> bool:
        """Return whether it lies where it may be taken from, or is a copy that was rewritten."""
        return self._within is None or any(
            path.resolve().is_relative_to(folder) for folder in (self._within, Path(self._tmpdir.name).resolve())
        )


@contextmanager
def packed(file: Path, within: Path | None = None, configuration: str | None = None) -> Iterator[Packed]:
    """*file* and all that it needs, or all of that which lies *within* a folder; copies that had to be rewritten are there for as
    long as the block runs. *configuration*: the OCIO configuration of its job, "" for none, ``None`` for that of this process's
    environment. Raises `BadInput`."""
    file = plain_path(file)
    with ExitStack() as undo:
        reader = undo.enter_context(reader_for(saved_by(file), within, configuration))
        try:
            collected = None if reader is None else undo.enter_context(collected_through_blender(reader, file, within))
        except NoReader:
            collected = None
        if collected is not None:
            yield Packed(collected.main, collected.files, collected.saved)
        else:
            yield Packed(*_through_tracer(file, undo, within))


def _through_tracer(file: Path, undo: ExitStack, within: Path | None) -> tuple[str, dict[str, Path]]:
    try:
        return _collected(file, undo, within)
    except BadInput:
        raise
    except Exception as error:  # a file that it cannot follow makes the tracer stumble in ways of its own
        raise BadInput(
            f"What {file} needs cannot be traced ({type(error).__name__}: {error}), and there is no Blender here to ask"
        ) from error


def _collected(file: Path, undo: ExitStack, within: Path | None) -> tuple[str, dict[str, Path]]:
    """Return the path of *file* in the bundle, and the bundle's files; rewritten copies go with *undo*. Raises whatever the
    tracer does."""
    with quiet():
        collector = _Collector(file, _shared_folder(file), within.resolve() if within else None)
        undo.callback(_close, collector)
        collector.strategise()
        collector.execute()
        check_paths(collector.found)
        return Path(collector.output_path).relative_to(_NOWHERE).as_posix(), collector.found


def _close(collector: _Collector) -> None:
    with quiet():
        collector.close()


def write_folder(pack: Packed, folder: Path) -> None:
    """Copy *pack* into the new *folder*. Raises `Conflict` where there is something already."""
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is there already, and not empty. Name another")
    for path, source in pack.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def write_zip(pack: Packed, file: Path) -> None:
    """Write *pack* as the new zip *file*. Raises `Conflict` where there is one already."""
    temporary = file.with_name(f".{file.name}.part")
    try:
        file.open("xb").close()
    except FileExistsError as error:
        raise Conflict(f"{file} is there already. Name another") from error
    try:
        # Not strict: a zip knows no time before 1980, and such a file gets that year.
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for path, source in sorted(pack.files.items()):
                archive.write(source, path)
        temporary.replace(file)
    except BaseException:
        file.unlink(missing_ok=True)  # it would be in the way of the next try
        raise
    finally:
        temporary.unlink(missing_ok=True)


def digest_of_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of the file *path*, and its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _shared_folder(file: Path) -> Path:
    """Return the folder that *file* and all that it names by relative paths lie in."""
    folders = [str(file.parent)]
    for usage in tracer.usages(file):
        if usage.asset_path.is_blendfile_relative():
            folders.append(str(Path(os.path.normpath(usage.abspath)).parent))
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on different drives
        return file.parent

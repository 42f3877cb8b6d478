"""The files of an add-on as one blob: made where it is submitted, unpacked by workers.

The blob is a zip archive with its entries in order, without times, and stored rather than compressed, so that the same files have
the same digest wherever they are packed. What a worker unpacks anybody may have made: it takes plain files only, inside the new
folder, and no more bytes than the archive itself has.
"""

import ast
import contextlib
import hashlib
import os
import re
import stat
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from brender.engines.extension_manifest import check_id, check_manifest
from brender.model.addon import EXTENSIONS_SINCE, AddOn, check_addons
from brender.model.bundle import check_paths
from brender.model.errors import BadInput
from brender.model.text import plural
from brender.system.removal import remove_tree

#: Of one add-on, unpacked.
MOST_BYTES, MOST_FILES = 256 * 2**20, 10_000
_PIECE = 2**20
#: Of the name and version of an add-on, more is not kept.
_WORDS_LENGTH = 100
_MANIFEST = "blender_manifest.toml"
_TEXT_BYTES = 2**20
#: What tells where a statement of Python ends, and the name that is looked for.
_MARK = re.compile(r"\"\"\"|'''|[\"'#()\[\]{}\n]|\\.|\bbl_info\b", re.DOTALL)
#: Characters that a ``bl_info`` has at most.
_PARSED_MOST = 2**17
_VERSION = re.compile(r"\d+(?:\.\d+){0,2}")
#: What is beside an add-on's files and none of it, by names of files and folders.
_BESIDE = {"__pycache__", "__MACOSX", ".DS_Store", "Thumbs.db"}
_NO_ADDON = (
    "no Blender add-on, which is a .py file or a folder with bl_info, a folder with a blender_manifest.toml, or a .zip of one"
)


@dataclass(frozen=True)
class PackedAddOn:
    """An add-on, and the file that is its blob."""

    addon: AddOn
    blob: Path


class _Source:
    """The files of a folder or archive at *path*, by their paths in it. A context."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, Any] = {}
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> "_Source":
        if self.path.is_dir():
            self._list_folder()
        elif self.path.suffix.lower() == ".py":
            self.files = {self.path.name: self.path}
        else:
            self._list_archive()
        if len(self.files) > MOST_FILES:
            raise BadInput(f"The add-on {self.path} has {plural(len(self.files), 'file')}, and may have {MOST_FILES}")
        try:
            check_paths(self.files)
        except BadInput as error:
            raise BadInput(f"The add-on {self.path} cannot be unpacked: {error}") from error
        return self

    def __exit__(self, *exception: object) -> None:
        if self._archive is not None:
            self._archive.close()

    def _list_folder(self) -> None:
        for folder, folders, names in os.walk(self.path):
            folders[:] = sorted(each for each in folders if each not in _BESIDE and not each.startswith("."))
            for name in [*folders, *names]:
                path = Path(folder, name)
                if path.is_symlink():
                    raise BadInput(f"The add-on {self.path} has the link {path}: put the file itself there")
                if path.is_file() and not _is_beside(name):
                    self.files[path.relative_to(self.path).as_posix()] = path

    def _list_archive(self) -> None:
        try:
            self._archive = zipfile.ZipFile(self.path)
            infos = self._archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise BadInput(f"{self.path} is {_NO_ADDON}") from error
        for info in infos:
            if stat.S_ISLNK(info.external_attr >> 16):
                raise BadInput(f"The add-on {self.path} has the link {info.filename}: pack the file itself")
            if info.flag_bits & 1:
                raise BadInput(f"The add-on {self.path} is encrypted: pack it without a password")
            if info.is_dir() or any(map(_is_beside, info.filename.split("/"))):
                continue
            if info.filename in self.files:
                raise BadInput(f"The add-on {self.path} has two files {info.filename}")
            self.files[info.filename] = info

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content of the file *name*. Raises `BadInput` where it is damaged."""
        try:
            found = self.files[name]
            opened = found.open("rb") if self._archive is None else self._archive.open(found)
            with opened as file:
                while piece := file.read(_PIECE):
                    yield piece
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
            raise BadInput(f"The add-on {self.path} is damaged: {error}") from error

    def text(self, name: str) -> str:
        """Return the beginning of the file *name*, long enough for what an add-on says of itself."""
        content = b""
        for piece in self.read(name):
            content += piece
            if len(content) > _TEXT_BYTES:
                break
        return content.decode("utf-8-sig", "replace")


def pack_addon(path: Path, folder: Path) -> PackedAddOn:
    """Pack the add-on at *path*, an archive, a .py file or a folder, into a blob in *folder*. Raises `BadInput`."""
    try:
        with _Source(path.absolute()) as source:
            said, names = _described(source)
            # (Not by its module, which is its author's word and may be a path.)
            blob = folder / str(len(list(folder.iterdir())))
            digest = _write(source, names, blob)
    except OSError as error:
        raise BadInput(f"The add-on {path} cannot be read: {error.strerror or error}") from error
    except (RecursionError, MemoryError) as error:
        raise BadInput(f"The add-on {path} cannot be read: its source is nested too deeply") from error
    except ValueError as error:
        # Such as a number of thousands of digits, which Python does not read.
        raise BadInput(f"The add-on {path} cannot be read: {error}") from error
    said |= {key: said[key][:_WORDS_LENGTH] for key in ("name", "version")}
    try:
        addon = msgspec.convert({**said, "digest": digest, "size": blob.stat().st_size}, AddOn)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"Blender cannot import an add-on of the name {said['module']!r}: give it one of letters and digits"
        ) from error
    if addon.is_extension:
        check_id(addon.module, f"The {_MANIFEST} of {path}")
    return PackedAddOn(addon, blob)


@contextlib.contextmanager
def packed_addons(paths: Sequence[Path]) -> Iterator[list[PackedAddOn]]:
    """Pack the add-ons at *paths*, those of one job, for the length of the block. Raises `BadInput`."""
    with tempfile.TemporaryDirectory() as folder:
        packed = [pack_addon(path, Path(folder)) for path in paths]
        check_addons(each.addon for each in packed)
        yield packed


def unpack_addon(blob: Path, folder: Path, digest: str) -> None:
    """Unpack *blob*, whose content has that *digest*, into the new *folder*, whole or not at all. Raises `BadInput`, or
    `OSError`."""
    building = folder.with_name(folder.name + ".new")
    remove_tree(building)
    try:
        if _digest(blob) != digest:
            raise BadInput("its file was changed on this machine")
        with zipfile.ZipFile(blob) as archive:
            infos = archive.infolist()
            check_paths(info.filename for info in infos)
            if len(infos) > MOST_FILES or len({info.filename for info in infos}) < len(infos):
                raise BadInput("it has too many files")
            if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
                raise BadInput("it was not packed by brender")
            left = min(MOST_BYTES, blob.stat().st_size)
            for info in infos:
                target = building / info.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("xb") as file:
                    while piece := source.read(_PIECE):
                        left -= len(piece)
                        if left < 0:
                            raise BadInput("it unpacks to more than it holds")
                        file.write(piece)
        building.rename(folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError, BadInput) as error:
        remove_tree(building)
        raise BadInput(f"it cannot be unpacked: {error}") from error


def _is_beside(name: str) -> bool:
    return name in _BESIDE or name.endswith(".pyc")


def _described(source: _Source) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Return what the add-on says of itself, and of each file that belongs to it the name in the blob, and in *source*."""
    path = source.path
    top = f"{path.name}/" if path.is_dir() else ""
    within = {f"{top}{name}": name for name in source.files}
    manifests = [name for name in within if PurePosixPath(name).name == _MANIFEST and name.count("/") < 2]
    found = [_of_manifest(source, within, name) for name in sorted(manifests)] or list(_legacy(source, within))
    if not found:
        raise BadInput(f"{path} is {_NO_ADDON}")
    if len(found) > 1:
        named = " and ".join(said["module"] for said, _ in found[:2])
        raise BadInput(f"{path} holds more than one add-on, {named}: give each as an archive, file or folder of its own")
    return found[0]


def _of_manifest(source: _Source, within: Mapping[str, str], name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the manifest *name* says of an extension, and its files."""
    where = f"The {_MANIFEST} of {source.path}"
    try:
        told = tomllib.loads(source.text(within[name]))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{where} cannot be read: {error}") from error
    if told.get("type", "add-on") != "add-on":
        raise BadInput(f"{source.path} is not an add-on but a {told['type']}")
    check_manifest(told, where)
    root = name.removesuffix(_MANIFEST)
    wheels = told.get("wheels", [])
    if any(f"{root}{str(each).removeprefix('./')}" not in within for each in wheels):
        raise BadInput(f"{where} names wheels that are not in it")
    files = {f"{told['id']}/{each.removeprefix(root)}": own for each, own in within.items() if each.startswith(root)}
    if f"{told['id']}/__init__.py" not in files:
        raise BadInput(f"{source.path} has no __init__.py beside its {_MANIFEST}")
    oldest = _version(told["blender_version_min"], where)
    said = {"name": told["name"], "module": told["id"], "version": told["version"], "is_extension": True}
    oldest, before = max(oldest, EXTENSIONS_SINCE), _version(told.get("blender_version_max") or None, where)
    if before and oldest >= before:
        raise BadInput(f"{where} is for no Blender: its blender_version_max is not above its blender_version_min and 4.2")
    return said | {"oldest": oldest, "before": before}, files


def _version(text: object, where: str) -> tuple[int, ...]:
    """Return the version that a manifest names, empty where it names none."""
    if text is None:
        return ()
    if not isinstance(text, str) or not _VERSION.fullmatch(text):
        raise BadInput(f"{where} names no version of Blender by {str(text)[:50]!r}")
    return tuple(map(int, text.split(".")))


def _legacy(source: _Source, within: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield the add-ons with ``bl_info``: single files, and folders at the top."""
    for name in sorted(within):
        is_single = name.endswith(".py") and "/" not in name
        if not is_single and not (name.count("/") == 1 and name.endswith("/__init__.py")):
            continue
        if (told := _bl_info(source, within[name])) is None:
            continue
        top = name.split("/")[0]
        files = {each: own for each, own in within.items() if each == name or (not is_single and each.startswith(f"{top}/"))}
        module = top.removesuffix(".py")
        version = told.get("version")
        numbers = version if isinstance(version, tuple | list) else ()
        yield {"name": str(told.get("name") or module), "module": module, "version": ".".join(map(str, numbers))}, files


def _bl_info(source: _Source, name: str) -> dict[str, Any] | None:
    """Return the ``bl_info`` of the Python file *name*, as far as it is literal; ``None``: it has none. Raises `BadInput`."""
    # (Not all of it is parsed: of two megabytes that somebody uploads, Python makes more than one gigabyte.)
    left, is_longer = _PARSED_MOST, False
    for line in _lines_with_bl_info(source.text(name).replace("\r\n", "\n").replace("\r", "\n")):
        if len(line) > left:
            is_longer = True
            continue
        left -= len(line)
        if (told := _literal(line)) is not None:
            return told
    if is_longer:
        raise BadInput(f"The bl_info of the add-on {source.path} has more than {_PARSED_MOST:,} characters: shorten its texts")
    return None


def _lines_with_bl_info(text: str) -> Iterator[str]:
    """Yield the logical lines of a Python source in which the name ``bl_info`` stands outside brackets, strings and comments."""
    begin, place, depth, quote, has_name = 0, 0, 0, "", False
    while found := _MARK.search(text, place):
        mark, place = found.group(), found.end()
        if quote:
            is_over = mark == quote or (len(quote) == 1 and mark in ("\n", 3 * quote))  # (`"a"""` is "a" and an empty string)
            quote = "" if is_over else quote
            if mark != "\n" or quote:
                continue
        if mark == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif mark[0] in "\"'":
            quote = mark
        elif mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth = max(0, depth - 1)
        elif mark == "bl_info":
            has_name = has_name or depth == 0
        elif mark == "\n" and depth == 0:
            if has_name:
                yield text[begin : found.start()]
            begin, has_name = place, False
    if has_name:
        yield text[begin:]


def _literal(statement: str) -> dict[str, Any] | None:
    """Return what *statement* assigns to ``bl_info``, as far as it is literal; ``None`` where it does not."""
    try:
        tree = ast.parse(statement)
    except (SyntaxError, ValueError):
        return None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == "bl_info" for target in targets):
            told: dict[str, Any] = {}
            value = getattr(node, "value", None)
            pairs = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
            for key, each in pairs:
                with contextlib.suppress(ValueError, TypeError):
                    if key is not None:
                        told[str(ast.literal_eval(key))] = ast.literal_eval(each)
            return told
    return None


def _write(source: _Source, names: Mapping[str, str], blob: Path) -> str:
    """Write the files *names*, from their names in the blob to those in *source*, to *blob*; return its digest."""
    left = MOST_BYTES
    with zipfile.ZipFile(blob, "w", zipfile.ZIP_STORED) as archive:
        for name, own in sorted(names.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            with archive.open(entry, "w") as target:
                for piece in source.read(own):
                    left -= len(piece)
                    if left < 0:
                        raise BadInput(
                            f"The add-on {source.path} has more than {MOST_BYTES // 2**20} MB unpacked: make it smaller"
                        )
                    target.write(piece)
    return _digest(blob)


def _digest(blob: Path) -> str:
    with blob.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

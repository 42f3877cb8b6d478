"""A bundle: the files of a job, each by its content, and where each lies beside the others. Pure."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated

import msgspec

from brender.model.errors import BadInput
from brender.model.field_types import Count

#: A file's content, named by its SHA-256.
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]

#: Names that Windows gives to devices, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_NAME_BYTES = 255
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*\\]')


class BundleFile(msgspec.Struct, frozen=True, array_like=True):
    """One file: its ``path`` in the bundle, with / between folders, its content, its bytes."""

    path: str
    blob: Digest
    size: Count


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """``main`` is the path of the .blend that is rendered."""

    main: str
    files: tuple[BundleFile, ...]


def read_bundle(content: bytes) -> Bundle:
    """Return the bundle that `as_bytes` has written. Raises `BadInput` if it is not a bundle, a path in it would lead
    out of its folder, or two of them lead to one place."""
    try:
        bundle = msgspec.msgpack.decode(content, type=Bundle)
    except msgspec.MsgspecError as error:
        raise BadInput(f"The list of the job's files is damaged: {error}") from error
    check_paths(file.path for file in bundle.files)
    if bundle.main not in {file.path for file in bundle.files}:
        raise BadInput(f"The list of the job's files does not hold {bundle.main!r}, which is to be rendered")
    return bundle


def as_bytes(bundle: Bundle) -> bytes:
    return msgspec.msgpack.encode(bundle)


def check_paths(paths: Iterable[str]) -> None:
    """Raises `BadInput` where one of *paths* cannot be laid out on every platform, inside one folder and beside the others."""
    seen: dict[str, str] = {}
    for path in paths:
        check_path(path)
        other = seen.setdefault(unicodedata.normalize("NFC", path.casefold()), path)
        if other != path:
            raise BadInput(
                f"The files {other} and {path} differ in upper and lower case only, or in how the same letters are coded: rename "
                "one, they are one on some machines"
            )


def check_path(path: str) -> None:
    """Raises `BadInput` where *path* leads out of its folder, or cannot be the name of a file on every platform."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or str(pure) != path:
        raise BadInput(f"{path!r} does not lead to a file in the job's own folder")
    for name in pure.parts:
        try:
            length = len(name.encode())
        except UnicodeEncodeError as error:
            raise BadInput(f"The name {name!r} is not in UTF-8: rename the file") from error
        if length > _NAME_BYTES:
            raise BadInput(f"The name {name[:40]!r}… has {length} bytes, and file systems take {_NAME_BYTES}: rename the file")
        if _FORBIDDEN.search(name) or name != name.rstrip(". ") or name.split(".")[0].lower() in _DEVICES:
            raise BadInput(f"{name!r} cannot be a file's name on every machine: rename the file")

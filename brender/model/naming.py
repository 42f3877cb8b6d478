"""Names of output files: from a pattern to the file of one frame, and what a name may not be."""

import re
from pathlib import PurePosixPath, PureWindowsPath

from brender.model.errors import BadInput

#: The extension that Blender itself gives each image format (`Output properties`, Blender manual).
EXTENSIONS: dict[str, str] = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "JPEG2000": ".jp2",
    "BMP": ".bmp",
    "TARGA": ".tga",
    "TARGA_RAW": ".tga",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "OPEN_EXR": ".exr",
    "OPEN_EXR_MULTILAYER": ".exr",
    "HDR": ".hdr",
    "CINEON": ".cin",
    "DPX": ".dpx",
    "IRIS": ".rgb",
}

_HASHES = re.compile(r"#+")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def frame_name(pattern: str, frame: int, extension: str) -> str:
    """The file name of *frame*: the last run of ``#`` in *pattern* becomes the number, zero-padded to its length, as
    Blender does it. Without a ``#`` four digits are appended. *extension* (``.png``) is added unless it is there.

    >>> frame_name("shot_##", 7, ".png")
    'shot_07.png'
    """
    stem = pattern.removesuffix(extension) if extension else pattern
    runs = list(_HASHES.finditer(stem))
    width, (start, end) = (len(runs[-1].group()), runs[-1].span()) if runs else (4, (len(stem), len(stem)))
    number = f"{abs(frame):0{width}d}"
    return f"{stem[:start]}{'-' if frame < 0 else ''}{number}{stem[end:]}{extension}"


def check_pattern(pattern: str) -> str:
    """*pattern*, if every name made from it stays inside the output folder on every platform. Raises `BadInput`."""
    posix, windows = PurePosixPath(pattern), PureWindowsPath(pattern)
    if not pattern.strip() or "\0" in pattern:
        raise BadInput("The output pattern is empty: give one such as shot_####")
    if posix.is_absolute() or windows.is_absolute() or windows.drive or windows.root:
        raise BadInput(
            f"The output pattern {pattern!r} is an absolute path: give the folder with --output, the pattern names files in it"
        )
    pieces = [piece for piece in re.split(r"[\\/]", pattern) if piece]
    if ".." in pieces:
        raise BadInput(f"The output pattern {pattern!r} climbs out of the output folder with '..'")
    for piece in pieces:
        if (
            piece.split(".")[0].lower() in _RESERVED
            or len(piece.encode()) > 200
            or any(ord(c) < 32 or c in '<>:"|?*' for c in piece)
        ):
            raise BadInput(f"The output pattern {pattern!r} has a part that is no file name on every platform: {piece!r}")
    return pattern


def temporary_name(final: str, attempt: str) -> str:
    """Where *attempt* writes before the file *final* (a path in the output folder) is published: beside it, hidden,
    and carrying the attempt's id, so that two attempts never write one file.

    >>> temporary_name("a/shot_01.png", "f00d")
    'a/.shot_01.f00d.tmp.png'
    """
    folder, slash, name = final.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}.{stem or name}.{attempt}.tmp{dot if stem else ''}{extension if stem else ''}"

"""The first bytes of a .blend: who saved it, the oldest Blender that may read it, its preview picture. No Blender is needed.

The layouts are those of BLO_core_blend_header.hh and BLO_core_bhead.hh in Blender's source (source/blender/blenloader).
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import zstandard

from brender.model.errors import BadInput

#: The header before and since Blender 5.0.
_HEADER = re.compile(rb"BLENDER(?:(?P<pointer>[-_])(?P<order>[vV])(?P<old>\d{3})|(?P<size>\d\d)-(?P<format>\d\d)v(?P<new>\d{4}))")
_OLD_BYTES, _NEW_BYTES = 12, 17
_KNOWN_FORMAT = (b"17", b"01")
_CANNOT_UNPACK = (OSError, EOFError, zstandard.ZstdError)
#: The global block follows the preview and a few small blocks; what lies further in is not looked at.
_BLOCKS, _BYTES = 16, 4 * 2**20
#: No preview is wider or higher (Blender writes 256).
_PREVIEW_PIXELS = 1000
#: Where FileGlobal (DNA_fileGlobal_types.h) has ``minversion`` and ``minsubversion``, and since which version of Blender.
_MINIMUM_AT, _MINIMUM_SINCE = 6, 280


@dataclass(frozen=True)
class Preview:
    """A small picture: its size in pixels, and four bytes a pixel (red, green, blue, alpha), in rows from the top."""

    width: int
    height: int
    pixels: bytes

    def as_png(self) -> bytes:
        """Return it as a PNG file."""
        stride = self.width * 4
        rows = b"".join(b"\0" + self.pixels[at : at + stride] for at in range(0, len(self.pixels), stride))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 6, 0, 0, 0)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(content)) + code + content + struct.pack(">I", zlib.crc32(code + content))
            for code, content in chunks
        )


def saved_by(path: Path) -> tuple[int, int]:
    """Return the version of Blender that saved the .blend at *path*, by its header, old or new. Raises `BadInput` where it has
    none."""
    found = _header(path)
    if found is None:
        raise BadInput(explain_beginning(path))
    digits = _version(found)
    return digits // 100, digits % 100


def oldest_reader(path: Path) -> tuple[int, int, int] | None:
    """Return the oldest Blender that may open the .blend at *path*, by the file's own word: major, minor and file subversion.

    ``None`` where the file does not say so: it is from before Blender 2.80, of an unknown format, or damaged.
    """
    try:
        with _unpacked(path) as file:
            content = _global_block(file)
    except _CANNOT_UNPACK:
        return None
    if content is None:
        return None
    order, block = content
    if len(block) < _MINIMUM_AT + 4:
        return None
    version, subversion = struct.unpack_from(f"{order}hh", block, _MINIMUM_AT)
    return (version // 100, version % 100, subversion) if version > 0 and subversion >= 0 else None


def preview(path: Path) -> Preview | None:
    """Return the preview picture that Blender saved in the .blend at *path*; ``None`` where it has none, or one that is no
    picture. Only the beginning of the file is read."""
    try:
        with _unpacked(path) as file:
            for _, order, code, content in _first_blocks(file):
                if code == b"TEST":
                    return _as_preview(order, content)
                if code != b"REND":  # (It comes before all that is the scene's.)
                    return None
    except _CANNOT_UNPACK:
        return None
    return None


def _as_preview(order: str, content: bytes) -> Preview | None:
    if len(content) < 8:
        return None
    width, height = struct.unpack_from(f"{order}ii", content)
    if not (0 < width <= _PREVIEW_PIXELS and 0 < height <= _PREVIEW_PIXELS) or len(content) != 8 + width * height * 4:
        return None
    rows = [content[8 + row * width * 4 : 8 + (row + 1) * width * 4] for row in reversed(range(height))]
    return Preview(width, height, b"".join(rows)) if any(content[11::4]) else None


def is_of_a_later_format(path: Path) -> bool:
    """Return whether the format of *path* is later than any that blender-asset-tracer reads."""
    found = _header(path)
    return found is not None and found.group("new") is not None and (found.group("size"), found.group("format")) != _KNOWN_FORMAT


def explain_beginning(path: Path) -> str:
    """Return a sentence on what is wrong with the beginning of *path*."""
    if path.stat().st_size == 0:
        return f"{path} is empty"
    with path.open("rb") as file:
        head = file.read(7)
    if head == b"BLENDER" or head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd":
        return f"{path} is cut off or damaged: it begins like a .blend and does not end like one. Save or copy it again"
    return f"{path} is not a .blend file"


def _header(path: Path) -> re.Match[bytes] | None:
    try:
        with _unpacked(path) as file:
            return _HEADER.match(file.read(_NEW_BYTES))
    except _CANNOT_UNPACK:
        return None


def _version(header: re.Match[bytes]) -> int:
    return int(header.group("old") or header.group("new"))


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Give what is in the .blend at *path*, compressed or not, to be read from its beginning."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(file) as inside:
                yield inside  # type: ignore[misc]  # (a GzipFile is read like any file)
        elif head == b"\x28\xb5\x2f\xfd":
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
                yield stream
        else:
            yield file


def _global_block(file: IO[bytes]) -> tuple[str, bytes] | None:
    """Return the byte order and the content of the block ``GLOB`` in *file*; ``None`` if it is not near its beginning."""
    for version, order, code, content in _first_blocks(file):
        if version < _MINIMUM_SINCE:
            return None
        if code == b"GLOB":
            return order, content
    return None


def _first_blocks(file: IO[bytes]) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Yield the version of *file*, its byte order, and the code and content of each of its first blocks: `_BLOCKS` at most, up to
    the first that is cut off or longer than `_BYTES`. Yields nothing of a format that is not known."""
    head = file.read(_OLD_BYTES)
    found = _HEADER.match(head)
    if found is None:
        found = _HEADER.match(head + file.read(_NEW_BYTES - _OLD_BYTES))
    if found is None:
        return
    if found.group("new") is not None:
        if (found.group("size"), found.group("format")) != _KNOWN_FORMAT:
            return
        order, block_head = "<", struct.Struct("<4siQqq")  # code, type, old address, length, count
        length_at = 3
    else:
        order = "<" if found.group("order") == b"v" else ">"
        block_head = struct.Struct(f"{order}4si{'Q' if found.group('pointer') == b'-' else 'I'}ii")
        length_at = 1
    for _ in range(_BLOCKS):
        raw = file.read(block_head.size)
        if len(raw) < block_head.size:
            return
        fields = block_head.unpack(raw)
        length = fields[length_at]
        if not 0 <= length <= _BYTES:
            return
        yield _version(found), order, fields[0], file.read(length)

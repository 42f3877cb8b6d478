"""What the head of an OpenEXR file says is in it: its size, and the passes of its layers. Blender itself does not tell a script.
No bpy here."""

import dataclasses
import os
import struct

from .client import FarmError

_MAGIC = b"v/1\x01"
_MULTIPART = 0x1000
_LONG_NAMES = 0x400
_TILED, _DEEP = 0x200, 0x800
_PLAIN = ("RGBA", "rgba", "XYZW", "xyzw", "UVA", "uva")
#: Names of layer, pass and channel: what has fewer is the picture of a plain file.
_NAMED = 3
#: The attributes whose values are needed here; those of the others, such as the manifests of cryptomattes, are passed over.
_NEEDED = ("channels", "chunkCount", "dataWindow", "multiView", "name", "type", "view")
#: The format's own limit of names and types, with the byte that ends them.
_NAME_MOST = 256
#: A head with more attributes, of more bytes, or with more bytes that are needed of it, is not one that a renderer wrote.
_ATTRIBUTES_MOST, _BYTES_MOST, _NEEDED_MOST = 2**16, 2**28, 2**24
#: The pixels a side that Blender's own pictures have at most.
_SIDE_MOST = 2**16
_SCANLINES = b"scanlineimage"
#: With how many words a block of a kind of part begins: its line, or its tile's place, and its length.
_BLOCK_WORDS = {_SCANLINES: 2, b"tiledimage": 5}
_PLACES_AT_ONCE = 4096
#: What reading a file that is broken, or of another format than it says, ends with.
_BROKEN = (IndexError, ValueError, KeyError, OverflowError, struct.error)


@dataclasses.dataclass(frozen=True)
class Header:
    """``layers``: for each layer of a multilayer file its passes with the letters of their channels, in Blender's order; empty
    for a plain picture. ``has_views``: whether it holds the pictures of several views (stereo)."""

    width: int
    height: int
    layers: "dict[str, dict[str, str]]"
    has_views: bool


def read_header(path):
    """Return the `Header` of the OpenEXR file at *path*, or ``None`` where it is another kind of file. Raises `FarmError`."""
    try:
        with open(path, "rb") as file:
            return _parsed(file) if file.read(len(_MAGIC)) == _MAGIC else None
    except OSError as error:
        raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise _not_whole(path) from error


def check_whole(path):
    """Raise `FarmError` if the OpenEXR file at *path* ends before its last block of pixels. Blender shows black for what is not
    there, and says nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(len(_MAGIC))
            flags, parts = _heads(file)
            _check_blocks(file, flags, parts)
    except OSError as error:
        raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error
    except _BROKEN as error:
        raise _not_whole(path) from error


def write_as_layer(path, target, layer):
    """Write the plain OpenEXR file at *path*, of one part, to *target* as a multilayer file: its picture becomes the pass
    Combined of *layer*. Raises `FarmError`."""
    try:
        with open(path, "rb") as file:
            whole = file.read()
            file.seek(len(_MAGIC) + 4)
            part = _Head(file).part()
            begin = file.tell()
        names, at, listed = [], 0, part["channels"]
        while listed[at]:
            name, at = _text(listed, at)
            names.append(f"{layer}.Combined.{name}".encode() + b"\0" + listed[at : at + 16])
            at += 16
        made = b"".join(names) + b"\0"
        place = whole.index(b"channels\0chlist\0", 8) + len(b"channels\0chlist\0")
        head = whole[8:place] + struct.pack("<i", len(made)) + made + whole[place + 4 + len(listed) : begin]
        # The places of all blocks of pixels follow the head, and the first block follows them.
        (first,) = struct.unpack_from("<Q", whole, begin)
        places = struct.unpack_from(f"<{(first - begin) // 8}Q", whole, begin)
        longer = len(made) - len(listed)
        (flags,) = struct.unpack_from("<I", whole, 4)
        content = whole[:4] + struct.pack("<I", flags | _LONG_NAMES) + head
        content += struct.pack(f"<{len(places)}Q", *(each + longer for each in places)) + whole[first:]
        with open(target, "wb") as file:
            file.write(content)
    except OSError as error:
        raise FarmError(f"{path} cannot be copied: {error.strerror or error}") from error
    except _BROKEN as error:
        raise _not_whole(path) from error


def _not_whole(path):
    return FarmError(f"{path} is not a whole OpenEXR file")


def _parsed(file):
    """Return the `Header` of the *file*, which is read as far as its magic number. Raises the errors of `_BROKEN`."""
    _, parts = _heads(file)
    left, low, right, high = struct.unpack("<4i", parts[0]["dataWindow"])
    width, height = right - left + 1, high - low + 1
    if not (0 < width <= _SIDE_MOST and 0 < height <= _SIDE_MOST):
        raise ValueError("the picture has no size")
    names = [name for part in parts for name in _names(part)]
    has_views = any("multiView" in part or "view" in part for part in parts)
    return Header(width, height, _layers(names), has_views)


def _heads(file):
    """Return the flags of the *file*, which is read as far as its magic number, and the attributes of each of its parts."""
    (flags,) = struct.unpack("<I", file.read(4))
    head = _Head(file)
    parts = [head.part()]
    while flags & _MULTIPART and (part := head.part()):
        parts.append(part)
    return flags, parts


def _check_blocks(file, flags, parts):
    """Raise `ValueError` if a block of pixels of the *file*, which is read as far as its head, does not lie in it."""
    begin, size = file.tell(), os.fstat(file.fileno()).st_size
    if flags & _MULTIPART:
        count = sum(struct.unpack("<i", part["chunkCount"])[0] for part in parts)
        if not 0 < count <= (size - begin) // 8:
            raise ValueError("the places of the pixels are not there")
        places = struct.unpack(f"<{count}Q", file.read(8 * count))
    else:
        places = _places(file, begin, size)
    last = max(places)
    if min(places) < begin + 8 * len(places) or last >= size:
        raise ValueError("pixels are not there")
    file.seek(last)
    if flags & _MULTIPART:
        (number,) = struct.unpack("<i", file.read(4))
        kind = parts[number]["type"].rstrip(b"\0")
    else:
        kind = _SCANLINES if not flags & (_TILED | _DEEP) else b"tiledimage" if not flags & _DEEP else b""
    if kind in _BLOCK_WORDS:  # the last of these words says the length of what follows
        words = _BLOCK_WORDS[kind]
        length = struct.unpack(f"<{words}i", file.read(4 * words))[-1]
        if length < 0 or file.tell() + length > size:
            raise ValueError("the last pixels are not there")


def _places(file, begin, size):
    """Return the places of all blocks, which lie between the head, that ends at *begin*, and the block that comes first in the
    *file*: not the first of the picture, where that is written from below, or in any order. Raises the errors of `_BROKEN`."""
    found, end = [], size
    while begin + 8 * len(found) < end:
        piece = file.read(8 * min(_PLACES_AT_ONCE, (end - begin) // 8 - len(found)))
        for (place,) in struct.iter_unpack("<Q", piece):
            if begin + 8 * len(found) >= end:
                break
            found.append(place)
            end = min(end, place)
        if not piece or end < begin + 8 * len(found):
            raise ValueError("the places of the pixels are not there")
    return found


class _Head:
    """The parts of the head of *file*, from where that is read to. Each attribute is read by itself, as a head has megabytes of
    them; it raises the errors of `_BROKEN` where one does not end within the file, or where there are too many."""

    def __init__(self, file):
        self._file = file
        self._end = min(os.fstat(file.fileno()).st_size, _BYTES_MOST)
        self._attributes = self._kept = 0

    def part(self):
        """Return the needed attributes of the next part by their names; nothing where the head ends."""
        found = {}
        while name := self._word():
            self._word()
            (size,) = struct.unpack("<i", self._file.read(4))
            after = self._file.tell() + size
            self._attributes += 1
            self._kept += size if name in _NEEDED else 0
            if size < 0 or after > self._end or self._attributes > _ATTRIBUTES_MOST or self._kept > _NEEDED_MOST:
                raise ValueError(f"the attribute {name} does not end")
            if name in _NEEDED:
                found[name] = self._file.read(size)
            self._file.seek(after)
        return found

    def _word(self):
        at = self._file.tell()
        word, length = _text(self._file.read(_NAME_MOST), 0)
        self._file.seek(at + length)
        return word


def _text(head, at):
    """Return the text in *head* that begins *at* there, and where the next begins. Raises `ValueError` where it does not end."""
    end = head.index(0, at)
    return head[at:end].decode("utf-8", "replace"), end + 1


def _names(part):
    """Return the full names of the channels of *part*: in a file of several parts these may leave its own name out."""
    owner = part.get("name", b"").rstrip(b"\0").decode("utf-8", "replace")
    listed, at, found = part["channels"], 0, []
    while listed[at]:
        name, at = _text(listed, at)
        at += 16
        found.append(f"{owner}.{name}" if owner and name.count(".") < _NAMED - 1 else name)
    return found


def _layers(names):
    found = {}
    for name in names:
        layer, *rest = name.rsplit(".", _NAMED - 1)
        if len(rest) == _NAMED - 1:
            found.setdefault(layer, {}).setdefault(rest[0], []).append(rest[1])
    return {layer: {each: _in_order(letters) for each, letters in passes.items()} for layer, passes in found.items()}


def _in_order(letters):
    order = next((each for each in _PLAIN if set(letters) <= set(each)), "")
    return "".join(sorted(letters, key=order.find if order else None))

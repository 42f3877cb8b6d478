"""What the head of an OpenEXR file says is in it: its size, and the passes of its layers. Blender itself does not tell a script.
No bpy here."""

import dataclasses
import struct

from .client import FarmError

_MAGIC = b"v/1\x01"
_MULTIPART = 0x1000
_LONG_NAMES = 0x400
_PLAIN = ("RGBA", "rgba", "XYZW", "xyzw", "UVA", "uva")
#: Names of layer, pass and channel: what has fewer is the picture of a plain file.
_NAMED = 3
#: A head that is longer than this is not one that Blender wrote.
_READ_MOST = 2**20


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
            head = file.read(_READ_MOST)
    except OSError as error:
        raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head.startswith(_MAGIC):
        return None
    try:
        return _parsed(head)
    except (IndexError, ValueError, KeyError, struct.error) as error:
        raise FarmError(f"{path} is not a whole OpenEXR file") from error


def write_as_layer(path, target, layer):
    """Write the plain OpenEXR file at *path*, of one part, to *target* as a multilayer file: its picture becomes the pass
    Combined of *layer*. Raises `FarmError`."""
    try:
        with open(path, "rb") as file:
            whole = file.read()
        attributes, begin = _attributes(whole, 8)
        names, at, listed = [], 0, attributes["channels"]
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
        with open(target, "wb") as file:
            file.write(whole[:4] + struct.pack("<I", flags | _LONG_NAMES) + head)
            file.write(struct.pack(f"<{len(places)}Q", *(each + longer for each in places)) + whole[first:])
    except OSError as error:
        raise FarmError(f"{path} cannot be copied: {error.strerror or error}") from error


def _parsed(head):
    (flags,) = struct.unpack_from("<I", head, 4)
    attributes, at = _attributes(head, 8)
    parts = [attributes]
    while flags & _MULTIPART:
        attributes, at = _attributes(head, at)
        if not attributes:
            break
        parts.append(attributes)
    left, low, right, high = struct.unpack("<4i", parts[0]["dataWindow"])
    names = [name for part in parts for name in _names(part)]
    has_views = any("multiView" in part or "view" in part for part in parts)
    return Header(right - left + 1, high - low + 1, _layers(names), has_views)


def _attributes(head, at):
    """Return the attributes of the part that begins *at* there, by their names, and where the next begins."""
    found = {}
    while head[at]:
        name, at = _text(head, at)
        _, at = _text(head, at)
        (size,) = struct.unpack_from("<i", head, at)
        found[name] = head[at + 4 : at + 4 + size]
        at += 4 + size
    return found, at + 1


def _text(head, at):
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

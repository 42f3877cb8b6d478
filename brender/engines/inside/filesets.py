"""Sets of files that one path stands for: the numbers of a sequence, the tiles of a texture, all of a folder.

Also imported outside of Blender: standard library only.
"""

import os
import re
import unicodedata

TILE = re.compile(r"<(?:UDIM|UVTILE)>")
#: The ends of the names of files that Blender keeps in folders of caches: of point caches, fluids, oceans, bakes of nodes.
#: Nothing else in such a folder is a scene's: its path may lead anywhere.
CACHE_FILES = (".bphys", ".vdb", ".uni", ".raw", ".gz", ".npz", ".exr", ".json", ".blob", ".bin")
LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


def files_of(absolute: str, many: bool, folder: bool = False) -> list[str]:
    """Return the files that there are of what *absolute* means: itself, the tiles, the numbers of a sequence; all caches in a
    *folder*, where it is to be one. (A picture that names a folder names no file.)"""
    if folder:
        below = (os.path.join(where, name) for where, _, names in os.walk(absolute) for name in names)
        return sorted(path for path in below if path.lower().endswith(CACHE_FILES))
    beside, name = os.path.split(absolute)
    pattern = number_pattern(name, many)
    if pattern is None:
        return [absolute] if os.path.isfile(absolute) else []
    try:
        names = os.listdir(beside)
    except OSError:
        return []
    found = {each for each in names if re.fullmatch(pattern, each)}
    if not name.isascii():
        other = (_as_named(name, pattern, each) for each in names if each not in found)
        found.update(each for each in other if each and os.path.exists(os.path.join(beside, each)))
    return sorted(os.path.join(beside, each) for each in found)


def _as_named(name: str, pattern: str, listed: str) -> str | None:
    """Return the file *listed* as *name* spells it, where both differ in the coding of the same letters only; else ``None``.

    macOS finds an "é" that is one code in a file whose name has it as two, and lists the two.
    """
    found = re.fullmatch(unicodedata.normalize("NFC", pattern), unicodedata.normalize("NFC", listed))
    if found is None:
        return None
    number = TILE.search(name) or LAST_NUMBER.search(name)
    assert number is not None, "the pattern was made of the name"
    return name[: number.start()] + found.group(1) + name[number.end() :]


def number_pattern(name: str, many: bool) -> str | None:
    """Return a pattern for the names of the set of files that *name* belongs to; None for a single file."""
    if TILE.search(name):
        return r"(\d{4}|u\d+_v\d+)".join(re.escape(piece) for piece in TILE.split(name))
    number = LAST_NUMBER.search(name) if many else None
    if number is None:
        return None
    return re.escape(name[: number.start()]) + r"(\d+)" + re.escape(name[number.end() :])


def number_in(pattern: str, name: str) -> int:
    """Return the number in *name*; that of a tile such as u1_v2 is 1001 and so on (UDIM)."""
    found = re.fullmatch(pattern, name)
    assert found is not None, "the names were chosen by the pattern"
    text = found.group(1)
    if text.startswith("u"):
        u, v = (int(each) for each in re.findall(r"\d+", text))
        return 1001 + (u - 1) + 10 * (v - 1)
    return int(text)


def numbered(name: str, number: int) -> str:
    """Return *name*, of a set of tiles or a sequence, with *number* in its place."""
    if TILE.search(name):
        u, v = (number - 1001) % 10 + 1, (number - 1001) // 10 + 1
        return name.replace("<UDIM>", str(number)).replace("<UVTILE>", "u%d_v%d" % (u, v))
    found = LAST_NUMBER.search(name)
    assert found is not None, "a sequence has numbers in its names"
    return name[: found.start()] + str(number).zfill(len(found.group())) + name[found.end() :]


def missing_of(absolute: str, many: bool, numbers: set[int] | None = None, folder: bool = False) -> list[str]:
    """Return the paths that are asked for and not there, as one would look for them.

    *numbers*: those of a sequence or of tiles that are asked for; None: not known, so that each gap between two files is missing.
    """
    files = files_of(absolute, many, folder)
    if not files:
        return [absolute]
    beside, name = os.path.split(absolute)
    pattern = number_pattern(name, many)
    if pattern is None or folder:
        return []
    there = {number_in(pattern, os.path.basename(file)) for file in files}
    if numbers is None:
        numbers = set() if TILE.search(name) else set(range(min(there), max(there) + 1))
    return [os.path.join(beside, numbered(name, number)) for number in sorted(numbers - there)]

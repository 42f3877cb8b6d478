"""Inside Blender: paths that another platform or site gave the open .blend, read as this machine's."""

import os
import sys

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import paths


def remap(pairs):
    """Let every path that begins with a folder of *pairs*, each (elsewhere, here), begin with the one here: those of the open
    file and of all that it links, and loads again from there. Returns how many there were.

    Libraries come first: each that is loaded brings others, with the paths that are written in it.
    """
    if not pairs:
        return 0
    count, named = 0, set()
    while library := next((each for each in bpy.data.libraries if is_elsewhere(each.filepath, pairs, named)), None):
        library.filepath = translated(library.filepath, pairs)
        named.add(library.filepath)
        library.reload()
        count += 1
    for reference in list(paths.references()):
        if isinstance(reference.owner, bpy.types.Library):
            continue
        path = getattr(reference.thing, reference.attribute)
        if is_elsewhere(path, pairs, named):  # (The pictures of a strip have their folder in common.)
            path = translated(path, pairs)
            named.add(path)
            setattr(reference.thing, reference.attribute, path)
            count += 1
            if hasattr(reference.thing, "reload"):
                reference.thing.reload()
    return count


def is_elsewhere(path, pairs, named):
    """Whether *path* is to be translated, and was not already: the folder here may lie in one that has that name elsewhere."""
    return path not in named and translated(path, pairs) is not None


def translated(path, pairs):
    """*path* as this machine has it; None where it begins with none of the folders elsewhere."""
    for elsewhere, here in pairs:
        windows = "\\" in elsewhere or elsewhere[1:2] == ":"
        given, start = path.replace("\\", "/"), elsewhere.replace("\\", "/").rstrip("/")
        if windows:
            same = given.lower() == start.lower() or given.lower().startswith(start.lower() + "/")
        else:
            same = given == start or given.startswith(start + "/")
        if same:
            return here.rstrip("/\\") + "/" + given[len(start) :].lstrip("/")
    return None

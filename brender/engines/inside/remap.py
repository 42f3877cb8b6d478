"""Inside Blender: paths that another platform or site gave the open .blend, read as this machine's."""

import bpy


def remap(pairs):
    """Let every path of the open file that begins with a folder of *pairs*, each (elsewhere, here), begin with the one here;
    what is linked from there is loaded again. Returns how many there were."""
    count = 0
    for things, attribute in (
        (bpy.data.images, "filepath"),
        (bpy.data.movieclips, "filepath"),
        (bpy.data.sounds, "filepath"),
        (bpy.data.fonts, "filepath"),
        (bpy.data.cache_files, "filepath"),
        (getattr(bpy.data, "volumes", ()), "filepath"),
        (bpy.data.libraries, "filepath"),
    ):
        for thing in things:
            path = translated(getattr(thing, attribute), pairs)
            if path is None:
                continue
            count += 1
            setattr(thing, attribute, path)
            if hasattr(thing, "reload"):
                thing.reload()
    return count


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

"""Other paths in a .blend, written over the ones that stand there: the file stays that of the Blender that saved it.

A Blender that saves a copy makes it a file of its own version, which the Blenders that the original is for may not open. So where
this machine's Blender is newer than the file, the paths are written in place, by blender-asset-tracer's map of the file.
"""

import logging
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blender_asset_tracer import blendfile
from blender_asset_tracer.trace import asset_holding_blocks, blocks2assets

from brender.blendfile.tracer import quiet

_LOG = logging.getLogger(__name__)


def renamed(file: Path, names: Mapping[str, str], wanted: Mapping[str, int], copy: Path) -> bool:
    """Write *copy*, the same as *file* but for the paths that are keys of *names*; return whether that was done.

    *wanted* says how many things in *file* have each of these paths. Where fewer are found, or the file cannot be read like this,
    nothing can be said of the copy, and it is removed.
    """
    try:
        shutil.copyfile(file, copy)
        with quiet(), blendfile.BlendFile(copy, mode="rb+") as opened:
            found = _rename(opened, names)
    except Exception as error:  # a file that it cannot follow makes the tracer stumble in ways of its own
        _LOG.info("the paths in %s are not renamed in place: %s: %s", file, type(error).__name__, error)
        found = Counter()
    if all(found[path] >= count for path, count in wanted.items()):
        return True
    copy.unlink(missing_ok=True)
    return False


def _rename(opened: blendfile.BlendFile, names: Mapping[str, str]) -> Counter[str]:
    """Rename the paths in the file *opened*; return how many things have each."""
    found: Counter[str] = Counter()
    for block in asset_holding_blocks(list(opened.blocks)):
        for usage in list(blocks2assets.iter_assets(block)):
            path = bytes(usage.asset_path).decode("utf-8", "surrogateescape")
            if usage.path_full_field is not None:
                if path in names and _set(usage.block, usage.path_full_field, names[path]):
                    found[path] += 1
            # Of a strip in the Sequencer the folder and the names of its pictures stand apart.
            elif pictures := [each for each in names if _folder(each) == _folder(path)]:
                folders = {_folder(names[each]) for each in pictures}
                if len(folders) == 1 and _set(usage.block, usage.path_dir_field, folders.pop()):
                    found.update(pictures)
    return found


def _set(block: Any, field: Any, path: str) -> bool:
    """Write *path* to that field; return whether there is room for it."""
    raw = path.encode("utf-8", "surrogateescape")
    block.set(field.name.name_only, raw)
    return bool(block.get(field.name.name_only) == raw)


def _folder(path: str) -> str:
    return re.split(r"[^\\/]*$", path)[0]

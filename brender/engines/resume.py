"""Frames that are there already: which are as good as rendered again.

Every picture carries a note in its metadata, where its format has such: the word brender and a fingerprint of the .blend, of the
files that it uses and of the settings that it was rendered with. PNG, JPEG and OpenEXR keep it (seen with Blender 3.4 and 5.0); a
frame in another format says nothing of itself and is rendered again.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from brender.engines.ocio import configuration_files
from brender.jobs.blender_settings import FILM_SETTINGS
from brender.jobs.view_layers import layers_apart
from brender.model.job import Inputs

_NOTE = re.compile(r"brender ([0-9a-f]{16})\b")
#: What ends the names of files that carry one.
NOTED = {".png", ".jpg", ".exr"}
#: What changes where frames go or who renders them when, and not what is on them.
_NOT_IN_THE_PICTURE = {"frames", "numbered", "chunk", "order", "pattern", "film", "threads", "process", "persistent", "device"}
_NOT_IN_THE_PICTURE |= {setting.name for setting in FILM_SETTINGS} | {"copy_to"}
#: A split still is the same picture as the frame that is rendered whole.
_NOT_IN_THE_PICTURE |= {"frame", "pieces", "split"}
#: So is a frame that was refined to its last sample; one with fewer carries no note.
_NOT_IN_THE_PICTURE |= {"passes", "refine", "noise", "until"}


def note_for(settings: Mapping[str, Any], file: Path, inputs: Inputs, bundle: str = "") -> str:
    """Return the note for pictures that are rendered with these *settings* from *file*, as it is now, and its *inputs*.

    Of a job whose files travel, *bundle* names the content of all of them.
    """
    stat = file.stat()
    made_of = [bundle] if bundle else [int(stat.st_mtime), stat.st_size, inputs.digest]
    told = {name: value for name, value in settings.items() if name not in _NOT_IN_THE_PICTURE and name != "file"}
    if files := configuration_files(str(told.pop("ocio", None) or "")):
        told["ocio"] = [[file.name, hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    if settings.get("process") == "in-order":
        told["in_order"] = True  # it shows other states of simulations
    if not told.get("denoise_after"):
        told.pop("denoise_after", None)  # (pictures of before that was a setting say nothing of it)
    if any(layers_apart(settings)):
        told["apart"] = True  # without compositor: another picture than of the same layers together
    text = json.dumps([made_of, told], sort_keys=True)
    return "brender " + hashlib.sha256(text.encode()).hexdigest()[:16]


def carries(path: Path, note: str) -> bool:
    """Return whether the picture *path* carries that *note*: then it is as good as rendered again. Somebody else's carries
    none."""
    opened = oiio.ImageInput.open(str(path))
    if opened is None:
        oiio.geterror()
        return False
    try:
        texts = [str(each.value) for each in opened.spec().extra_attribs if isinstance(each.value, str)]
    finally:
        opened.close()
    found = [match[0] for text in texts if (match := _NOTE.search(text))]
    return found[:1] == [note]

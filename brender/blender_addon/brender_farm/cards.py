"""The small pictures of jobs in the panel, as Blender keeps them: previews, which are no part of the open file."""

import contextlib
import os
import tempfile

import bpy
import bpy.utils.previews

from .posters import Poster, with_strip

#: The picture of a job that has no frame yet.
_WIDTH, _HEIGHT = 96, 54
_EMPTY = (0.1, 0.1, 0.1, 1.0)

_posters = {}
_shown = {}
_previews = None
_folder = None


def look(farm, jobs):
    """Fetch what changed of *jobs*, in a thread, and forget what was fetched of others. Raises `FarmError`."""
    for gone in _posters.keys() - {job["id"] for job in jobs}:
        with contextlib.suppress(OSError):
            os.remove(_posters.pop(gone).path)
    for job in jobs:
        _posters.setdefault(job["id"], Poster()).look(farm, job, _folder.name)


def icon(job):
    """Return the number of the picture of the job *job*, or ``None`` until it has one."""
    poster = _posters.get(job)
    if poster is None or not poster.states:
        return None
    name, is_of = f"{job}-{len(_shown.get(job, ()))}", (poster.path, poster.states)
    if not _shown.get(job) or _shown[job][-1] != is_of:
        _shown.setdefault(job, []).append(is_of)
        _previews.pop(name, None)
        name = f"{job}-{len(_shown[job])}"
        _draw(_previews.new(name), poster)
    return _previews[name].icon_id


def _draw(preview, poster):
    width, height, pixels = _WIDTH, _HEIGHT, _EMPTY * (_WIDTH * _HEIGHT)
    if poster.path and os.path.exists(poster.path):
        frame = _previews.get(poster.path) or _previews.load(poster.path, poster.path, "IMAGE", True)
        if frame.image_size[0]:
            (width, height), pixels = frame.image_size, frame.image_pixels_float
    pixels, height = with_strip(pixels, width, height, poster.states)
    preview.image_size = (width, height)
    preview.image_pixels_float = pixels


def register():
    global _previews, _folder
    _previews = bpy.utils.previews.new()
    _folder = tempfile.TemporaryDirectory(prefix="brender-", dir=bpy.app.tempdir or None)


def unregister():
    global _previews, _folder
    bpy.utils.previews.remove(_previews)
    _folder.cleanup()
    _posters.clear()
    _shown.clear()
    _previews = _folder = None

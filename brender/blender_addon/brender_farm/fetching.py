"""How finished frames come to this machine, as they arrive. No bpy here: it runs in a thread beside Blender."""

import os
import re
from urllib.parse import urlencode

from .client import FarmError, unlike

_ENDED = ("completed", "failed", "canceled")
#: The bytes of a job's name in that of a slot, which Blender cuts at 63 with the job's short id and the frame after it.
_IN_SLOT = 40
#: The bytes of a job's name in that of its folder, which file systems refuse from 256 on.
_IN_FOLDER = 200


class Arriving:
    """The frames of the job *id*: used in the folder that it was given for them where this machine sees that, or else fetched
    into a folder in *folder*. Of a job with several view layers or views, those of the first.

    ``frames`` are the paths of those that are here, by their numbers; ``wanted`` all its numbers, and ``is_ended`` whether no
    more will come."""

    def __init__(self, id, folder):
        self.id = id
        self.name = ""
        self.frames = {}
        self.wanted = []
        self.is_ended = False
        self._folder = folder
        self._since = -1
        self._parts = {}
        self._made_by = {}

    def look(self, farm, say):
        """Fetch what is finished and not here; return how many frames that were. Raises `FarmError`."""
        return len(self._fetch(farm, say, self._is_fresh))

    def look_for(self, farm, say, frame):
        """Fetch the *frame* alone, or the only one that the job has; return its number and its path. Raises `FarmError`, also
        where it is not finished."""

        def is_asked_for(part):
            return part["frame"] == frame or len(self.wanted) == 1

        if not self._fetch(farm, say, is_asked_for):
            raise FarmError(f"Frame {frame} of {self.name} is not there: {self._what_is_there()}")
        return next(iter(self.frames.items()))

    def _fetch(self, farm, say, is_asked_for):
        farm.stopped_words = "Stopped: not all frames are here"
        try:
            job = farm.ask(f"/jobs/{self.id}")
            self._ask_parts(farm)
            shown = self._shown()
            self.name, self.wanted = job["name"], sorted({each["frame"] for each in shown})
            asked = [each for each in shown if _is_finished(each) and is_asked_for(each)]
            for number, each in enumerate(asked, 1):
                say(f"Fetching frames: {number} of {len(asked)}")
                self.frames[each["frame"]] = self._brought(farm, job, each)
                self._made_by[each["frame"]] = each["attempt"]
            self.is_ended = job["status"] in _ENDED
        except (KeyError, TypeError) as error:
            raise unlike(farm, error) from error
        return asked

    def _what_is_there(self):
        finished = sorted({each["frame"] for each in self._shown() if _is_finished(each)})
        return f"of its frames {finished[0]} to {finished[-1]} are finished" if finished else "none of its frames is finished"

    @property
    def paths(self):
        return [self.frames[number] for number in sorted(self.frames)]

    def _ask_parts(self, farm):
        """(They come in pages, by the commit that changed each last.)"""
        while True:
            page = farm.ask(f"/jobs/{self.id}/parts?{urlencode({'since': self._since})}")
            if not page:
                return
            self._parts.update({each["id"]: each for each in page})
            self._since = max(each["change"] for each in page)

    def _shown(self):
        parts = [self._parts[id] for id in sorted(self._parts)]
        if not parts:
            return []
        first = min(parts, key=lambda each: each["piece"])
        kind = ("piece", "layer", "view")
        return [each for each in parts if all(each[name] == first[name] for name in kind)]

    def _is_fresh(self, part):
        return self._made_by.get(part["frame"]) != part["attempt"]

    def _brought(self, farm, job, part):
        if os.path.isabs(job["output"]) and not _is_farms_own(job):
            there = os.path.join(job["output"], part["output"])
            if os.path.isfile(there):
                return there
        pieces = [safe_name(piece) for piece in part["output"].split("/") if piece not in ("", ".", "..")]
        target = os.path.join(self._folder, folder_of(job["name"], self.id), *pieces)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except OSError as error:
            raise FarmError(f"{os.path.dirname(target)} cannot be made: {error.strerror or error}") from error
        farm.download(f"/jobs/{self.id}/frames/{part['id']}", target, lambda done, whole: None)
        return target


def _is_finished(part):
    return part["status"] == "completed" and bool(part["output"])


def _is_farms_own(job):
    """Return whether the farm keeps the frames of *job* itself, in a folder that it deletes some day."""
    return os.path.basename(os.path.normpath(job["output"])) == job["id"]


def held(frames, wanted):
    """Return for each number from the first of *wanted* to the last the path of its frame: where that is not here, of the one
    before it that is, or else of the first.

    >>> held({2: "b", 4: "d"}, [1, 2, 3, 4, 5])
    ['b', 'b', 'b', 'd', 'd']
    """
    path = frames[min(frames)]
    found = []
    for number in range(wanted[0], wanted[-1] + 1):
        path = frames.get(number, path)
        found.append(path)
    return found


def cut(text, most):
    """Return *text* as far as it has *most* bytes in UTF-8, in whole letters.

    >>> cut("größe", 4), cut("größe", 3)
    ('grö', 'gr')
    """
    return text.encode(errors="ignore")[:most].decode(errors="ignore")


def slot_key(name, id):
    """Return how the slots of the Render Result are called that have frames of the job *name*, as far as their numbers."""
    return f"{cut(name, _IN_SLOT)} {id[:6]}"


def folder_of(name, id):
    """Return how the folder with the frames of the job *name* is called."""
    return safe_name(f"{cut(name, _IN_FOLDER)}-{id[:6]}")


def safe_name(name):
    """Return *name* as a file may be called everywhere."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(". ") or "frames"


def folder_names(names):
    """Return for each of *names* that of a folder, which differs from the others on every platform.

    >>> folder_names(["Fog/far", "Fog_far", "fog_FAR"])
    ['Fog_far', 'Fog_far 2', 'fog_FAR 3']
    """
    found, taken = [], set()
    for each in map(safe_name, names):
        number, name = 1, each
        while name.lower() in taken:
            number += 1
            name = f"{each} {number}"
        taken.add(name.lower())
        found.append(name)
    return found

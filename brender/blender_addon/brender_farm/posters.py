"""What the panel shows of each job in one small picture: a finished frame, and below it the states of all frames. No bpy here:
it is asked for in a thread beside Blender."""

import os

from .client import FarmError

#: The colors of the states of frames (red, green, blue), as the farm names them by a letter.
COLORS = {
    "q": (0.25, 0.25, 0.25),
    "a": (0.2, 0.5, 1.0),
    "c": (0.2, 0.7, 0.3),
    "w": (0.9, 0.7, 0.1),
    "d": (0.2, 0.7, 0.3),
    "f": (0.9, 0.2, 0.2),
    "x": (0.4, 0.4, 0.4),
}
_WITH_PICTURE = "cw"
#: So often a picture is asked for again that is not there (yet).
_TRIES_MOST = 12
#: How high the strip is, and the gap above it, as parts of the picture's width.
_STRIP, _GAP = 0.08, 0.03


class Poster:
    """The picture of one job: ``path`` is a finished frame ("": none is there yet), ``states`` a letter a frame."""

    def __init__(self):
        self.path = ""
        self.states = ""
        self._part = None
        self._known = None
        self._tries = 0

    def look(self, farm, job, folder):
        """Ask *farm* for what changed of *job*, one of its list; the frame goes to *folder*. Raises `FarmError`."""
        now = (job["status"], job["units_done"])
        if now == self._known:
            return
        told = farm.ask(f"/jobs/{job['id']}/strip?since=-1")
        ids = [first + step * each for first, step, count in told["ids"] for each in range(count)]
        self.states = told["states"]
        finished = [id for id, letter in zip(ids, self.states, strict=False) if letter in _WITH_PICTURE]
        part = finished[len(finished) // 2] if finished else None
        if part is not None and (self._part is None or job["status"] == "completed") and part != self._part:
            target = os.path.join(folder, f"{job['id']}-{part}.jpg")
            try:
                farm.download(f"/jobs/{job['id']}/thumbnails/{part}", target, lambda done, whole: None)
                self.path, self._part = target, part
            except FarmError as error:
                if error.code != "404":  # (a frame without a picture, or one whose picture is still on its way)
                    raise
                self._tries += 1
                if self._tries < _TRIES_MOST:
                    return
        self._known, self._tries = now, 0


def with_strip(pixels, width, height, states):
    """Return the *pixels* (four numbers each, the lowest row first) of a picture with the strip of *states* below it, and its new
    height."""
    strip, gap = max(2, round(width * _STRIP)), max(1, round(width * _GAP))
    row = []
    for column in range(width):
        row += [*COLORS.get(states[column * len(states) // width], COLORS["q"]), 1.0]
    return row * strip + [0.0] * (4 * width * gap) + list(pixels), height + strip + gap

"""The picture of the frame that was finished last, in a terminal that can show it (``--pictures``)."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brender.commands.screen import Screen
from brender.commands.terminal_probe import cell_size, probe
from brender.commands.terminal_protocols import Protocol
from brender.store.datafolder import DataFolder

#: What is said where there is no way to show one.
CANNOT = (
    "This terminal shows no pictures, so --pictures is left out: it knows none of the protocols of kitty, iTerm2 and sixel. "
    "The frames are on the job's page"
)
#: Seconds between two pictures, and that the last one is waited for: it is made beside the rendering.
_PACE_SECONDS, _LAST_SECONDS = 1.0, 1.5


class LatestPicture:
    """Shows thumbnails that lie in the data folder *folder*."""

    def __init__(self, protocol: Protocol, folder: DataFolder) -> None:
        self._protocol, self._folder = protocol, folder
        self._shown: Path | None = None
        self._when = float("-inf")

    @classmethod
    def wanted(cls, wanted: bool, screen: Screen, folder: DataFolder) -> "LatestPicture | None":
        """Return one, where it is *wanted* and the terminal can show it; else say why not. Before anything is drawn."""
        if not wanted:
            return None
        protocol = probe() if screen.is_live else None
        if protocol is None:
            screen.say(CANNOT, error=True)
        elif not folder.local_key.exists() and folder.root.exists():
            screen.say("--pictures is left out: the pictures are on the server's machine, on the job's page", error=True)
        else:
            return cls(protocol, folder)
        return None

    def look(self, screen: Screen, part: Mapping[str, Any] | None, at_once: bool) -> None:
        """Show the picture of *part*, if there is one that was not shown yet. *at_once*: it is the last one."""
        if part is None or not part["attempt"]:
            return
        path = self._folder.thumbnail(part["attempt"], part["id"])
        if path == self._shown or (not at_once and time.monotonic() - self._when < _PACE_SECONDS):
            return
        deadline = time.monotonic() + (_LAST_SECONDS if at_once else 0.0)
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        most = screen.room_for_picture
        if not most[1] or (pixels := _pixels(path)) is None:
            return
        from brender.commands.terminal_graphics import encode

        self._shown, self._when = path, time.monotonic()
        screen.picture(encode(self._protocol, path.read_bytes(), pixels, most, cell_size()))


def _pixels(path: Path) -> Any:
    """Return the picture at *path*, height by width by three bytes; ``None`` if it is not there yet, or does not decode."""
    if not path.exists():
        return None
    import numpy  # here: most commands show no pictures, and importing these takes longer than the commands do
    import OpenImageIO as oiio

    picture = oiio.ImageBuf(str(path))
    pixels = picture.get_pixels(oiio.UINT8) if picture.read(0, 0, True) else None
    if pixels is None:
        return None
    found = numpy.asarray(pixels)
    return found[..., :3] if found.shape[2] >= 3 else numpy.repeat(found[..., :1], 3, axis=2)

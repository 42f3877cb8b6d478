"""Small pictures of finished frames, made beside the rendering: no frame waits for them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from brender.engines.pictures import write_thumbnail

#: So many may wait to be made; further ones are left out.
_MOST_WAITING = 16
log = logging.getLogger("brender.worker")


class Thumbnails:
    """Makes them one after another in a thread of its own. A farm without them still renders: what fails is logged."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, "thumbnails")
        self._room = threading.BoundedSemaphore(_MOST_WAITING)

    def make(self, image: Any, path: Path, made: Callable[[Path], None]) -> None:
        """Write a small JPEG of the decoded *image* to *path* soon, and tell *made* of it then."""
        if self._room.acquire(blocking=False):
            self._maker.submit(self._make, image, path, made)

    def close(self) -> None:
        """Make what waits, and no more."""
        self._maker.shutdown()

    def _make(self, image: Any, path: Path, made: Callable[[Path], None]) -> None:
        try:
            write_thumbnail(image, path)
            made(path)
        except Exception:
            log.exception("no thumbnail %s", path)
        finally:
            self._room.release()

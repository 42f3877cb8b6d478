"""Small pictures of finished frames, made beside the rendering: no frame waits for them."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: So many may wait to be made; further ones are left out.
_MOST_WAITING = 16
_JPEG = b"\xff\xd8\xff"
log = logging.getLogger("brender.worker")


class Thumbnails:
    """Writes them one after another in a thread of its own. A farm without them still renders: what fails is logged."""

    def __init__(self) -> None:
        self._maker = ThreadPoolExecutor(1, "thumbnails")
        self._room = threading.BoundedSemaphore(_MOST_WAITING)

    def make(self, small: Callable[[], bytes | None], path: Path, made: Callable[[Path], None]) -> None:
        """Write what *small* gives, a JPEG, to *path* soon, and tell *made* of it then; nothing where it gives ``None``."""
        if self._room.acquire(blocking=False):
            self._maker.submit(self._make, small, path, made)

    def close(self) -> None:
        """Make what waits, and no more."""
        self._maker.shutdown()

    def _make(self, small: Callable[[], bytes | None], path: Path, made: Callable[[Path], None]) -> None:
        try:
            content = small()
            if content is not None and content.startswith(_JPEG):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                made(path)
        except Exception:
            log.exception("no thumbnail %s", path)
        finally:
            self._room.release()

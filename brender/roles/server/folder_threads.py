"""Work on folders that may not answer, such as those of a network drive.

Each folder has a thread of its own while there is work on it, so that one that hangs stops nothing but itself. What hangs is
never given up: its thread goes on when the drive answers again, in the same order. Nothing here waits for a folder.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger("brender.files")

#: Seconds without progress after which a folder counts as silent.
PATIENCE_SECONDS = 5.0

Alive = Callable[[], None]
"""Called by an action between its steps, to tell that it makes progress."""
Action = Callable[[Alive], object]


class FolderThreads:
    """Does actions on folders: those on one folder in their order, those on different folders at once.

    A folder is any name; actions with the same name wait for each other. ``patience`` in seconds.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Action]] = {}
        """By folder, what is to be done after the present action; only folders that have a thread, or are to get one."""
        self._moved: dict[str, float] = {}
        """By folder, when the present action last made progress."""
        self._threadless: set[str] = set()

    def do(self, folder: str, action: Action) -> None:
        """Do *action* after what was asked of *folder* before. Returns at once. From any thread."""
        with self._changed:
            if folder in self._waiting:
                self._waiting[folder].append(action)
                return
            self._waiting[folder] = deque([action])
        self._start(folder)

    def silent(self) -> set[str]:
        """Return the folders whose present action has made no progress for ``patience`` seconds."""
        now = self._clock()
        with self._changed:
            threadless, self._threadless = self._threadless, set()
            found = {folder for folder, moved in self._moved.items() if now - moved > self._patience}
        for folder in threadless:
            self._start(folder)
        return found

    def close(self, seconds: float) -> bool:
        """Wait until everything is done, at most *seconds*; returns whether it is. The process may end with what is not."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def _start(self, folder: str) -> None:
        try:
            # A thread that waits for a drive must not keep the process from ending.
            threading.Thread(target=self._run, args=(folder,), name="brender-folder", daemon=True).start()
        except RuntimeError as error:
            log.error("there is no thread for %s now: %s", folder, error)
            with self._changed:
                self._threadless.add(folder)

    def _run(self, folder: str) -> None:
        def alive() -> None:
            self._moved[folder] = self._clock()

        while True:
            with self._changed:
                if not self._waiting[folder]:
                    del self._waiting[folder]
                    self._moved.pop(folder, None)
                    self._changed.notify_all()
                    return
                action = self._waiting[folder].popleft()
                alive()
            try:
                action(alive)
            except Exception:
                log.exception("what was to be done in %s went wrong", folder)

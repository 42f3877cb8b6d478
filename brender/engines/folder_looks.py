"""Looks at a job's folders, which may lie on a drive that does not answer: each in a thread of its own, with a time limit.

A thread that waits for a drive cannot be ended. So at most one look at a folder is under way, and while it is, everybody else
learns at once that the folder does not answer.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from brender.engines.disk_space import no_answer, shortage

#: Seconds that a folder has to answer before an attempt begins.
PATIENCE_SECONDS = 10.0


class _Look:
    """One look, begun at *began*. ``problem`` says what it found, once ``done`` is set."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.done = threading.Event()
        self.problem = ""


class FolderLooks:
    """Looks at folders, from any thread. *look* does it: it is given a folder and the bytes that are to be free there, and
    returns what the problem is as a sentence, "" for none; it may wait for ever."""

    def __init__(
        self,
        patience: float = PATIENCE_SECONDS,
        look: Callable[[Path, int], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience = patience
        self._look = look or (lambda folder, least: shortage([folder], least))
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[tuple[Path, int], _Look] = {}

    def problem(self, folders: Iterable[Path], least: int) -> str:
        """Return what is wrong with the first of *folders* that has not *least* bytes free or does not answer, as a sentence; ""
        for none. Waits for at most ``patience`` seconds for each, and not for one that has been silent for so long already."""
        for folder in folders:
            look = self.begin(folder, least)
            if not look.done.wait(max(0.0, look.began + self.patience - self._clock())):
                return no_answer(folder)
            if look.problem:
                return look.problem
        return ""

    def begin(self, folder: Path, least: int = 0) -> _Look:
        """Look at *folder*, unless a look is under way; does not wait."""
        with self._lock:
            look = self._under_way.get((folder, least))
            if look is None:
                look = self._under_way[folder, least] = _Look(self._clock())
                thread = threading.Thread(target=self._do, args=(folder, least, look), name="brender-folder-look", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads: nothing is known, and it is tried again
                    del self._under_way[folder, least]
                    look.done.set()
            return look

    def silent_for(self, folder: Path) -> float:
        """Return the seconds that the look at *folder* which is under way has lasted; 0 if nobody looks at it."""
        with self._lock:
            began = [look.began for (path, _), look in self._under_way.items() if path == folder]
        return self._clock() - min(began) if began else 0.0

    def _do(self, folder: Path, least: int, look: _Look) -> None:
        try:
            look.problem = self._look(folder, least)
        except Exception as error:
            look.problem = f"The folder {folder} cannot be looked at: {error}"
        finally:
            with self._lock:
                del self._under_way[folder, least]
            look.done.set()

"""What attempts would leave in folders of jobs, should the worker be killed or the folders be out of reach: noted before it is
made, removed later.

The notes lie where no render can write, and what they name is reached without following links.
"""

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

from brender.engines.directories import Directory
from brender.engines.disk_space import FORBIDDEN, NO_ANSWER

TEMPORARY = "temporary"
#: A file that holds a frame's name while it is empty, and is the frame afterwards.
PLACEHOLDER = "placeholder"
_FOLDER = "leftovers"
#: Where notes are kept whose attempts are over, until all that they name is removed.
_LEFT = "leftovers.left"
_KEPT_SECONDS = 7 * 86400.0
_AGAIN_SECONDS = 60.0
_DRIVE_SECONDS = 10.0
#: Who removes what was left in a folder, and waits for its drive.
_looking: dict[Path, threading.Thread] = {}
#: Held while notes are moved into a folder of their own, and while empty ones of these go.
_moving = threading.Lock()


class Leftovers:
    """The notes of one *attempt* of the worker in *folder*."""

    def __init__(self, folder: Path, attempt: str) -> None:
        self._folder, self._file = folder, folder / _FOLDER / attempt

    def note(self, kind: str, root: Path, relative: str) -> None:
        """Note that the file *relative* below *root* may be left behind. Raises `OSError`."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(b"".join(os.fsencode(word) + b"\0" for word in (kind, root, relative)))

    def end(self, is_clean: bool) -> None:
        """The attempt is over. *is_clean*: it removed all that it does not leave; else `clear` looks for that."""
        with contextlib.suppress(OSError), _moving:
            if is_clean or not self._file.exists():
                self._file.unlink(missing_ok=True)
            else:
                kept = self._folder / _LEFT / f"{time.time_ns():x}"
                kept.mkdir(parents=True)
                self._file.rename(kept / self._file.name)


class Clearing:
    """A thread that removes what attempts of the worker in *folder* left: after an attempt that ended badly (`look`), and now
    and then as long as something cannot be removed. A thread, for what was left may lie on a drive that does not answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._woken = threading.Event()
        self._woken.set()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="brender-leftovers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Look soon. May be called from any thread."""
        self._woken.set()

    def close(self, seconds: float) -> None:
        """Look once more, and end; wait for that, at most *seconds*."""
        self._is_over = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._woken.wait(_AGAIN_SECONDS)
            is_over = self._is_over
            self._woken.clear()
            if (self._folder / _LEFT).exists():
                clear(self._folder)
            if is_over:
                return


def set_aside(folder: Path) -> None:
    """Move the notes of an earlier process of the worker in *folder* out of the way of new ones. Raises `OSError`."""
    notes = folder / _FOLDER
    if notes.is_dir():
        (folder / _LEFT).mkdir(exist_ok=True)
        notes.rename(folder / _LEFT / f"{time.time_ns():x}")


def clear(folder: Path, patience: float = _DRIVE_SECONDS) -> None:
    """Remove what is in the notes that were set aside. What cannot be removed stays. Waits for the folders of jobs, for each so
    many seconds of *patience*: a drive that does not answer keeps nothing of other drives.

    Notes of a folder that is out of reach are kept for a week, and looked at again.
    """
    left: dict[Path, list[tuple[Path, str, str]]] = {}
    files = list((folder / _LEFT).glob("*/*"))
    for file in files:
        for kind, root, relative in _noted(file):
            left.setdefault(root, []).append((file, kind, relative))
    unsettled: set[Path] = set()
    for root, noted in left.items():
        unsettled |= _clear_root(root, noted, patience)
    for file in files:
        with contextlib.suppress(OSError):
            if file not in unsettled or time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                file.unlink()
    with _moving:
        for notes in (*(folder / _LEFT).glob("*"), folder / _LEFT):
            with contextlib.suppress(OSError):
                notes.rmdir()  # unless some are kept


def _clear_root(root: Path, noted: list[tuple[Path, str, str]], patience: float) -> set[Path]:
    """Remove what is *noted* below *root*: (the file of the note, its kind, and where). Return the notes that are not settled:
    all of them where the folder does not answer, or has not answered an earlier look yet."""
    unsettled = {file for file, _, _ in noted}

    def remove() -> None:
        done = [(file, _remove(kind, root, relative)) for file, kind, relative in noted]
        unsettled.intersection_update({file for file, is_settled in done if not is_settled})

    waits = _looking.get(root)
    if waits is None or not waits.is_alive():
        waits = _looking[root] = threading.Thread(target=remove, name="brender-leftovers-of-a-folder", daemon=True)
        waits.start()
    waits.join(patience)
    if waits.is_alive():
        return {file for file, _, _ in noted}
    del _looking[root]
    return unsettled


def _remove(kind: str, root: Path, relative: str) -> bool:
    """Remove what an attempt left; return whether that is settled: ``False`` where its folder is out of reach for now."""
    if not os.path.isdir(root):  # noqa: PTH112 (Path.is_dir raises where it may not look)
        return False
    try:
        with Directory.open(root, PurePath(relative).parent) as directory:
            name = PurePath(relative).name
            if kind == PLACEHOLDER:
                directory.remove_empty(name)
            elif (found := directory.stat(name)) is not None and stat.S_ISREG(found.st_mode):
                directory.remove(name)
    except FileNotFoundError:
        return False  # its folder: of a drive that is not there now, perhaps
    except OSError as error:
        return error.errno not in FORBIDDEN | NO_ANSWER
    return True


def _noted(file: Path) -> Iterator[tuple[str, Path, str]]:
    with contextlib.suppress(OSError):
        # (What a power cut left of the last word has no end.)
        words = [os.fsdecode(word) for word in file.read_bytes().split(b"\0")[:-1]]
        for kind, root, relative in zip(words[::3], words[1::3], words[2::3], strict=False):
            yield kind, Path(root), relative

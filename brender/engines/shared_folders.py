"""Whether machines see the same bytes in a folder that they share: one lays a file there, the others say what they see."""

import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

#: A file that another machine made may take so long to show (NFS keeps what it knows of a folder for some seconds).
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_BYTES = 4096


@dataclass(frozen=True)
class FolderLook:
    """The file's SHA-256, or what the problem is; and whether the folder may be written to."""

    digest: str = ""
    writable: bool = False
    problem: str = ""


def proof_file(folder: Path, proof: str) -> Path:
    """Return the file in *folder* for *proof*, 32 hexadecimal digits."""
    return folder / f".brender-check-{proof}"


def look(folder: Path, proof: str, patience: float = _PATIENCE_SECONDS) -> FolderLook:
    """Return what there is in *folder* of the file for *proof*; waits for it for up to *patience* seconds."""
    deadline = time.monotonic() + patience
    writable = os.access(folder, os.W_OK | os.X_OK)
    while True:
        try:
            with proof_file(folder, proof).open("rb") as file:
                return FolderLook(hashlib.sha256(file.read(_BYTES)).hexdigest(), writable)
        except FileNotFoundError:
            if problem := _why_not_there(folder):
                return FolderLook(problem=problem)
            if time.monotonic() > deadline:
                return FolderLook(writable=writable, problem=f"the file is not in {folder}: it is another folder there")
        except OSError as error:
            return FolderLook(writable=writable, problem=f"{folder}: {error.strerror}")
        time.sleep(_LOOK_SECONDS)


def _why_not_there(folder: Path) -> str:
    """Return why *folder* is not a folder of this machine, or "" if it is one."""
    try:
        return "" if stat.S_ISDIR(folder.stat().st_mode) else f"{folder} is not a folder"
    except FileNotFoundError:
        return f"there is no folder {folder}"
    except OSError as error:
        return f"{folder}: {error.strerror}"

"""Files and folders that are their owner's alone: by their mode, and on Windows by their list of who may do what."""

import getpass
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

#: Whether who may read a file stands in a list of Windows.
_BY_LIST = sys.platform == "win32"
#: Whom a list may name besides the owner: the system, administrators, and what stands for an owner.
_TRUSTED = frozenset({"SY", "BA", "LA", "OW", "CO", "S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"})
#: An entry that allows something, in the language that Microsoft calls SDDL: its kind, flags, rights, two more, and for whom.
_ENTRY = re.compile(r"\((A|XA|OA);[^;)]*;[^;)]*;[^;)]*;[^;)]*;([^;)]+)[^)]*\)")


def create(path: Path) -> int:
    """Create the file *path*, which must not be there, for its owner alone from its first byte; returns its descriptor, open for
    writing. Raises `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    if _BY_LIST:
        try:
            _own(path, "F")
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
    return descriptor


def make_folder(path: Path) -> None:
    """Create the folder *path*, if it is not there, for its owner alone, and what is missing above it. Raises `OSError`."""
    if path.is_dir():
        return
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _BY_LIST:
        _own(path, "(OI)(CI)F")  # and all that will be in it


def mend_advice(path: Path) -> str | None:
    """Return the command that makes the file *path* its owner's alone; ``None`` where it is. Raises `OSError`."""
    if _BY_LIST:
        advice = f'icacls "{path}" /inheritance:r /grant:r {getpass.getuser()}:F'
        return advice if others_in(_listed(path), _own_id()) else None
    return f"chmod 600 {path}" if path.stat().st_mode & 0o077 else None


def others_in(description: str, owner: str) -> set[str]:
    """Return whom the *description* of a file (SDDL) allows something who is neither *owner* nor trusted anyway; everybody, as
    "WD", where it has no list."""
    start = description.find("D:")
    if start < 0 or "NO_ACCESS_CONTROL" in description:
        return {"WD"}
    return {who for _, who in _ENTRY.findall(description[start:])} - _TRUSTED - {owner}


def _own(path: Path, rights: str) -> None:
    _run(["icacls", str(path), "/inheritance:r", "/grant:r", f"*{_own_id()}:{rights}"])


def _own_id() -> str:
    """Return the identifier of the user of this process, such as S-1-5-21-1-2-3-1001."""
    said = _run(["whoami", "/user", "/fo", "csv", "/nh"])
    found = re.search(r'"(S-[0-9-]+)"\s*$', said)
    if found is None:
        raise OSError(0, f"whoami says {said.strip()!r}")
    return found.group(1)


def _listed(path: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "list"
        _run(["icacls", str(path), "/save", str(saved)])
        return saved.read_text("utf-16-le")


def _run(command: list[str]) -> str:
    # Not by its name alone, for which Windows looks in the working folder first.
    command = [str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", f"{command[0]}.exe")), *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise OSError(0, f"{command[0]}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout

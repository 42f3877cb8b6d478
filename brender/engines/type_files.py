"""The job types that a farm adds by Python files in a folder.

No file is loaded into this process. A process of its own, with little time and memory, says what a file declares, and which job
it makes of settings (brender/engines/type_child.py). What raises there, never ends, or makes too much becomes a sentence.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brender.engines.environment import clean_environment
from brender.jobs.authoring import as_setting
from brender.jobs.declare import JobType, Setting, job_types
from brender.jobs.declare import problems as problems_of_installed
from brender.jobs.no_blend import has_blend
from brender.model.errors import BadInput

#: Seconds that a file may take to answer, and bytes of an answer.
_SECONDS, _ANSWER_MOST = 20.0, 16_000_000
_FILES_MOST = 200

_lock = threading.Lock()
_known: dict[Path, tuple[tuple[int, int], "TypeFile | str"]] = {}
"""The declaration in each file, with the file's time of change and size then: it is asked again when it changes."""


@dataclass(frozen=True)
class TypeFile:
    """The job type that the Python *file* declares. ``engine`` is what runs its tasks; ``base`` is the type of brender's own that
    its jobs have ("": they are steps)."""

    file: Path
    name: str
    label: str
    engine: str
    settings: tuple[Setting, ...]
    base: str = ""

    def compile(self, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the job type and the settings of the job that it makes of the settings *given*. Raises `BadInput`."""
        try:
            answer = _asked(self.file, {"do": "compile", "settings": dict(given)})
        except _Refused as error:
            raise BadInput(str(error)) from error
        except _Broken as error:
            raise BadInput(f"The job type {self.name!r} ({self.file}) failed: {error}") from error
        return str(answer["job_type"]), dict(answer["settings"])


class _Broken(Exception):
    """Why a file cannot be used."""


class _Refused(_Broken):
    """A sentence of the file, or of the check of its settings, for the submitter."""


def needs_file(kind: JobType | TypeFile) -> bool:
    """Return whether jobs of *kind* have a .blend."""
    base = job_types()[kind.base] if isinstance(kind, TypeFile) and kind.base else kind
    return has_blend(base.settings)


def type_files(folder: Path) -> tuple[dict[str, TypeFile], dict[Path, str]]:
    """Return the job types that the Python files in *folder* declare, by name; and, by file, why others cannot be used."""
    found: dict[str, TypeFile] = {}
    problems: dict[Path, str] = {}
    try:
        files = sorted(each for each in folder.glob("*.py") if not each.name.startswith(("_", ".")))
    except OSError as error:
        return {}, {folder: str(error.strerror)}
    if len(files) > _FILES_MOST:
        problems[folder] = f"It has {len(files):,} Python files; the first {_FILES_MOST} are looked at"
    for file in files[:_FILES_MOST]:
        declared = _declared(file)
        if isinstance(declared, str):
            problems[file] = declared
        elif declared.name in job_types():
            problems[file] = f"brender has a job type {declared.name!r} already: give this one another name"
        elif declared.name in found:
            problems[file] = (
                f"{found[declared.name].file.name} declares the job type {declared.name!r} too: give one another name"
            )
        else:
            found[declared.name] = declared
    return found, problems


def own_type(folder: Path, name: str) -> TypeFile | None:
    """Return the job type *name* of the Python files in *folder*, or ``None`` if none declares it. Raises `BadInput` with the
    reason where the file of that name, or an installed job type of that name, cannot be used."""
    found, broken = type_files(folder)
    if name in found:
        return found[name]
    # (A file is often named as Python names modules: contact_sheet.py declares contact-sheet.)
    called = name.replace("-", "_")
    said = [_said_of_file(file, reason) for file, reason in broken.items() if file.stem.replace("-", "_") == called]
    said += [_said_of_installed(name, reason) for each, reason in problems_of_installed().items() if each == name]
    if said:
        raise BadInput(said[0])
    return None


def all_problems(folder: Path) -> list[str]:
    """Return a sentence for each job type that others wrote and that cannot be used: of files in *folder*, and installed ones."""
    _, broken = type_files(folder)
    said = [_said_of_file(file, reason) for file, reason in broken.items()]
    return said + [_said_of_installed(name, reason) for name, reason in problems_of_installed().items()]


def _said_of_file(file: Path, reason: str) -> str:
    return f"The job type in {file} cannot be used: {reason}"


def _said_of_installed(name: str, reason: str) -> str:
    return f"The installed job type {name!r} cannot be used: {reason}"


def _declared(file: Path) -> "TypeFile | str":
    """Return what *file* declares, or why it cannot be used."""
    try:
        status = file.stat()
    except OSError as error:
        return str(error.strerror)
    mark = status.st_mtime_ns, status.st_size
    with _lock:
        known = _known.get(file)
    if known is not None and known[0] == mark:
        return known[1]
    found: TypeFile | str
    try:
        plain = _asked(file, {"do": "describe"})
        settings = tuple(map(as_setting, plain["settings"]))
        engine = job_types()[plain["base"]].engine if plain["base"] else "command"
        found = TypeFile(file, plain["name"], plain["label"] or plain["name"], engine, settings, plain["base"])
    except (_Broken, BadInput) as error:
        found = str(error)
    except (KeyError, TypeError, ValueError) as error:
        found = f"its declaration cannot be read: {type(error).__name__}: {error}"
    with _lock:
        _known[file] = mark, found
    return found


def _asked(file: Path, question: dict[str, Any]) -> dict[str, Any]:
    """Return what *file* answers to *question*, asked in a process of its own. Raises `_Broken`."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}; from brender.engines import type_child"]
    question = {**question, "file": str(file)}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=_SECONDS,
            env=clean_environment({}),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Broken(f"it did not end within {_SECONDS:.0f} seconds") from None
    except OSError as error:
        raise _Broken(f"it cannot be asked: {error.strerror}") from error
    if len(done.stdout) > _ANSWER_MOST:
        raise _Broken(f"the job that it makes has more than {_ANSWER_MOST // 1_000_000} MB of text")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        if done.returncode < 0:
            raise _Broken("it was ended, as it took more time or memory than it may have") from None
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise _Broken(f"it ended without an answer{f': {last[:300]}' if last else ''}") from None
    if "refused" in answer:
        raise _Refused(str(answer["refused"]))
    if "error" in answer:
        raise _Broken(str(answer["error"]))
    return answer

"""The process that loads a farm's own job type from its file, answers one question about it, and ends (type_files.py).

The question is JSON on standard input, the answer JSON on standard output; what the file itself prints goes to standard error.
"""

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from brender.jobs.authoring import JobTypeFile, compiled, described
from brender.model.errors import BadInput

#: Bytes that it may hold, and seconds of processor time that it may take.
_MEMORY, _PROCESSOR_SECONDS = 2_000_000_000, 10


def main() -> None:
    """Answer the question on standard input."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    question = json.load(sys.stdin)
    file = Path(question["file"])
    _limit()
    try:
        answer = _answer(file, question)
        text = json.dumps(answer)
    except BadInput as error:
        text = json.dumps({"refused": str(error)})
    except BaseException as error:
        text = json.dumps({"error": _said(error, file)})
    answers.write(text)
    answers.flush()
    os._exit(0)  # whatever threads and handlers the file has left


def _answer(file: Path, question: dict[str, Any]) -> dict[str, Any]:
    module = ModuleType("brender_job_type")
    module.__file__ = str(file)
    code = compile(file.read_bytes(), str(file), "exec")
    exec(code, module.__dict__)  # nosec B102  (the farm's owner has put the file there, for this)
    kind: JobTypeFile | None = getattr(module, "JOB_TYPE", None)
    if kind is None:
        raise BadInput("it sets no JOB_TYPE")
    settings = described(kind)
    if question["do"] == "describe":
        return {"name": kind.name, "label": kind.label, "base": kind.base, "settings": settings}
    job_type, made = compiled(kind, file.name, question["settings"])
    return {"job_type": job_type, "settings": made}


def _said(error: BaseException, file: Path) -> str:
    """Return what went wrong, and in which line of *file*."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{file.name}, line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f"{file.name}, line {lines[-1]}: " if lines else ""
    if isinstance(error, MemoryError):
        return f"{where}it takes more memory than it may have, {_MEMORY // 1_000_000_000} GB"
    return f"{where}{type(error).__name__}: {error}"[:1000]


def _limit() -> None:
    """Let this process have little memory and time, where the platform can."""
    if sys.platform == "win32":
        return
    import resource

    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, _PROCESSOR_SECONDS)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


main()

"""Waiting for a job: a server that is away for a moment, files that are gone when it has ended, and the log of what failed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from brender.api.connection import Asking
from brender.api.finished import JobFile, finished_files
from brender.api.jobspec import folder_here
from brender.model.errors import RenderFailed
from brender.model.text import short_id

#: Seconds after which a server that has said nothing counts as silent, and for which a silent one is waited for.
SILENT_SECONDS, _PATIENCE_SECONDS = 2.0, 600.0
#: Seconds that the end of a log is waited for, and between two looks at it.
_LOG_SECONDS, _LOOK_SECONDS = 2.0, 0.05
#: The words in the last line of an attempt's log before its end.
ENDED_IN_LOG = "] ended: "
#: Names of files that a sentence has room for.
_NAMES_SHOWN = 5


class Patience:
    """How long a server that does not answer is waited for: it may be started again after a crash.

    *refusal_is_final*: one that refuses at once, where it would be silent while it is away, is not waited for. ``since``: since
    when it has not answered, on the monotonic clock; ``None``: it has."""

    def __init__(self, refusal_is_final: bool = True) -> None:
        self.since: float | None = None
        self._refusal_is_final = refusal_is_final

    def is_over(self, asked: float) -> bool:
        """Return whether a server is not to be waited for that was *asked* then, and has not answered."""
        now = time.monotonic()
        self.since = asked if self.since is None else self.since
        is_refused = self._refusal_is_final and now - asked < SILENT_SECONDS / 2
        return is_refused or now - self.since > _PATIENCE_SECONDS

    def answered(self) -> None:
        """Note that it answers."""
        self.since = None


def sees_folder(connection: Asking, record: Mapping[str, Any]) -> bool:
    """Return whether this machine sees the folder of the job of *record*; also true if the job has no folder (any more)."""
    output = record["output"]
    return output == "" or record["frames_deleted"] is not None or folder_here(output, connection.ask("paths")).is_dir()


def gone_files(connection: Asking, record: Mapping[str, Any]) -> list[JobFile]:
    """Return those finished files of the job of *record* that are not in its output folder, on this machine, any more."""
    if record["output"] == "" or record["frames_deleted"] is not None:
        return []
    folder = folder_here(record["output"], connection.ask("paths"))
    return [file for file in finished_files(connection, record["id"]) if _is_gone(folder / file.output)]


def to_requeue(gone: Sequence[JobFile]) -> str:
    """Return the frames to queue again for the files *gone*, or ``all`` if the film is among them."""
    numbers = sorted({file.frame for file in gone if file.frame is not None})
    return "all" if any(file.frame is None for file in gone) else ",".join(map(str, numbers))


def said_of_gone(record: Mapping[str, Any], gone: Sequence[JobFile]) -> str:
    """Return that the files *gone* of the job of *record* are rendered again."""
    return f"Gone from {record['output']} since they were rendered: {_named(gone)}. Rendering again, once"


def check_none_gone(connection: Asking, record: Mapping[str, Any]) -> None:
    """Raise `RenderFailed` where files of the job of *record*, which were rendered again, are gone again."""
    if gone := gone_files(connection, record):
        raise RenderFailed(
            f"These were rendered twice, and are gone from {record['output']} again: {_named(gone)}. Something removes them; "
            f"`brender requeue {short_id(record['id'])} --all` renders them once more"
        )


def log_of_failure(connection: Asking, job: str) -> tuple[str, str] | None:
    """Return the worker's name and the end of the log of the newest attempt at *job* that failed; ``None`` if none has failed.
    Raises `NotFound`."""
    failed = next((each for each in connection.ask("attempts", job=job) if each["outcome"] == "failed"), None)
    if failed is None:
        return None
    # A log's last piece arrives beside the report that the attempt failed.
    deadline, text = time.monotonic() + _LOG_SECONDS, ""
    while ENDED_IN_LOG not in text and time.monotonic() < deadline:
        text = connection.ask("log", job=job, attempt=failed["id"])["text"]
        time.sleep(_LOOK_SECONDS)
    return failed["worker_name"], text


def _is_gone(file: Any) -> bool:
    try:
        return bool(file.stat().st_size == 0)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it cannot be looked at from here


def _named(files: Sequence[JobFile]) -> str:
    shown = ", ".join(file.output for file in files[:_NAMES_SHOWN])
    return shown + (f" and {len(files) - _NAMES_SHOWN} more" if len(files) > _NAMES_SHOWN else "")

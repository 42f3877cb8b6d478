"""Waiting for a job in a terminal: how it goes meanwhile, and how it ended."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brender.api.finished import JobFile, finished_files
from brender.api.jobspec import folder_here
from brender.api.standing import check_ended_well
from brender.bus.client import Client
from brender.commands.following import ENDED, Follower
from brender.commands.latest_picture import LatestPicture
from brender.commands.screen import Screen
from brender.engines.log_end import log_end
from brender.model.answers import PAGE
from brender.model.errors import BrenderError, RenderFailed, Unreachable
from brender.model.text import short_id

_LOOK_SECONDS = 0.25
#: Seconds that an answer is waited for before it is said that the server is silent, and that a silent server is waited for.
_SILENT_SECONDS, _PATIENCE_SECONDS = 2.0, 600.0
#: Seconds that the end of a log is waited for.
_LOG_SECONDS = 2.0
_BAD = re.compile(r"(?i)\b(error|traceback|exception|fatal|failed|cannot)\b")
#: What the last line of an attempt's log has in it, before how it ended.
_ENDED = "] ended: "
#: Names of files that a sentence has room for.
_NAMES_SHOWN = 5


def wait_for(
    client: Client, job: str, screen: Screen, keep_up: Callable[[], None] = lambda: None, pictures: LatestPicture | None = None
) -> dict[str, Any]:
    """Show on *screen* how *job* goes, with *pictures* of it, until it has ended; returns its record. *keep_up* is called now and
    then."""
    asking = _Patient(client, screen, keep_up)
    began, follower = time.monotonic(), None
    while True:
        record = dict(asking.ask("job", id=job))
        follower = follower or Follower(shown_folder(record["output"]), began)
        lines = follower.look(record, asking.parts(job, follower.change), time.monotonic())
        screen.show(follower.view)
        for warning in follower.new_warnings(record):
            screen.warn(warning)
        screen.finished(lines)
        if reason := follower.new_reason():
            screen.finished([reason])
        has_ended = record["status"] in ENDED
        if pictures is not None:
            pictures.look(screen, follower.last_part, at_once=has_ended)
        if has_ended:
            return record
        keep_up()
        time.sleep(_LOOK_SECONDS)


@dataclass
class _Patient:
    """Asks *client*'s server, and waits for one that is away for a moment: started again after a crash."""

    client: Client
    screen: Screen
    keep_up: Callable[[], None]

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer. Raises `Unreachable` after ten minutes without one."""
        began, told, usual = time.monotonic(), False, self.client.timeout
        while True:
            asked, self.client.timeout = time.monotonic(), _SILENT_SECONDS
            try:
                answer = self.client.ask(question, **arguments)
            except Unreachable:
                now = time.monotonic()
                if now - asked < _SILENT_SECONDS / 2 or now - began > _PATIENCE_SECONDS:
                    raise  # it was refused, or is gone for good
                if not told:
                    self.screen.finished(["The server is silent; waiting for it. Renders go on, nothing new starts"])
                told = True
                self.screen.silent(now - began)
                self.keep_up()
            else:
                if told:
                    self.screen.say("The server answers again")
                return answer
            finally:
                self.client.timeout = usual

    def parts(self, job: str, since: int) -> Iterator[dict[str, Any]]:
        """Yield the parts of *job* that changed after the commit *since*."""
        while True:
            page = self.ask("parts", job=job, since=since, by="change")
            yield from page
            if len(page) < PAGE:
                return
            since = page[-1]["change"]


def shown_folder(output: str) -> str:
    """Return what the folder *output* is shown as, with a slash at its end: from the current folder, where it lies in that.

    >>> shown_folder("")
    ''
    """
    if not output:
        return ""
    with contextlib.suppress(ValueError, OSError):  # it lies elsewhere, or there is no current folder any more
        output = str(Path(output).relative_to(Path.cwd()))
    return "" if output == "." else output.rstrip("/") + "/"


def wait_for_frames(
    client: Client,
    job: str,
    screen: Screen,
    keep_up: Callable[[], None] = lambda: None,
    pictures: LatestPicture | None = None,
    all_here: bool = False,
) -> dict[str, Any]:
    """Wait until *job* has ended (`wait_for`), and look for its files on this machine: frames that are gone are rendered again,
    once. A folder that is not seen here is warned of, and its frames are believed; with *all_here*, where the workers are on this
    machine too, it is gone. Returns the job's record. Raises `RenderFailed` unless all is there."""
    record = wait_for(client, job, screen, keep_up, pictures)
    check_ended_well(record)
    if not all_here and not _sees_folder(client, record):
        screen.warn(f"{record['output']} is not seen on this machine, so that its files were not looked at")
        return record
    if not (gone := gone_files(client, record)):
        return record
    told = f"Gone from {record['output']} since they were rendered: {_named(gone)}. Rendering again, once"
    screen.say(told, style="yellow", error=True)
    numbers = sorted({file.frame for file in gone if file.frame is not None})
    film = any(file.frame is None for file in gone)
    client.act("requeue", job, value="all" if film else ",".join(map(str, numbers)), user=record["user"])
    record = wait_for(client, job, screen, keep_up, pictures)
    check_ended_well(record)
    if gone := gone_files(client, record):
        raise RenderFailed(
            f"These were rendered twice, and are gone from {record['output']} again: {_named(gone)}. Something removes them; "
            f"`brender requeue {short_id(job)} --all` renders them once more"
        )
    return record


def gone_files(client: Client, record: dict[str, Any]) -> list[JobFile]:
    """Return those finished files of the job of *record* that are not in its output folder, on this machine, any more."""
    if record["output"] == "" or record["frames_deleted"] is not None:
        return []
    folder = folder_here(record["output"], client.ask("paths"))
    return [file for file in finished_files(client, record["id"]) if _is_gone(folder / file.output)]


def _sees_folder(client: Client, record: dict[str, Any]) -> bool:
    output = record["output"]
    return output == "" or record["frames_deleted"] is not None or folder_here(output, client.ask("paths")).is_dir()


def _is_gone(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # it cannot be looked at from here


def _named(files: list[JobFile]) -> str:
    shown = ", ".join(file.output for file in files[:_NAMES_SHOWN])
    return shown + (f" and {len(files) - _NAMES_SHOWN} more" if len(files) > _NAMES_SHOWN else "")


def tell_log_end(client: Client, job: str, screen: Screen, is_kept: bool, told: str) -> None:
    """Print the end of the log of *job*'s last attempt that failed, to standard error, without the line that only repeats what
    is *told* of it below. *is_kept*: the farm goes on, so that `brender log` can be asked for more."""
    with contextlib.suppress(BrenderError):  # there is none: nothing was begun
        attempts = client.ask("attempts", job=job)
        failed = next((each for each in attempts if each["outcome"] == "failed"), None)
        if failed is None:
            return
        # A log's last piece arrives beside the report that the attempt failed.
        deadline = time.monotonic() + _LOG_SECONDS
        text = ""
        while _ENDED not in text and time.monotonic() < deadline:
            text = client.ask("log", job=job, attempt=failed["id"])["text"]
            time.sleep(0.05)
        lines = [line for line in log_end(text) if not (_ENDED in line and line.partition(_ENDED)[2] in told)]
        if lines:
            more = f"; `brender log {short_id(job)}` prints more" if is_kept else ""
            screen.say(f"The end of the log, on {failed['worker_name']}{more}:", error=True)
        for line in lines:
            screen.say(f"  {line}", style="red" if _BAD.search(line) else "", error=True)

"""Waiting for a job in a terminal: how it goes meanwhile, and how it ended."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brender.api.standing import check_ended_well
from brender.api.waiting import (
    ENDED_IN_LOG,
    SILENT_SECONDS,
    Patience,
    check_none_gone,
    gone_files,
    log_of_failure,
    said_of_gone,
    sees_folder,
    to_requeue,
)
from brender.bus.client import Client
from brender.commands.following import ENDED, Follower
from brender.commands.latest_picture import LatestPicture
from brender.commands.screen import Screen
from brender.engines.log_end import log_end
from brender.model.answers import PAGE
from brender.model.errors import BrenderError, Unreachable
from brender.model.symptoms import more_about
from brender.model.text import short_id

_LOOK_SECONDS = 0.25
#: Said of a server that does not answer, and may be there.
SILENT = "The server is silent; waiting for it. Renders go on, nothing new starts"
_BAD = re.compile(r"(?i)\b(error|traceback|exception|fatal|failed|cannot)\b")


def wait_for(
    client: Client,
    job: str,
    screen: Screen,
    keep_up: Callable[[], None] = lambda: None,
    pictures: LatestPicture | None = None,
    away: Callable[[Client], str | None] = lambda client: None,
) -> dict[str, Any]:
    """Show on *screen* how *job* goes, with *pictures* of it, until it has ended; returns its record. *keep_up* is called now and
    then, and *away* whenever the server does not answer: it returns why that runs no more, or ``None`` (`Place.follow`)."""
    asking = _Patient(client, screen, keep_up, away)
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
    away: Callable[[Client], str | None]

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer. Raises `Unreachable` after ten minutes without one."""
        patience, usual, told = Patience(), self.client.timeout, ""
        while True:
            asked, self.client.timeout = time.monotonic(), SILENT_SECONDS
            was_silent = patience.since is not None
            try:
                answer = self.client.ask(question, **arguments)
            except Unreachable as error:
                is_over, gone = patience.is_over(asked), self.away(self.client)
                if is_over:
                    raise Unreachable(gone or str(error)) from error
                gone = gone and ". ".join(filter(None, (gone, more_about(gone))))
                if (say := gone or SILENT) != told:
                    self.screen.finished([say])
                    told = say
                self.screen.silent(time.monotonic() - (patience.since or asked), gone or "")
                self.keep_up()
            else:
                if was_silent:
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
    away: Callable[[Client], str | None] = lambda client: None,
) -> dict[str, Any]:
    """Wait until *job* has ended (`wait_for`), and look for its files on this machine: frames that are gone are rendered again,
    once. A folder that is not seen here is warned of, and its frames are believed; with *all_here*, where the workers are on this
    machine too, it is gone. Returns the job's record. Raises `RenderFailed` unless all is there."""
    record = wait_for(client, job, screen, keep_up, pictures, away)
    check_ended_well(record)
    if not all_here and not sees_folder(client, record):
        screen.warn(f"{record['output']} is not seen on this machine, so its files were not checked")
        return record
    if not (gone := gone_files(client, record)):
        return record
    screen.say(said_of_gone(record, gone), style="yellow", error=True)
    client.act("requeue", job, value=to_requeue(gone), user=record["user"])
    record = wait_for(client, job, screen, keep_up, pictures, away)
    check_ended_well(record)
    check_none_gone(client, record)
    return record


def tell_log_end(client: Client, job: str, screen: Screen, is_kept: bool, told: str) -> None:
    """Print the end of the log of *job*'s last attempt that failed, to standard error, without the line that only repeats what
    is *told* of it below. *is_kept*: the farm goes on, so that `brender log` can be asked for more."""
    with contextlib.suppress(BrenderError):  # nothing was begun, so there is no log
        if (found := log_of_failure(client, job)) is None:
            return
        worker, text = found
        lines = [line for line in log_end(text) if not (ENDED_IN_LOG in line and line.partition(ENDED_IN_LOG)[2] in told)]
        if lines:
            more = f"; `brender log {short_id(job)}` prints more" if is_kept else ""
            screen.say(f"The end of the log, on {worker}{more}:", error=True)
        for line in lines:
            screen.say(f"  {line}", style="red" if _BAD.search(line) else "", error=True)

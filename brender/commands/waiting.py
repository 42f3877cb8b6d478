"""Waiting for a job in a terminal: a progress bar with its ETA, and how it ended."""

import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from brender.bus.client import Client
from brender.commands.output import duration
from brender.model.errors import RenderFailed, Unreachable

_LOOK_SECONDS = 0.25
#: Characters of a reason that the progress line has room for.
_REASON_CHARACTERS = 100
#: Seconds that a reason has to last before it is shown.
_LASTING_SECONDS = 2.0
_ENDED = ("completed", "failed", "canceled")


def wait_for(client: Client, job: str, keep_up: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Show the progress of *job* until it has ended; returns its record. *keep_up* is called now and then."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}"),
    )
    warned: set[str] = set()
    shown = (-1, "")
    lasting, told = _Lasting(), ""
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("rendering", total=None, eta="", unit="frames")
        while True:
            record = _look(client, job)
            for warning in record["warnings"]:
                if warning not in warned:
                    warned.add(warning)
                    console.print(f"[yellow]Warning:[/yellow] {_plain(warning)}", highlight=False)
            eta = record["eta_seconds"]
            reason = lasting.text(record["reason"] if record["status"] not in _ENDED else "")
            left = f"about {duration(eta)} left" if eta and eta >= 1 and not reason else reason[:_REASON_CHARACTERS]
            if console.is_terminal and len(reason) > _REASON_CHARACTERS and reason != told:
                told = reason
                console.print(_plain(reason), highlight=False)
            at = record["rendering"][:1]
            progress.update(
                bar,
                total=record["part_count"],
                completed=record["completed_parts"],
                description=record["status"],
                unit=_unit(record),
                eta=_plain(" · ".join(text for text in (left, at[0]["line"][:60] if at else "") if text)),
            )
            if not console.is_terminal and (record["completed_parts"], reason) != shown:
                shown = (record["completed_parts"], reason)
                console.print(
                    f"{shown[0]}/{record['part_count']} {_unit(record)}{', ' + (reason or left) if left else ''}", highlight=False
                )
            if record["status"] in _ENDED:
                return record
            keep_up()
            time.sleep(_LOOK_SECONDS)


class _Lasting:
    """Holds back the reason why a job waits until it has been the same for two seconds: workers take that long to start."""

    def __init__(self) -> None:
        self._reason, self._since = "", time.monotonic()

    def text(self, reason: str) -> str:
        """Return *reason*, which holds now, if it has lasted; "" otherwise."""
        if reason != self._reason:
            self._reason, self._since = reason, time.monotonic()
        return reason if time.monotonic() - self._since >= _LASTING_SECONDS else ""


def _look(client: Client, job: str) -> dict[str, Any]:
    """The job's record; a server that is away for a moment (started again after a crash) is waited for."""
    try:
        return dict(client.ask("job", id=job))
    except Unreachable:
        click.echo("The server does not answer; waiting for it", err=True)
        return dict(client.ask("job", id=job))


def check_ended_well(record: dict[str, Any]) -> None:
    """Raises `RenderFailed`, with the reason and what is missing, unless the job of *record* is completed."""
    if record["status"] == "completed":
        return
    missing = f"missing: {record['part_count'] - record['completed_parts']} of {record['part_count']} {_unit(record)}"
    log = f"; `brender log {record['id'][:8]}` shows the log" if record["started"] else ""
    raise RenderFailed(f"{record['reason'] or 'the job is ' + record['status']} ({missing}{log})")


def _unit(record: dict[str, Any]) -> str:
    settings = record["settings"]
    if settings.get("pieces"):
        return "pieces and picture"
    if settings.get("film"):
        return "frames and film"
    return "frame" if record["part_count"] == 1 else "frames"


def _plain(text: str) -> str:
    """*text* with what rich would take for markup escaped."""
    return text.replace("[", r"\[")

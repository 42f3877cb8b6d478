"""Waiting for a job in a terminal: a progress bar with its ETA, and how it ended."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from brender.bus.client import Client
from brender.commands.finished import JobFile, finished_files
from brender.commands.jobspec import folder_here
from brender.commands.output import duration
from brender.model.errors import RenderFailed, Unreachable

_LOOK_SECONDS = 0.25
#: Characters of a reason that the progress line has room for.
_REASON_CHARACTERS = 100
#: Seconds that a reason has to last before it is shown.
_LASTING_SECONDS = 2.0
#: Names of files that a sentence has room for.
_NAMES_SHOWN = 5
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
    """Return the job's record; a server that is away for a moment (started again after a crash) is waited for."""
    try:
        return dict(client.ask("job", id=job))
    except Unreachable:
        click.echo("The server does not answer; waiting for it", err=True)
        return dict(client.ask("job", id=job))


def wait_for_frames(client: Client, job: str, keep_up: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Wait until *job* has ended (`wait_for`), and look at its files, which are on this machine: frames that are gone are
    rendered again, once. Returns its record. Raises `RenderFailed` unless all is there."""
    record = wait_for(client, job, keep_up)
    check_ended_well(record)
    if not (gone := gone_files(client, record)):
        return record
    click.echo(f"Gone from {record['output']} since they were rendered: {_named(gone)}. Rendering again, once", err=True)
    numbers = sorted({file.frame for file in gone if file.frame is not None})
    film = any(file.frame is None for file in gone)
    client.act("requeue", job, value="all" if film else ",".join(map(str, numbers)), user=record["user"])
    record = wait_for(client, job, keep_up)
    check_ended_well(record)
    if gone := gone_files(client, record):
        raise RenderFailed(
            f"These were rendered twice, and are gone from {record['output']} again: {_named(gone)}. Something removes them; "
            f"`brender requeue {job[:8]} --all` renders them once more"
        )
    return record


def gone_files(client: Client, record: dict[str, Any]) -> list[JobFile]:
    """Return those finished files of the job of *record* that are not in its output folder, on this machine, any more."""
    if record["output"] == "" or record["frames_deleted"] is not None:
        return []
    folder = folder_here(record["output"], client.ask("paths"))
    return [file for file in finished_files(client, record["id"]) if _is_gone(folder / file.output)]


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
    """Return *text* with what rich would take for markup escaped."""
    return text.replace("[", r"\[")

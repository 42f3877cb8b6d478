"""The roles' own logs: one line an event, for people, or for programs as JSON (``--log-format json``)."""

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from brender.commands import output
from brender.model.log_events import OURS
from brender.model.text import harmless

F = TypeVar("F", bound=Callable[..., Any])
_log = logging.getLogger("brender")
#: From which of Python's levels on a line has which of the journal's.
_JOURNAL_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def log_options(function: F) -> F:
    """``--log-format``."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="BRENDER_LOG_FORMAT",
        help="The format of the role's log: lines for people, or one JSON object a line.",
    )(function)


class TextLines(logging.Formatter):
    """A line an event, whatever names in it say, and a trace below it where something failed in brender itself, which holds
    nothing that a terminal would obey either."""

    def __init__(self, to_journal: bool = False) -> None:
        """*to_journal*: a line goes to systemd's journal, which has the time by itself, and takes a level in front of each
        (sd-daemon(3))."""
        line = "%(name)s: %(message)s" if to_journal else "%(asctime)s %(levelname)s %(name)s: %(message)s"
        super().__init__(line, "%Y-%m-%d %H:%M:%S")
        self._to_journal = to_journal

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = harmless(record.message)
        level = next((level for least, level in _JOURNAL_LEVELS if record.levelno >= least), 7)
        return (f"<{level}>" if self._to_journal else "") + super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return harmless(super().formatException(ei), kept="\n")

    def formatStack(self, stack_info: str) -> str:
        return harmless(super().formatStack(stack_info), kept="\n")


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``role``, ``name``, ``event`` ("log" for other lines), ``fields``,
    ``message``, and ``trace`` where something failed in brender itself."""

    def __init__(self, role: str, name: str) -> None:
        super().__init__()
        self._who = {"role": role, "name": name} if name else {"role": role}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._who,
            "event": getattr(record, "event", "log"),
            "fields": getattr(record, "fields", {}),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(_as_json(line))


def _as_json(value: Any) -> Any:
    """Return *value* as JSON can have it: keys are text, and what JSON has no word for is text too, such as NaN."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def begin_logging(verbose: bool, log_format: str = "text", role: str = "", name: str = "") -> None:
    """Let what this process logs go to standard error, as *log_format* says. *verbose*: brender's debug too; of libraries only
    warnings in any case."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(role, name) if log_format == "json" else TextLines(_goes_to_journal()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for each in OURS:
        logging.getLogger(each).setLevel(logging.DEBUG if verbose else logging.INFO)


def _goes_to_journal() -> bool:
    """Return whether standard error is a stream of systemd's journal (``JOURNAL_STREAM``, systemd.exec(5))."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def message_of(line: str) -> str:
    """Return what a *line* of a role's log says: all of it, or its message where it is JSON."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def is_json() -> bool:
    """Return whether this process logs as JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


def say_of_role(text: str, error: bool = False) -> None:
    """Print what a role says of itself when it starts; where it logs as JSON, log it. *error*: it is why it cannot go on."""
    if is_json():
        event = "failed-to-run" if error else "started"
        _log.log(logging.ERROR if error else logging.INFO, "%s", text, extra={"event": event, "fields": {}})
    elif error:
        named = click.style("Error:", fg="red") if output.has_colors() else "Error:"
        click.echo(f"{named} {harmless(text, kept=chr(10))}", err=True)
    else:
        output.say(text)

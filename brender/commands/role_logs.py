"""The roles' own logs: one line an event, for people, or for programs as JSON (``--log-format json``)."""

import json
import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from brender.commands import output
from brender.model.text import harmless

F = TypeVar("F", bound=Callable[..., Any])
#: Whose lines are shown from INFO on; of libraries only warnings are.
_OURS = ("brender", "dashboard")
_log = logging.getLogger("brender")


def log_options(function: F) -> F:
    """``--log-format``."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        envvar="BRENDER_LOG_FORMAT",
        help="How the role's own log looks: a line for people, or one JSON object a line.",
    )(function)


class TextLines(logging.Formatter):
    """A line an event, whatever names in it say, and a trace below it where something failed in brender itself, which holds
    nothing that a terminal would obey either."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = harmless(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return harmless(super().formatException(ei), kept="\n")

    def formatStack(self, stack_info: str) -> str:
        return harmless(super().formatStack(stack_info), kept="\n")


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` (UTC), ``level``, ``role``, ``name``, ``event`` ("log" for what is none), ``fields``,
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
    handler.setFormatter(JsonLines(role, name) if log_format == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for each in _OURS:
        logging.getLogger(each).setLevel(logging.DEBUG if verbose else logging.INFO)


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

"""Times that people give on the command line, in this machine's own time zone."""

from datetime import datetime, timedelta
from typing import Any

import click

from brender.model.beginning import while_of


class Moment(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A time to come: ``18:00``, the next one, ``2026-05-01 18:00``, or ``+2h30m`` from now. It becomes one with its time zone
    (ISO 8601)."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        now = datetime.now().astimezone()
        try:
            text = str(value).strip()
            if (later := while_of(text)) is not None:
                found = now + later
            elif len(text) <= len("18:00"):
                clock = datetime.strptime(text, "%H:%M")
                found = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
                found += timedelta(days=1) if found <= now else timedelta()
            else:
                found = datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time: write one such as 18:00, 2026-05-01 18:00 or +2h30m", param, context)
        if found <= now:
            self.fail(f"{value!r} is in the past: it is {now:%Y-%m-%d %H:%M} now", param, context)
        return found.isoformat(timespec="seconds" if found.second else "minutes")

"""`brender pause-here`: give this machine back to its owner for a while."""

import time
from datetime import datetime
from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.options import common
from brender.commands.output import say
from brender.model.errors import BadInput, BrenderError
from brender.system.pause import Pause, read_pause, write_pause


@click.command("pause-here", cls=Configured, section="pause-here", short_help="Give this machine back to its owner.")
@common
@click.argument("hours", type=click.FloatRange(0, 24 * 30, min_open=True), default=4.0)
@click.option("--after-frame", is_flag=True, help="Finish the running frames first. Otherwise other workers render them.")
@click.option("--end", is_flag=True, help="End the pause now.")
def pause_here(data: Path, config: Path | None, verbose: bool, hours: float, after_frame: bool, end: bool) -> None:
    """Let the workers of this machine's data folder pause for HOURS (4, if not said). They go on by themselves. No key of the
    farm's is needed for it, and no connection."""
    if end and after_frame:
        raise BadInput("--end ends the pause, so --after-frame means nothing with it")
    before = read_pause(data, time.time())
    if not (data / "workers").is_dir():
        raise BadInput(f"No worker was ever started with the data folder {data}: give theirs with --data")
    until = time.time() + hours * 3600
    try:
        write_pause(data, None if end else Pause(until, not after_frame))
    except OSError as error:
        raise BrenderError(f"The data folder {data} cannot be written: {error.strerror}") from error
    if end:
        say("The workers here go on" if before is not None else "The workers here did not pause")
        return
    at = datetime.fromtimestamp(until)
    day = "" if at.date() == datetime.now().date() else f"{at:%Y-%m-%d} "
    now = "after what they render" if after_frame else "at once"
    say(f"The workers here pause {now}, until {day}{at:%H:%M}. `brender pause-here --end` lets them go on before")

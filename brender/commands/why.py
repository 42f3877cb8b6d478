"""`brender why`: in a sentence, why a job waits or a worker renders nothing, or how they stand."""

from pathlib import Path

import click

from brender.commands.completion import complete_job
from brender.commands.config import Configured
from brender.commands.options import common, farm, server_option
from brender.commands.output import say, tell_more
from brender.model.errors import NotFound


@click.command(cls=Configured, section="why", short_help="Say why a job waits, or a worker does nothing.")
@common
@server_option
@click.option("--worker", "of_worker", is_flag=True, help="The name is that of a worker, even if a job has the same name.")
@click.option("--frame", type=int, help="Say it of this frame of the job.")
@click.option("--stage", default="", help="Say it of this stage of the job, such as film.")
@click.option("--task", type=click.IntRange(min=0), help="Say it of the task of this number, as `brender tasks` lists it.")
@click.argument("name", metavar="JOB|WORKER", shell_complete=complete_job)
def why(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    of_worker: bool,
    frame: int | None,
    stage: str,
    task: int | None,
    name: str,
) -> None:
    """Say why a job waits or a worker renders nothing, and what to do about it."""
    with farm(server, data) as its:
        if frame is not None or stage or task is not None:
            said = its.job(name).why(frame, stage, task)
            say(said)
            tell_more(said)
            return
        if not of_worker:
            try:
                said = its.job(name).why()
                say(said)
                tell_more(said)
                return
            except NotFound:
                try:
                    worker = its.worker(name)
                except NotFound:
                    said = f"There is no job or worker {name!r}: `brender jobs` and `brender workers` list them"
                    raise NotFound(said) from None
        else:
            worker = its.worker(name)
        say(worker.why())

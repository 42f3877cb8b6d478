"""Commands that change jobs: pause, resume, cancel, requeue, set the priority, readmit."""

from pathlib import Path

import click

from brender.commands.completion import complete_worker, job_argument
from brender.commands.config import Configured
from brender.commands.options import common, farm, server_option
from brender.commands.output import say
from brender.model.errors import BadInput
from brender.model.text import short_id


def _action(name: str, help: str) -> click.Command:
    """Return a command that asks for one change of one job."""

    @click.command(name, cls=Configured, section=name, help=help)
    @common
    @server_option
    @job_argument
    def act(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
        with farm(server, data) as its:
            job = getattr(its.job(id, of_several="only"), name)()
        say(f"Job {short_id(job.id)} is {job.status}")

    return act


pause = _action("pause", "Pause a job: frames that render now finish, and no others start.")
resume = _action("resume", "Continue a paused job.")
cancel = _action("cancel", "Stop a job, and the frames of it that render now.")


@click.command(cls=Configured, section="requeue", short_help="Render frames again: failed, canceled, or the ones you name.")
@common
@server_option
@job_argument
@click.option("--all", "everything", is_flag=True, help="All frames, also finished ones.")
@click.option("--frames", help="These frames, such as 1-10,15.")
def requeue(
    data: Path, config: Path | None, verbose: bool, server: str | None, id: str, everything: bool, frames: str | None
) -> None:
    """Render frames again: those that failed or were canceled, or the ones that you name."""
    if everything and frames:
        raise BadInput("Give --all or --frames, not both")
    with farm(server, data) as its:
        job = its.job(id, of_several="exact").requeue("all" if everything else frames)
    say(f"Job {short_id(job.id)} is {job.status}")


@click.command(cls=Configured, section="priority")
@common
@server_option
@job_argument
@click.argument("value", type=int)
def priority(data: Path, config: Path | None, verbose: bool, server: str | None, id: str, value: int) -> None:
    """Set a job's priority, 0 to 100; higher goes first."""
    with farm(server, data) as its:
        job = its.job(id, of_several="only").set_priority(value)
    say(f"Job {short_id(job.id)} has priority {value}")


@click.command(cls=Configured, section="readmit", short_help="Let workers try a job again that they failed.")
@common
@server_option
@job_argument
@click.argument("worker", required=False, shell_complete=complete_worker)
def readmit(data: Path, config: Path | None, verbose: bool, server: str | None, id: str, worker: str | None) -> None:
    """Let WORKER, or all workers, try a job again. They were kept off it because they failed it, or could not use its folder."""
    with farm(server, data) as its:
        job = its.job(id, of_several="exact").readmit(worker)
    say(f"Job {short_id(job.id)} goes to {worker or 'all workers'} again")

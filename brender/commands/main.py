"""`brender`: the one program with a command for everything."""

import click

from brender import __version__
from brender.commands import farm, jobs, nodes, roles
from brender.commands.config import run
from brender.commands.doctor import doctor


@click.group()
@click.version_option(__version__, prog_name="brender")
def brender() -> None:
    """A render farm for Blender.

    `brender render FILE.blend` renders here and now; `brender farm` runs a farm; `brender doctor` checks this machine.
    """


@brender.group()
def role() -> None:
    """Start one role by hand: the same as brender-server, brender-manager, and so on."""


for command in (farm.farm, farm.render, farm.demo):
    brender.add_command(command)
for command in (jobs.submit, jobs.jobs, jobs.job, jobs.tasks, jobs.log):
    brender.add_command(command)
for command in (jobs.pause, jobs.resume, jobs.cancel, jobs.requeue, jobs.priority):
    brender.add_command(command)
for command in (nodes.workers, nodes.managers, doctor):
    brender.add_command(command)
for command in (roles.server, roles.manager, roles.worker, roles.dashboard, roles.monitor):
    role.add_command(command)


def main() -> None:
    run(brender)


if __name__ == "__main__":
    main()

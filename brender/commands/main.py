"""`brender`: the one program with a command for everything."""

import click

from brender import __version__
from brender.commands import farm, files, jobs, keys, nodes, projects, roles
from brender.commands.backup import backup
from brender.commands.config import run
from brender.commands.doctor import doctor
from brender.commands.joining import hide_token
from brender.commands.worker import worker


@click.group()
@click.version_option(__version__, prog_name="brender")
def brender() -> None:
    """A render farm for Blender.

    `brender render FILE.blend` renders here and now; `brender farm` runs a farm; `brender doctor` checks this machine.
    """


@brender.group()
def role() -> None:
    """Start one role by hand: the same as brender-server, brender-manager, and so on."""


_COMMANDS: tuple[click.Command, ...] = (
    *(farm.farm, farm.render, farm.demo),
    *(jobs.submit, jobs.jobs, jobs.job, jobs.tasks, jobs.log),
    *(jobs.pause, jobs.resume, jobs.cancel, jobs.requeue, jobs.priority),
    *(jobs.readmit, files.pack, files.fetch, files.archive),
    *(nodes.workers, nodes.managers, nodes.drain, nodes.disable, nodes.enable, nodes.restart, nodes.describe),
    *(projects.project, projects.path, projects.delete),
    *(keys.join, keys.token, keys.key, keys.discover),
    *(backup, doctor),
)
for command in _COMMANDS:
    brender.add_command(command)
_ROLES: tuple[click.Command, ...] = (roles.server, roles.manager, worker, roles.dashboard, roles.monitor)
for command in _ROLES:
    role.add_command(command)


def main() -> None:
    hide_token()
    run(brender)


if __name__ == "__main__":
    main()

"""`brender scale`: as many workers as the queue wants."""

import logging
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from filelock import FileLock

from brender.api.place import as_client
from brender.bus.client import Client
from brender.commands.config import Configured
from brender.commands.options import client, common, server_option
from brender.commands.output import say
from brender.commands.role_logs import begin_logging, log_options
from brender.commands.worker import worker
from brender.model.errors import BadInput, Conflict, Forbidden, Unreachable
from brender.model.keys import parse_lifetime
from brender.scaling.decisions import Limits
from brender.scaling.farm import FarmLink, farm_mark
from brender.scaling.provider import FleetSettings, ProviderRefused, provider_class
from brender.scaling.scaler import Scaler
from brender.store.datafolder import DataFolder
from brender.system.restart import STOP_SIGNALS
from brender.system.service_manager import ServiceManager

#: Options of workers that are not somebody's to set: each has its own, or they would be other workers than are waited for.
_NOT_THEIRS = ("--name", "--join", "--data", "--slots", "--new-key", "--lifeline")


F = TypeVar("F", bound=Callable[..., Any])


class Lifetime(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A length of time, in seconds, written as 90s, 30m or 24h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_lifetime(str(value))
        except BadInput as error:
            self.fail(str(error), param, context)


def _time_option(name: str, default: str, help: str) -> Callable[[F], F]:
    return click.option(name, type=Lifetime(), default=default, show_default=True, metavar="TIME", help=help)


@click.command(cls=Configured, section="scale", short_help="Start and end workers as the queue needs them.")
@common
@log_options
@server_option
@click.option(
    "--provider",
    default="local",
    show_default=True,
    help="What starts the workers: local, slurm, kubernetes, or another installed provider.",
)
@click.option("--fleet", help="The first part of the workers' names. [default: the provider]")
@click.option("--least", type=click.IntRange(0, 100_000), default=Limits.least, show_default=True, help="The fewest workers.")
@click.option("--most", type=click.IntRange(0, 100_000), default=Limits.most, show_default=True, help="The most workers.")
@_time_option("--within", "30m", "Start workers if the queue would take longer than this.")
@_time_option("--linger", "5m", "End a worker that has had nothing to render for so long.")
@_time_option("--join-within", "10m", "Give up a worker that runs but has not joined after so long.")
@_time_option("--queue-within", "2h", "Give up a worker that the provider has not started after so long.")
@_time_option("--every", "5s", "How often to check the queue.")
@click.option("--once", is_flag=True, help="Check and act once, then end.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
@click.option(
    "--worker-option",
    "worker_options",
    multiple=True,
    metavar="WORD",
    help="An option of the workers, such as --worker-option=--threads=8. May be given several times.",
)
@click.option(
    "--worker-command",
    help="The command that starts a worker, on the machine where it runs. [default: brender-worker as it is here]",
)
@click.option("--worker-data", default="", help="The workers' data folder, where they run. [default: the provider's choice]")
@_time_option("--notice", "2m", "If the provider ends a worker, ask the worker to leave so long before.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST[:PORT]",
    help="The address at which the workers reach the server's enrolment port. [default: this machine's addresses]",
)
@click.option(
    "--sbatch-option",
    "sbatch",
    multiple=True,
    metavar="WORD",
    help="slurm: an option of sbatch, such as --sbatch-option=--partition=gpu. May be given several times.",
)
@click.option("--image", help="kubernetes: the image that workers run.")
@click.option("--namespace", help="kubernetes: the namespace of the workers. [default: default]")
@click.option(
    "--pod-template", metavar="FILE", help="kubernetes: a YAML file with further metadata and spec for the workers' pods."
)
@click.option(
    "--provider-option",
    "own",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of another provider. May be given several times.",
)
def scale(
    data: Path,
    config: Path | None,
    verbose: bool,
    log_format: str,
    server: str | None,
    provider: str,
    fleet: str | None,
    least: int,
    most: int,
    within: float,
    linger: float,
    join_within: float,
    queue_within: float,
    every: float,
    once: bool,
    dry_run: bool,
    worker_options: tuple[str, ...],
    worker_command: str | None,
    worker_data: str,
    notice: float,
    addresses: tuple[str, ...],
    sbatch: tuple[str, ...],
    image: str | None,
    namespace: str | None,
    pod_template: str | None,
    own: tuple[str, ...],
) -> None:
    """Start and end workers as the queue needs them, between --least and --most.

    A provider starts them. They join by a token, and leave when they have had nothing to render for a while.
    Ctrl-C ends this command and no worker: started again, it goes on with those that there are. `brender scale --most 0 --once`
    asks all of them to leave.
    """
    fleet = _checked_fleet(fleet if fleet is not None else provider)
    if least > most:
        raise BadInput(f"--least {least} is more than --most {most}")
    made = provider_class(provider)
    _check_worker_options(worker_options)
    kubernetes = {"image": image, "namespace": namespace, "pod-template": pod_template}
    own_options = {"sbatch": list(sbatch), **{name: [value] for name, value in kubernetes.items() if value}, **_named(own)}
    begin_logging(verbose, log_format, "scale", fleet)
    folder = DataFolder(data)
    mark = farm_mark(as_client(server, folder)[0])
    try:
        with client(server, data) as connection:
            _check_key(connection)
    except Unreachable:
        if once or dry_run:
            raise  # (else it is waited for)
    settings = FleetSettings(
        farm=mark,
        name=fleet,
        folder=folder.root,
        command=tuple(shlex.split(worker_command or "")),
        options=(*worker_options, *(("--config", str(config.absolute())) if config is not None and provider == "local" else ())),
        data=worker_data,
        notice=notice,
        own=own_options,
    )
    keeping = None if dry_run else _lock(folder, fleet)
    farm = FarmLink(lambda: client(server, data), folder, fleet, addresses)
    limits = Limits(least, most, within, linger, join_within, queue_within)
    scaler = Scaler(fleet, made(settings), farm, limits, time.monotonic)
    try:
        scaler.provider.check()
        if dry_run:
            say(scaler.plan().why)
        elif once:
            say(scaler.step().why)
            if scaler.refused:
                raise ProviderRefused(scaler.refused)
        else:
            _run(scaler, every)
    finally:
        farm.close()
        if keeping is not None:
            keeping.release()


def _lock(folder: DataFolder, fleet: str) -> FileLock:
    """Hold the place of who keeps *fleet*: two would each start what one should. Raises `Conflict` where another has it."""
    try:
        return folder.lock(f"scale-{fleet}")
    except Conflict as error:
        raise Conflict(
            f"Another `brender scale` keeps the fleet {fleet} from the data folder {folder.root}. "
            "Stop it, or name another --fleet"
        ) from error


def _run(scaler: Scaler, every: float) -> None:
    ended = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: ended.set())
    limits = scaler.limits
    service, does = ServiceManager(), f"keeps {limits.least} to {limits.most} workers of the fleet {scaler.fleet}"
    say(f"brender scale {does}")
    service.ready(does)
    scaler.run(ended, every)
    service.stopping("its workers go on")
    logging.getLogger("brender.scale").info("brender scale ends; its workers go on")


def _checked_fleet(fleet: str) -> str:
    """Return *fleet*, where a worker, a Slurm job and a Kubernetes label can be called so. Raises `BadInput`."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?", fleet):
        raise BadInput(
            f"--fleet {fleet!r}: a fleet's name has up to 30 small letters, digits and dashes, and begins with a letter"
        )
    return fleet


def _check_worker_options(words: tuple[str, ...]) -> None:
    """Raise `BadInput` where workers would not start with these *words*."""
    for word in words:
        if (option := word.partition("=")[0]) in _NOT_THEIRS:
            raise BadInput(
                f"--worker-option={word}: each worker gets its own {option} (--worker-data says where they keep theirs)"
            )
    try:
        worker.make_context("brender-worker", list(words), default_map={})
    except click.UsageError as error:
        raise BadInput(f"--worker-option: {error.format_message()}") from error


def _named(own: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in own:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise BadInput(f"--provider-option {each!r}: write NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _check_key(connection: Client) -> None:
    """Raise `Forbidden` where this machine's key may not give out tokens."""
    try:
        connection.manage("refusals")  # (the smallest question that those ask who may)
    except Forbidden as error:
        raise Forbidden(
            "This machine's key may not give out tokens, by which workers join: `brender token create --role admin` on the "
            "server's machine prints a token for `brender join`"
        ) from error

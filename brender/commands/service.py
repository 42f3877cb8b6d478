"""brender service: let the operating system start a role, now and whenever the machine does."""

import contextlib
import getpass
import os
import shutil
import subprocess  # nosec B404 (systemctl, with words of ours)
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import click
from click.core import ParameterSource

from brender.commands.config import SECTIONS, Configured, names_config, read_config, settings_for
from brender.commands.output import say
from brender.model.errors import BadInput, BrenderError, Conflict, NotFound
from brender.system.service_files import MADE_BY_BRENDER, ROLES, STATE, Service, launchd_job, systemd_unit, windows_task

_SYSTEM_UNITS = Path("/etc/systemd/system")
_PREFIX = "brender-"
#: What stands for the account where nobody named one.
_PLACEHOLDER = "brender"
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_SYSTEMCTL_SECONDS = 120.0
#: How to see why a service does not run, with its name.
_LOG = "journalctl {user}-u {name} -n 50"


class Target(NamedTuple):
    """What a service is written for: how its file is made, where the data of a service lies there that is nobody's own, and how
    the file is given to the system, of all and of one user."""

    write: Callable[[Service], str | bytes]
    folder: PurePath
    given: str = ""
    given_of_user: str = ""


#: Roles that are commands of `brender` itself.
_COMMANDS = ("farm", "scale")
_FOR_WINDOWS = "Give it to Windows with: schtasks /Create /TN brender /XML FILE"
_TARGETS: dict[str, Target] = {
    "systemd": Target(systemd_unit, STATE),
    "launchd": Target(
        launchd_job,
        PurePosixPath("/Library/Application Support/brender"),
        "Put it into /Library/LaunchDaemons, and: launchctl bootstrap system FILE",
        "Put it into ~/Library/LaunchAgents, and: launchctl bootstrap gui/$UID FILE",
    ),
    "windows": Target(windows_task, PureWindowsPath("C:/ProgramData/brender"), _FOR_WINDOWS, _FOR_WINDOWS),
}

_own = click.option("--user", "of_user", is_flag=True, help="A service of your own account, which runs while you are logged in.")
_run_as = click.option(
    "--run-as",
    "account",
    default="",
    metavar="ACCOUNT",
    help="The account that runs it. [default: the account that uses sudo; with --user: your own]",
)
_name = click.option("--name", default="", metavar="NAME", help="The service's name. [default: brender-ROLE]")
_role = click.argument("role", type=click.Choice(ROLES))
_words = click.argument("options", nargs=-1, type=click.UNPROCESSED)
_OF_A_ROLE = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group(short_help="Let the operating system run roles as services.")
def service() -> None:
    """Let the operating system start a role, now and whenever this machine does.

    All that comes after ROLE is for the role itself: `brender service install worker --join @/etc/brender/token`.
    """


@service.command(context_settings=_OF_A_ROLE, short_help="Make a role a service of this machine.")
@_own
@_run_as
@_name
@click.option("--start/--no-start", default=True, show_default=True, help="Start it now.")
@_role
@_words
def install(of_user: bool, account: str, name: str, start: bool, role: str, options: tuple[str, ...]) -> None:
    """Make ROLE a service of this machine's systemd, with the OPTIONS of `brender-ROLE`. If it is one, change its options."""
    described = _described(role, options, name, _named_account(account, of_user), _TARGETS["systemd"])
    systemctl = _systemctl(of_user)
    if described.account:
        _check_account(described.account)
    folder = _units(of_user)
    unit = folder / f"{described.name}.service"
    if unit.exists():
        _check_own(unit)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unit.write_text(systemd_unit(described), "utf-8")
    except PermissionError as error:
        raise BadInput(f"{unit} cannot be written: use sudo, or --user for a service of your own account") from error
    _do([*systemctl, "daemon-reload"])
    _do([*systemctl, "enable", unit.name])
    if not start:
        say(f"{unit}: it starts with the machine. Start it now with: {' '.join([*systemctl, 'start', described.name])}")
        return
    try:
        _do([*systemctl, "restart", described.name])
    except BrenderError as error:
        for line in _last_words(of_user, described.name):
            say(f"  {line}", err=True)
        raise BrenderError(f"{described.name} did not start. Why, says: {_log(of_user, described.name)}") from error
    say(f"{described.name} runs, and starts with the machine. Its log: {_log(of_user, described.name)}")
    if of_user:
        say(f"It ends when you log out; so that it does not: loginctl enable-linger {getpass.getuser()}")


@service.command(context_settings=_OF_A_ROLE)
@_own
@_run_as
@_name
@click.option(
    "--for",
    "system",
    type=click.Choice(list(_TARGETS)),
    default="systemd",
    show_default=True,
    help="The system that it is for. Services for launchd and Windows were never run.",
)
@_role
@_words
def show(of_user: bool, account: str, name: str, system: str, role: str, options: tuple[str, ...]) -> None:
    """Print the file that makes ROLE, with these OPTIONS, a service."""
    target = _TARGETS[system]
    runs_as = _account(account, of_user)
    described = _described(role, options, name, _PLACEHOLDER if runs_as is None else runs_as, target)
    written = target.write(replace(described, is_placeholder=runs_as is None))
    if isinstance(written, str):
        click.echo(written)
    elif sys.stdout.isatty():
        click.echo(written.decode("utf-16" if system == "windows" else "utf-8"))
    else:
        click.echo(written, nl=False)  # as the system reads it
    if runs_as is None:
        say(f"Nobody named an account: {_PLACEHOLDER} stands for it. Name one with --run-as ACCOUNT", err=True)
    if target.given:
        say(target.given_of_user if of_user else target.given, err=True)


@service.command()
@_own
@click.argument("name")
def remove(of_user: bool, name: str) -> None:
    """End the service NAME, and remove it. Its data folder stays."""
    systemctl = _systemctl(of_user)
    unit = _unit_of(name, of_user)
    say(f"{unit.stem} ends. Its running frames are finished first")
    _do([*systemctl, "disable", "--now", unit.name], seconds=None)
    unit.unlink()
    _do([*systemctl, "daemon-reload"])
    say(f"{unit} is removed")


@service.command("list")
@_own
def list_services(of_user: bool) -> None:
    """List brender's services on this machine, and whether each runs."""
    units = sorted(_units(of_user).glob(f"{_PREFIX}*.service"))
    if not units:
        say("There are no services. Make one with `brender service install ROLE`")
        return
    systemctl = _systemctl(of_user)
    for unit in units:
        shown = _do([*systemctl, "show", "-p", "ActiveState,SubState,StatusText", unit.name])
        found = dict(line.partition("=")[::2] for line in shown.splitlines())
        status = found.get("StatusText")
        say(f"{unit.stem}: {found.get('ActiveState')} ({found.get('SubState')})" + (f", {status}" if status else ""))


def _described(role: str, options: tuple[str, ...], name: str, account: str, target: Target) -> Service:
    """Return the service of *target* that runs *role* with *options*, which are checked as the role itself would check them."""
    command = _command(role)
    called = name or f"{_PREFIX}{role}"
    if not called.startswith(_PREFIX):
        called = _PREFIX + called
    if strange := sorted(set(called) - _NAME_LETTERS):
        raise BadInput(f"A service's name has letters, digits, '-', '_' and '.': {name!r} has {strange[0]!r}")
    words = list(options[1:] if options[:1] == ("--",) else options)
    with _as_the_system_starts_it(command):
        # (Its account has other settings than the one who installs it, but for a file that is named.)
        named = settings_for(role, read_config(words)) if names_config(words) else {}
        with command.make_context(role, list(words), default_map=named) as context:
            _check_paths(context)
            _check_secrets(context)
            data: PurePath = context.params["data"]
            is_said = context.get_parameter_source("data") is not ParameterSource.DEFAULT
    if not is_said:
        data = target.folder if account else data
        words += ["--data", str(data)]  # the same folder for every account and every directory that it is started from
    starts = [sys.executable, "-m", "brender.commands.main", *([] if role in _COMMANDS else ["role"]), role]
    return Service(role, called, (*starts, *words), data, account)  # type: ignore[arg-type]


@contextlib.contextmanager
def _as_the_system_starts_it(command: click.Command) -> Iterator[None]:
    """Leave out what the environment says to *command*, which the system does not know; say so."""
    variables = {each.envvar for each in command.params if isinstance(each.envvar, str)} | {"BRENDER_CONFIG"}
    here = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        for name in sorted(here):
            say(f"{name} is set here, and will not be for the service: give it as an option if it is to count", err=True)
        yield
    finally:
        os.environ.update(here)


def _command(role: str) -> click.Command:
    from brender.commands.main import brender

    context = click.Context(brender)
    group: click.Command | None = brender if role in _COMMANDS else brender.get_command(context, "role")
    assert isinstance(group, click.Group)
    command = group.get_command(context, role)
    assert isinstance(command, Configured) and role in SECTIONS
    return command


def _check_paths(context: click.Context) -> None:
    """Raise `BadInput` for a path that means another file where the system starts the role."""
    for parameter in context.command.params:
        given = context.params.get(parameter.name or "")
        for value in given if isinstance(given, tuple) else (given,):
            path = _path_in(parameter, value)
            if path is not None and not path.is_absolute():
                option, before = parameter.opts[0], "@" if str(value).startswith("@") else ""
                raise BadInput(
                    f"{option} {value}: a service starts elsewhere. Name it whole: {option} {before}{Path.cwd() / path}"
                )


def _path_in(parameter: click.Parameter, value: object) -> Path | None:
    """Return the path that *value* of *parameter* is, or names; ``None`` if it is not a path."""
    if isinstance(value, Path):
        return value
    if parameter.name == "join" and isinstance(value, str) and value.startswith("@"):
        return Path(value[1:])
    if parameter.name == "database" and isinstance(value, str) and value and "://" not in value:
        return Path(value)
    return None


def _check_secrets(context: click.Context) -> None:
    """Raise `BadInput` for a secret among the words that a service starts with."""
    said = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    token = str(context.params.get("join") or "") if "join" in said else ""
    if token and not token.startswith("@"):
        raise BadInput(
            "--join: everybody on this machine can read what a service starts with. Put the token into a file that only its "
            "account can read, and name that: --join @/etc/brender/token"
        )
    from brender.store.database import shown  # here: it takes a while to import

    database = str(context.params.get("database") or "") if "database" in said else ""
    if "://" in database and shown(database) != database:
        raise BadInput(
            "--database: everybody on this machine can read what a service starts with, and that has a password. Put the "
            "database into a settings file that only its account can read, and name that: --config /etc/brender/brender.toml"
        )


def _account(named: str, of_user: bool) -> str | None:
    """Return who is to run a service of this machine's system, or "" if it is of one account anyhow, ``None`` where nobody says
    (root should not)."""
    if of_user:
        if named:
            raise BadInput("--run-as and --user do not go together: with --user, a service is run by you")
        return ""
    account = named or os.environ.get("SUDO_USER") or getpass.getuser()
    return None if account == "root" and not named else account


def _named_account(named: str, of_user: bool) -> str:
    """Return who is to run a service (`_account`). Raises `BadInput` where nobody says."""
    account = _account(named, of_user)
    if account is None:
        raise BadInput(
            "No account is named to run it, and root should not. Make an account for it "
            f"(useradd --system --create-home {_PLACEHOLDER}), and name that: --run-as {_PLACEHOLDER}"
        )
    return account


def _check_account(account: str) -> None:
    """Raise `BadInput` where this machine has no such *account*."""
    if sys.platform != "win32":
        import pwd

        try:
            pwd.getpwnam(account)
        except KeyError as error:
            raise BadInput(
                f"There is no account {account} on this machine. Make it first, such as with: "
                f"useradd --system --create-home {account}"
            ) from error


def _systemctl(of_user: bool) -> list[str]:
    """Return how systemd is told something. Raises `BrenderError` where it does not run here."""
    program = shutil.which("systemctl")
    if program is None or not Path("/run/systemd/system").is_dir():
        raise BrenderError(
            "systemd does not run on this machine. `brender service show --for launchd ROLE` (or windows, or systemd) prints the "
            "file that another machine's system needs"
        )
    return [program, "--user"] if of_user else [program]


def _units(of_user: bool) -> Path:
    if not of_user:
        return _SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _unit_of(name: str, of_user: bool) -> Path:
    """Return the file of the service *name*. Raises `NotFound`, or `Conflict` for one that is not brender's."""
    called = name.removesuffix(".service")
    if not called.startswith(_PREFIX):
        called = _PREFIX + called
    unit = _units(of_user) / f"{called}.service"
    if "/" in called or not unit.is_file():
        others = ", ".join(sorted(each.stem for each in _units(of_user).glob(f"{_PREFIX}*.service")))
        raise NotFound(
            f"There is no service {name}. " + (f"There are: {others}" if others else "No service of brender is installed")
        )
    _check_own(unit)
    return unit


def _check_own(unit: Path) -> None:
    """Raise `Conflict` where *unit* was not made by `install`."""
    if MADE_BY_BRENDER not in unit.read_text("utf-8", "replace"):
        raise Conflict(f"{unit} was not made by brender: give the service another --name, or remove that with systemctl")


def _do(words: list[str], seconds: float | None = _SYSTEMCTL_SECONDS) -> str:
    """Run systemctl; return what it says. Raises `BrenderError` with its own words where it could not do it."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)  # nosec B603
    except subprocess.TimeoutExpired as error:
        raise BrenderError(f"systemd did not answer within {seconds:g} seconds: {' '.join(words)}") from error
    if done.returncode:
        raise BrenderError(f"{' '.join(words)} failed: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")
    return done.stdout.rstrip("\n")


def _last_words(of_user: bool, name: str) -> list[str]:
    """Return the last lines that the service *name* has logged, as far as they can be had."""
    program = shutil.which("journalctl")
    words = [*(["--user"] if of_user else []), "-u", name, "-n", "5", "-o", "cat", "--no-pager"]
    try:
        return _do([program, *words]).splitlines() if program else []
    except BrenderError:
        return []  # (the command that shows them is named in any case)


def _log(of_user: bool, name: str) -> str:
    return _LOG.format(user="--user " if of_user else "", name=name)

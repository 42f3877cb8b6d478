"""`brender farm`, `brender render`, `brender demo`: whole farms on this machine."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import brender.demo
from brender.api.jobspec import blender_job
from brender.api.place import Place
from brender.api.replaced import count_fitting, with_what_it_replaces
from brender.api.sending import send_packed
from brender.bus.client import Client
from brender.commands.config import Configured
from brender.commands.folder_farm import FolderFarm, no_blender
from brender.commands.following import done_in_words
from brender.commands.jobspec import render_options
from brender.commands.latest_picture import LatestPicture
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import NamedPath, client, common, pictures_option
from brender.commands.output import duration, say, say_lines, tell
from brender.commands.screen import INTERRUPTED, Screen
from brender.commands.sending import shown as shown_in_bar
from brender.commands.setting_options import write_options
from brender.commands.shot import fit, shot_facts
from brender.commands.waiting import shown_folder, tell_log_end, wait_for_frames
from brender.engines.addon_archive import packed_addons
from brender.engines.blenders import search_blenders
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.errors import BadInput, BrenderError, RenderFailed
from brender.model.job import JobSpec
from brender.model.nodes import choose_blender
from brender.model.text import plural, short_id
from brender.model.units import FILM, units_of
from brender.store.datafolder import DataFolder
from brender.system.service_manager import ServiceManager

_workers_option = click.option(
    "--workers", type=click.IntRange(0, 256), default=1, show_default=True, help="The number of workers."
)
_blender_option = click.option(
    "--blender",
    "blenders",
    multiple=True,
    envvar="BRENDER_BLENDER",
    help="A blender executable, or a Python with bpy. [default: what is found]",
)
#: Seconds that a server is waited for when a render is interrupted.
_ENDING_SECONDS = 1.0
_threads_option = click.option(
    "--threads", type=click.IntRange(0, 1024), help="CPU threads of each render. [default: the cores, divided among the workers]"
)


def _check_own(data: Path) -> None:
    """Raise `BadInput` where options were given that the farm which runs in *data* would not heed."""
    context = click.get_current_context()
    options = {"workers": "--workers", "blenders": "--blender", "threads": "--threads"}
    said = {name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if said:
        given = " and ".join(option for name, option in options.items() if name in said)
        raise BadInput(
            f"A farm runs in {data} already, and its own workers would render this: leave out {given}, or render on another "
            "farm with --data FOLDER"
        )


class Rendering(Configured):
    """`brender render`, whose ``--help`` has the options of a render in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self, ctx, formatter)


@click.command(cls=Configured, section="farm", short_help="Run a whole farm here, until Ctrl-C.")
@common
@_workers_option
@_blender_option
@_threads_option
@click.option("--any-ports", is_flag=True, help="Use any free ports instead of 9999, 7777 and 8888.")
def farm(
    data: Path, config: Path | None, verbose: bool, workers: int, blenders: tuple[str, ...], threads: int | None, any_ports: bool
) -> None:
    """Run a whole farm here: server, manager, workers and dashboard, until Ctrl-C."""
    plan = FarmPlan(
        folder=DataFolder(data),
        workers=workers,
        any_ports=any_ports,
        blenders=blenders,
        threads=threads,
        config=config,
        notify=lambda text: say_lines(text, err=True) if starting is None else starting.say(text, error=True),
    )
    starting: Screen | None = None
    ended = threading.Event()
    _on_termination(ended)
    manager = ServiceManager()
    with contextlib.ExitStack() as running_farm:
        with manager.starting(), Screen() as starting:
            if starting.is_live:
                starting.waits("Starting the farm: a server, a manager, the workers and the page")
            running = running_farm.enter_context(LocalFarm(plan))
        starting = None
        say(f"The farm runs, with {plural(workers, 'worker')}. Its data folder: {data}")
        say("Its page:")
        say(running.link())  # on a line of its own, so that a narrow terminal does not break it where nobody can click on it
        say("Submit with: brender submit FILE.blend      End it with Ctrl-C")
        manager.ready(f"runs, with {plural(workers, 'worker')}")
        try:
            while not ended.wait(0.5):
                running.check()
        except KeyboardInterrupt:
            pass
        say("Ending the farm")


@click.command(cls=Rendering, section="render", short_help="Render a .blend here and now, on a farm of its own.")
@common
@click.argument("file", type=NamedPath())
@render_options(apart=("threads",))  # (which this command has for its workers)
@_workers_option
@_blender_option
@_threads_option
@click.option("--dashboard/--no-dashboard", "with_dashboard", default=True, help="Serve the web page while it renders.")
@pictures_option
def render(
    data: Path,
    config: Path | None,
    verbose: bool,
    file: Path,
    workers: int,
    blenders: tuple[str, ...],
    threads: int | None,
    with_dashboard: bool,
    pictures: bool,
    **options: Any,
) -> None:
    """Render FILE, a .blend, on a farm that runs here for as long as that takes.

    If a farm runs in the data folder already, that renders it, with its own workers. If that ends before, this command goes on
    with a farm of its own.
    """
    if workers == 0:
        raise BadInput("--workers 0 renders nothing: give 1 or more, or start a farm without any by `brender farm --workers 0`")
    addons = click.get_current_context().with_resource(packed_addons(options["addons"]))
    spec = blender_job(file, options, notify=tell, of_render=True, addons=tuple(each.addon for each in addons))
    folder = DataFolder(data)
    screen = Screen()
    shown = LatestPicture.wanted(pictures, screen, folder)
    plan = FarmPlan(
        folder=folder,
        workers=workers,
        any_ports=True,
        only_job=spec.id,
        command="brender render",
        with_dashboard=with_dashboard,
        blenders=blenders,
        threads=threads,
        config=config,
        notify=partial(screen.say, style="yellow", error=True),
    )
    with _in_order_then_at_once() as ending, screen:
        for line in fit(shot_facts(spec, shown_folder(spec.output)), screen.width):
            screen.say(line)
        farm = ending.farm = FolderFarm(plan, screen)
        farm.check_can_start()
        for warning in spec.warnings:
            screen.warn(warning)
        starts = True
        try:
            with farm, client(None, data) as connection:
                if farm.own is None:
                    _check_own(data)
                    screen.say(f"A farm runs in {data} already; it renders this too, as job {short_id(spec.id)}")
                else:
                    _take_the_place_of_cut_off(spec, connection, screen)
                    if farm.own.dashboard_url:
                        screen.say("Watch it at")
                        screen.say(farm.own.link(f"jobs/{spec.id}", to_look=True))
                send_packed(addons, Place(None, data, tell), shown_in_bar)
                starts = False
                _render(spec, connection, farm, screen, shown)
        except KeyboardInterrupt:
            if not starts:
                raise
            screen.close(erase=False)
            kept = f" What an earlier render left in {shown_folder(spec.output) or 'this folder'} is kept."
            click.echo()
            say(
                "Interrupted while the farm was still starting: nothing was rendered."
                f"{kept if _holds_files(spec.output) else ''} The same command starts it again."
            )
            raise click.exceptions.Exit(INTERRUPTED) from None


def _holds_files(folder: str) -> bool:
    """Return whether there is anything in *folder*, as seen from here."""
    try:
        return any(Path(folder).iterdir())
    except OSError:
        return False


@click.command(cls=Configured, section="demo", short_help="Render a small animation that comes with brender.")
@common
@click.option("--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="The number of workers.")
@click.option("--frames", default="1-24", show_default=True, help="The frames to render.")
@click.option("--output", type=NamedPath(), help="The folder for the frames. [default: brender-demo_frames, here]")
@_blender_option
@pictures_option
@click.pass_context
def demo(
    context: click.Context,
    data: Path,
    config: Path | None,
    verbose: bool,
    workers: int,
    frames: str,
    output: Path | None,
    blenders: tuple[str, ...],
    pictures: bool,
) -> None:
    """Make a small animation, and render it on a farm of its own."""
    folder = DataFolder(data).make()
    file = make_demo(folder.root / "demo" / "brender-demo.blend", blenders)
    context.invoke(
        render,
        data=data,
        config=config,
        verbose=verbose,
        file=file,
        workers=workers,
        blenders=blenders,
        frames=frames,
        output=output or Path("brender-demo_frames").absolute(),
        threads=None,
        with_dashboard=True,
        pictures=pictures,
        trusted=False,
        allow_missing=True,
    )


def make_demo(path: Path, named: tuple[str, ...]) -> Path:
    """Return the demo's .blend at *path*, made by our script with the first Blender there is. Raises `BrenderError`."""
    search = search_blenders(named)
    blender = choose_blender(search.found, (0, 0))
    if blender is None:
        raise no_blender(" ".join(search.passed_over))
    script = Path(brender.demo.__file__).with_name("scene.py")
    path.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [*script_in(blender, script), "--", str(path)],
        capture_output=True,
        text=True,
        env=clean_environment({}),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if made.returncode or not path.exists():
        raise BrenderError(f"{blender.label} could not make the demo's scene: {(made.stdout + made.stderr).strip()[-500:]}")
    return path


def _render(spec: JobSpec, connection: Client, farm: FolderFarm, screen: Screen, pictures: LatestPicture | None) -> None:
    began = time.monotonic()
    try:
        connection.submit(with_what_it_replaces(connection, spec))  # (what it warns of, the record says too)
        record = wait_for_frames(connection, spec.id, screen, farm.check, pictures, all_here=farm.own is not None, away=farm.away)
    except RenderFailed as error:
        screen.close(erase=False)
        tell_log_end(connection, spec.id, screen, is_kept=farm.own is None, told=str(error))
        raise
    except KeyboardInterrupt:
        screen.close(erase=False)
        click.echo()
        say("Ending this in order. A second Ctrl-C ends it at once")
        connection.timeout = _ENDING_SECONDS
        say(_what_is_kept(spec, connection))
        with contextlib.suppress(BrenderError):  # the farm ends in any case
            connection.act("cancel", spec.id, user=spec.user)
        raise click.exceptions.Exit(INTERRUPTED) from None
    screen.close()
    say(f"{done_in_words(record)} in {duration(time.monotonic() - began)}: {spec.output}")


def _take_the_place_of_cut_off(spec: JobSpec, connection: Client, screen: Screen) -> None:
    """Cancel the job that the same command has left in the record: it was killed, or its machine lost power. On a farm that runs
    for this job alone nobody renders it. What was submitted otherwise stays, and waits for its farm."""
    for status in ("active", "queued", "paused"):
        for row in connection.ask("jobs", status=status):
            if row["of_render"] and (row["output"], row["job_type"]) == (spec.output, spec.job_type):
                record = connection.ask("job", id=row["id"])
                if (record["settings"], record["user"], record["trusted"]) == (spec.settings, spec.user, spec.trusted):
                    connection.act("cancel", row["id"], user=spec.user)
                    screen.say("An earlier render of this was cut off. This one goes on from there")


def _what_is_kept(spec: JobSpec, connection: Client) -> str:
    """Return how much of an interrupted job is finished, and how it goes on, in sentences."""
    folder = shown_folder(spec.output) or "this folder"
    again = "Without --overwrite the same command goes on from here" if spec.overwrite else "The same command goes on from here"
    try:
        record = connection.ask("job", id=spec.id)
    except BrenderError:
        return f"The frames that are done are in {folder}. {again}."
    done = units_of(record["settings"], record["completed_parts"], record["part_count"], record.get("finished_frames", 0))
    if not (spec.overwrite or spec.settings.get("pieces")):
        # What the render before has left fits too, although this one did not come to it yet.
        done = replace(done, done=min(done.total, max(done.done, count_fitting(connection, spec))))
    if not done.done:
        return "Nothing is done yet. The same command starts it again."
    what = "The film is" if done.noun == FILM else f"{done} {'is' if done.done == 1 else 'are'}"
    if record["status"] == "completed":
        return f"It was done already: {what[0].lower()}{what[1:]} in {folder}."
    return f"{what} in {folder}. {again}."


class _Ending:
    """What a render does when it is interrupted: the first time it ends in order, with what is done kept, then at once."""

    farm: FolderFarm | None = None
    _is_second = False

    def __call__(self, number: int, frame: object) -> None:
        if not self._is_second:
            self._is_second = True
            raise KeyboardInterrupt
        if self.farm is not None:
            self.farm.kill()
        # By the system's own call: this comes in the middle of anything, perhaps of a line that is being printed.
        cursor_again = b"\x1b[?25h" if os.isatty(1) and os.environ.get("TERM") not in (None, "dumb", "unknown") else b""
        with contextlib.suppress(OSError):
            os.write(1, cursor_again + b"\nEnded at once. What is finished is kept, and the same command goes on from there.\n")
        os._exit(INTERRUPTED)


@contextlib.contextmanager
def _in_order_then_at_once() -> Iterator[_Ending]:
    """Inside, Ctrl-C, SIGTERM and a terminal that is closed do the same, but for those that this program was started to ignore,
    as `nohup` does."""
    ending, before = _Ending(), {}
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        heard = [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, ending) for number in heard}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_termination(ended: threading.Event) -> None:
    """SIGTERM ends the farm as Ctrl-C does, unless this program was started to ignore it."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, lambda number, frame: ended.set())

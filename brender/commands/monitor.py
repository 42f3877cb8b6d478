"""brender-monitor: the farm and its bus in a terminal, as a snapshot, as a stream, or from a recording."""

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brender.api.own_server import await_server
from brender.api.place import as_client, user
from brender.bus.membership import read_membership
from brender.commands.config import Configured
from brender.commands.options import common, server_option
from brender.commands.output import print_json, tell
from brender.model.errors import BadInput, BrenderError
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder

if TYPE_CHECKING:
    from brender.monitor.session import LiveSession, Session

#: Cells of a line where no terminal says how wide it is.
_WIDTH = 120


@click.command("monitor", cls=Configured, section="monitor", short_help="Watch the farm, its bus, and the messages on it.")
@common
@server_option
@click.option("--at", default="", metavar="NAME", help="Show this worker or manager.")
@click.option("--once", is_flag=True, help="Print the present state, and end; with --json as data.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON instead of drawing a screen.")
@click.option("--plain", is_flag=True, help="The old name of --json.")
@click.option(
    "--record", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Record what is shown, in a new file."
)
@click.option("--replay", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Show a recording.")
@click.option("--speed", type=click.FloatRange(0.01, 10_000), help="How many times as fast the recording is shown.")
@click.option("--partial", is_flag=True, help="Show the whole part of a recording that is cut off.")
def monitor(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    at: str,
    once: bool,
    as_json: bool,
    plain: bool,
    record: Path | None,
    replay: Path | None,
    speed: float | None,
    partial: bool,
) -> None:
    """Watch the farm, its bus, and the messages on it, live or from a recording."""
    if replay is None and (speed is not None or partial):
        raise BadInput("--speed and --partial are about a recording: name it with --replay FILE")
    if replay is not None and (record is not None or plain or (as_json and not once)):
        raise BadInput(
            "A recording is replayed on the screen, or with --once: give --replay without --record, --json and --plain"
        )
    if replay is not None:
        from brender.monitor.recording import read_recording
        from brender.monitor.session import ReplaySession

        recorded = ReplaySession(read_recording(replay, partial), speed or 1.0)
        _print_once(recorded, at, as_json) if once else _draw(recorded, at)
        return
    streams = not once and (plain or as_json or not sys.stdout.isatty())
    session = _live(server, DataFolder(data), record, streams)
    try:
        if once:
            _print_once(session, at, as_json)
        elif streams:
            _stream(session)
        else:
            _draw(session, at)
    except (KeyboardInterrupt, BrokenPipeError):
        return
    finally:
        session.close()


def _live(server: str | None, folder: DataFolder, record: Path | None, streams: bool) -> "LiveSession":
    from brender.monitor.feed import Feed
    from brender.monitor.recording import Recorder
    from brender.monitor.session import LiveSession

    if server is None and folder.local_key.exists():
        await_server(folder, tell)
    addresses, pair = as_client(server, folder)
    membership = None if folder.local_key.exists() else read_membership(folder.membership)
    role = membership.role if membership is not None else KeyRole.ADMIN
    recorder = Recorder(record, str(addresses.events), time.time()) if record is not None else None
    return LiveSession(Feed(addresses, pair, role, user()).start(whole=streams), recorder)


def _print_once(session: "Session", at: str, as_json: bool) -> None:
    from brender.monitor.once import as_data, as_text, settle

    settle(session)
    if as_json:
        print_json(as_data(session.heard, session.now(), at))
    else:
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        click.echo(as_text(session.heard, session.now(), width, at))


def _stream(session: "LiveSession") -> None:
    from brender.monitor.once import print_events

    print_events(session, lambda: False)


def _draw(session: "Session", at: str) -> None:
    from brender.monitor.app import Monitor
    from brender.monitor.once import node_named, settle

    if at:
        settle(session)
        at = node_named(session.heard, at).name
    said = Monitor(session, at).run()
    if said:
        raise BrenderError(said)

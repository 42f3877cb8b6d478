"""The server of this machine's own data folder, as one who asks it finds it: there, about to be there, dead, or never started."""

import time

import psutil

from brender.api.connection import Notify, silent
from brender.model.errors import Unreachable
from brender.store.datafolder import KEEPER, DataFolder

#: Seconds that a server is waited for which starts, or is started again; and after which the wait is said.
_PATIENCE_SECONDS, _TELL_SECONDS = 8.0, 1.0
_LOOK_SECONDS = 0.05


def await_server(folder: DataFolder, notify: Notify = silent) -> None:
    """Return once the server of *folder* can be asked. One that starts, or that has died and is started again, is waited for.
    Raises `Unreachable`, saying what has become of it and what to do, without a wait where nobody starts it. *notify* hears
    of a longer wait."""
    began, told = time.monotonic(), False
    while True:
        runs, last = folder.is_locked("server"), folder.last_announced("server")
        if runs and last is not None and psutil.pid_exists(int(last.get("pid", 0))):
            return
        is_coming = runs or (last is not None and folder.is_locked(KEEPER))
        waited = time.monotonic() - began
        if not is_coming or waited > _PATIENCE_SECONDS:
            raise Unreachable(_why(folder, last, runs, is_coming))
        if waited > _TELL_SECONDS and not told:
            told = True
            notify("The server has died and is being started again; waiting for it" if last else "The server starts")
        time.sleep(_LOOK_SECONDS)


def why_away(folder: DataFolder) -> str | None:
    """Return why nobody can ask the server of *folder*, and what to do; ``None`` while it runs, or is being started again."""
    last = folder.last_announced("server")
    if folder.is_locked("server") or (last is not None and folder.is_locked(KEEPER)):
        return None
    return _why(folder, last, runs=False, is_coming=False)


def _why(folder: DataFolder, last: dict[str, object] | None, runs: bool, is_coming: bool) -> str:
    """Return why no command can ask the server of *folder*, and what to do."""
    log = f"its log is {folder.root / 'run' / 'server.log'}"
    if runs:
        return f"The server of the data folder {folder.root} is still starting. Try again in a moment; {log}"
    if is_coming:
        return (
            f"The server of the data folder {folder.root} has died, and is not back yet. `brender farm` starts it "
            f"again: try in a moment; {log}"
        )
    if last is not None:
        return (
            f"The server of the data folder {folder.root} has died: process {last.get('pid')} was killed, or the machine went "
            "down. All that it recorded is kept. Start it again with `brender farm` (or `brender-server`)"
        )
    return (
        f"No server runs in the data folder {folder.root}. Start it with `brender farm` (or `brender-server`), or name another "
        "with --server or --data"
    )

"""The farm of a data folder, as one render has it: a farm of its own, or another command's for as long as that runs."""

import time

from brender.api.place import Place
from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.screen import Screen
from brender.engines.blenders import how_to_get_one, why_no_blender
from brender.model.errors import BrenderError, Conflict
from brender.model.text import plural
from brender.store.datafolder import KEEPER

#: Seconds for which a `brender farm` that has ended is left to those who start it again, before a render starts its own.
_FARM_AGAIN_SECONDS = 10.0
#: Said where the farm that a render was on has ended.
GOES_ON = "The farm that rendered this has ended. This command goes on, with a farm of its own"


def no_blender(why: str = "") -> BrenderError:
    """Return the error that says that no Blender works here, and *why* not."""
    if why:
        return BrenderError(f"No Blender works here. {why}. Or another way: {how_to_get_one()}; `brender doctor` says more")
    return BrenderError(f"There is no Blender here. {how_to_get_one()}; `brender doctor` says more")


class FolderFarm:
    """Use it in a ``with`` statement: it starts a farm by *plan* unless one runs in the folder already. ``own``: that farm;
    ``None`` while the farm of another command renders the job. What happens meanwhile is said on *screen*."""

    def __init__(self, plan: FarmPlan, screen: Screen) -> None:
        self._plan, self._screen = plan, screen
        self._gone_since: float | None = None
        self._runs = ""
        """The command that started the farm which renders the job. "": a brender-server runs by itself, perhaps as a service, and
        no render takes its place."""
        self.own: LocalFarm | None = None

    def __enter__(self) -> "FolderFarm":
        if not self._runs_already:
            plan = self._plan
            page = " and the page" * plan.with_dashboard
            self._screen.waits(f"Starting a farm here: a server, a manager, {plural(plan.workers, 'worker')}{page}")
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.own is not None:
            self.own.stop()

    @property
    def _runs_already(self) -> bool:
        folder = self._plan.folder
        return folder.root.exists() and folder.is_locked("server")

    def check_can_start(self) -> None:
        """Raise `BrenderError` where a farm would have to be started and there is no Blender for it."""
        if not self._runs_already:
            self._check_blender()

    def check(self) -> None:
        """Start again what has died of a farm of its own. Call it now and then."""
        if self.own is not None:
            self.own.check()
        elif not self._runs:
            self._note_runner()

    def kill(self) -> None:
        """End a farm of its own at once."""
        if self.own is not None:
            self.own.kill()

    def away(self, client: Client) -> str | None:
        """See what became of the server, which does not answer *client*: lead that to where it is now, or start a farm in place
        of one that has ended. Returns why there is none; ``None`` where one runs or starts."""
        gone = Place(None, self._plan.folder.root).follow(client)
        if gone is None or self.own is not None:
            self._gone_since = None
            self._note_runner()
            return None
        now = time.monotonic()
        self._gone_since = now if self._gone_since is None else self._gone_since
        if not self._runs:
            return gone
        if self._runs != self._plan.command and now - self._gone_since < _FARM_AGAIN_SECONDS:
            return gone
        self._check_blender()
        self._screen.say(GOES_ON)
        self._start()
        Place(None, self._plan.folder.root).follow(client)
        return None

    def _start(self) -> None:
        """Start a farm, unless another command is quicker: then that one's is used."""
        farm = self.own = LocalFarm(self._plan)
        try:
            farm.__enter__()
        except Conflict:
            self.own = None

    def _check_blender(self) -> None:
        """Raise `BrenderError` where there is no Blender: before anything starts."""
        if (why := why_no_blender(self._plan.blenders)) is not None:
            raise no_blender(why)

    def _note_runner(self) -> None:
        folder = self._plan.folder
        facts = folder.last_announced(KEEPER) if folder.is_locked(KEEPER) else None
        self._runs = str((facts or {}).get("command", self._runs))

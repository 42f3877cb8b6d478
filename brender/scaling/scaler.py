"""What `brender scale` does, again and again: look at the farm and at the provider, decide, and do it."""

import logging
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from brender.model.errors import BrenderError
from brender.scaling.decisions import Decision, Limits, Phase, Trouble, Work, decide, duration
from brender.scaling.farm import FarmLink, new_name
from brender.scaling.fleet import Fleet, Look
from brender.scaling.provider import Provider, ProviderRefused

log = logging.getLogger("brender.scale")

_NUMBER = re.compile(r"\d[\d.,]*")


@dataclass
class Scaler:
    """Keeps the *fleet* of *provider* between *limits*. *clock* is monotonic, in seconds."""

    fleet: str
    provider: Provider
    farm: FarmLink
    limits: Limits
    clock: Callable[[], float]
    _fleet: Fleet = field(default_factory=Fleet)
    _trouble: Trouble = field(default_factory=Trouble)
    _said: str = ""

    def plan(self) -> Decision:
        """Return what there is to do now. Nothing is done. Raises `BrenderError`, where the farm or the provider cannot be
        asked."""
        now = self.clock()
        look, work = self._look(now)
        return decide(self.limits, work, look.members, self._trouble, self._fleet.start_seconds, now)

    def step(self) -> Decision:
        """Look, decide, and do it. Returns what was decided. Raises `BrenderError`, where the farm or the provider cannot be
        asked: then nothing is started or ended."""
        now = self.clock()
        look, work = self._look(now)
        self._learn(look, now)
        decision = decide(self.limits, work, look.members, self._trouble, self._fleet.start_seconds, now)
        for name in decision.drain:
            self.farm.drain(name)
        self._give_up(decision.give_up, look, now)
        for name in (*decision.withdraw, *decision.give_up):
            self.provider.withdraw(name, at_once=False)
            self._fleet.ending(name, now)
        for name in decision.kill:
            self.provider.withdraw(name, at_once=True)
        self._clean(look)
        if decision.start:
            self._start(decision.start)
        return decision

    @property
    def refused(self) -> str:
        """Why the last start failed, or "" if it did not."""
        return self._trouble.why

    def run(self, ended: threading.Event, every: float) -> None:
        """Do so every so many seconds, until *ended* is set."""
        while not ended.is_set():
            try:
                self.say(self.step().why)
            except BrenderError as error:
                self.say(f"nothing is started or ended: {error}", logging.WARNING)
            except Exception:  # (a provider that others wrote, for example)
                log.exception("nothing is started or ended: this went wrong")
            ended.wait(every)

    def say(self, text: str, level: int = logging.INFO) -> None:
        """Log *text* where it is not what was said last, but for its numbers."""
        if (words := _NUMBER.sub("", text)) != self._said:
            self._said = words
            log.log(level, "%s", text)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _look(self, now: float) -> tuple[Look, Work]:
        view = self.farm.look(now)
        return self._fleet.look(self.provider.allocations(), view.rows, now), view.work

    def _learn(self, look: Look, now: float) -> None:
        """Take note of what came of earlier starts."""
        if look.joined:
            self._trouble = Trouble()
            log.info("%s joined", ", ".join(look.joined))
        if look.failed:
            name = look.failed[-1]
            said = self._traced(name)
            self._trouble = self._trouble.again(f"{name} ended before it joined{': ' + said if said else ''}", now)
            log.warning("%s", self._trouble.why)
            for each in look.failed:
                self.farm.revoke_key(each)
                self.provider.tidy(each)

    def _start(self, count: int) -> None:
        # Which the queue may be in front of, and which then has to start.
        join, token = self.farm.token(count, self.limits.queue + self.limits.join)
        begun = 0
        try:
            for _ in range(count):
                name = new_name(self.fleet)
                self.provider.start(name, join)
                begun += 1
                self._fleet.started(name, self.clock())
                log.info("%s is started", name)
        except ProviderRefused as error:
            self._trouble = self._trouble.again(str(error), self.clock())
            log.warning("%s", error)
            if not begun:
                self.farm.revoke_token(token)

    def _give_up(self, names: Collection[str], look: Look, now: float) -> None:
        """Take note that *names* have not come in time, as one failure; those that are gone had joined."""
        late = [member for member in look.members if member.name in names and member.phase is not Phase.GONE]
        for member in late:
            self.farm.revoke_key(member.name)
        if late:
            last = late[-1]
            waited = last.phase is Phase.WAITING
            about = last.about if waited else self._traced(last.name)
            what = "was not begun" if waited else "did not join"
            within = duration(self.limits.queue if waited else self.limits.join)
            self._trouble = self._trouble.again(f"{last.name} {what} within {within}{': ' + about if about else ''}", now)
            log.warning("%s", self._trouble.why)

    def _clean(self, look: Look) -> None:
        """Leave no dead names behind."""
        for name, id in look.dead.items():
            if self.farm.forget(id, name):
                log.info("%s has left, and is forgotten", name)
                self.provider.tidy(name)

    def _traced(self, name: str) -> str:
        try:
            return self.provider.trace(name)
        except BrenderError:
            return ""

"""How many workers a fleet should have: what is started, asked to leave, and given up. Pure.

A *fleet* is the workers that one `brender scale` keeps through one provider; a *member* is one of them, from the moment that the
provider was asked for it. Times are seconds on one monotonic clock.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil

from brender.model.text import plural

#: Seconds that a task is taken to need while nobody knows: none like it has been rendered yet.
UNKNOWN_SECONDS = 60.0
#: Seconds until a provider that refused is asked again: at first, and at most.
_BACK_OFF, _BACK_OFF_MOST = 15.0, 900.0
#: Seconds after which one that was to end, and has not, is killed.
_ENDS_WITHIN = 60.0


class Phase(StrEnum):
    """How a member stands."""

    WAITING = "waiting"
    """The provider has not begun it: it waits in Slurm's queue, for example."""
    STARTING = "starting"
    """It runs, and has not joined the farm yet."""
    IDLE = "idle"
    BUSY = "busy"
    HELD = "held"
    """It is in the farm and takes nothing: somebody disabled it, it sleeps, its disk is full."""
    LEAVING = "leaving"
    """It finishes what it renders, and leaves."""
    ENDING = "ending"
    """Its provider was asked to end it before it had joined, or after it was gone, and still has it."""
    GONE = "gone"
    """It has left the farm, or is not heard there any more, and the provider still has it."""


#: Phases of members that render, or soon will.
SERVING = (Phase.WAITING, Phase.STARTING, Phase.IDLE, Phase.BUSY)
_COMING = (Phase.WAITING, Phase.STARTING)


@dataclass(frozen=True)
class Member:
    """A worker of the fleet, by its name; ``since`` when it has been in its phase. ``about``: why it waits, or where it runs, for
    a person."""

    name: str
    phase: Phase
    since: float
    about: str = ""


@dataclass(frozen=True)
class Limits:
    """What somebody wants of a fleet. ``least`` and ``most`` workers; times are seconds.

    ``within``: what is queued should be done in so long. ``linger``: so long a worker stays that has nothing to render.
    ``join``: after so long a worker is given up that runs and does not join. ``queue``: after so long one is given up that the
    provider does not begin.
    """

    least: int = 0
    most: int = 1
    within: float = 1800.0
    linger: float = 300.0
    join: float = 600.0
    queue: float = 7200.0


@dataclass(frozen=True)
class Work:
    """What the farm has for the fleet: the ``tasks`` that no worker renders yet, ``unknown`` of them with a time that nobody
    knows, and the ``seconds`` that all the others take on one worker, with what runs now. ``others``: the workers outside of the
    fleet that can take some of it, ``others_idle`` those of them that are idle. ``calm_since``: since when there has been none,
    ``None`` where there is. ``unfit``: why other jobs are not counted, as a sentence, or "" if all are."""

    tasks: int = 0
    unknown: int = 0
    seconds: float = 0.0
    others: int = 0
    others_idle: int = 0
    calm_since: float | None = None
    unfit: str = ""

    @property
    def all_seconds(self) -> float:
        """Seconds of work for one worker, those that are not known guessed."""
        return self.seconds + self.unknown * UNKNOWN_SECONDS


@dataclass(frozen=True)
class Trouble:
    """How often in a row a start was refused, or never joined; when that was last, and why."""

    count: int = 0
    at: float = 0.0
    why: str = ""

    def again(self, why: str, now: float) -> "Trouble":
        return Trouble(self.count + 1, now, why)

    @property
    def until(self) -> float:
        """When the next start may be tried."""
        return self.at + min(_BACK_OFF * 2 ** min(self.count - 1, 10), _BACK_OFF_MOST) if self.count else 0.0


@dataclass(frozen=True)
class Decision:
    """What to do.

    ``start`` so many; ask ``drain`` to finish and leave; have the provider end ``withdraw``, which are not needed and have not
    joined, and ``give_up``, which have not come in time; and ``kill`` those that were to end and have not. ``why``: a sentence.
    """

    start: int = 0
    drain: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()
    give_up: tuple[str, ...] = ()
    kill: tuple[str, ...] = ()
    why: str = ""


def decide(
    limits: Limits, work: Work, members: Collection[Member], trouble: Trouble, start_seconds: float, now: float
) -> Decision:
    """Return what to do with a fleet of *members*. *start_seconds*: how long a worker takes from its start until it joins."""
    ordered = sorted(members, key=lambda member: (member.since, member.name))
    given_up = tuple(member.name for member in ordered if _is_given_up(member, limits, now))
    kill = tuple(each.name for each in ordered if each.phase is Phase.ENDING and now - each.since >= _ENDS_WITHIN)
    left = [member for member in ordered if member.name not in given_up]
    serving = [member for member in left if member.phase in SERVING]
    wanted, reason = _wanted(limits, work, serving, start_seconds)
    stays = max(limits.least, wanted)
    unneeded = _unneeded(limits, work, serving, stays, now)
    excess = _excess(limits, left, unneeded)
    going = [*unneeded, *excess]
    withdraw = tuple(each.name for each in going if each.phase in _COMING)
    drain = tuple(each.name for each in going if each.phase not in _COMING)
    # Whether others would join where some have not is seen in the next round.
    lacking = stays - len(serving) if not given_up else 0
    start = max(0, min(lacking, limits.most - len(ordered)))
    if start and trouble.count:
        # What has failed is tried with one, and not before its time.
        start = 1 if now >= trouble.until and not any(each.phase is Phase.STARTING for each in serving) else 0
    decision = Decision(start, drain, withdraw, given_up, kill)
    return replace(decision, why=_why(decision, limits, work, left, trouble, lacking, reason, now))


def _is_given_up(member: Member, limits: Limits, now: float) -> bool:
    waits = {Phase.WAITING: limits.queue, Phase.STARTING: limits.join, Phase.GONE: limits.join}
    return member.phase in waits and now - member.since >= waits[member.phase]


def _wanted(limits: Limits, work: Work, serving: Sequence[Member], start_seconds: float) -> tuple[int, str]:
    """Return how many serving members the work wants, whatever the limits, and why, for a person."""
    if not work.tasks:
        # Those that render are left to it; whether idle ones go is a matter of time.
        return sum(member.phase is Phase.BUSY for member in serving), "nothing is queued that this fleet could take"
    busy, here = sum(member.phase is Phase.BUSY for member in serving), len(serving)
    resting = sum(member.phase is Phase.IDLE for member in serving)
    now_at_it = here + work.others
    wait = work.all_seconds / max(1, now_at_it)
    queued = f"{plural(work.tasks, 'task')} {'waits' if work.tasks == 1 else 'wait'}"
    if now_at_it:
        queued += f", about {duration(wait)} of work for {plural(now_at_it, 'worker')}"
    else:
        queued += f", about {duration(work.all_seconds)} of work, and there is no worker for it"
    if resting or work.others_idle >= work.tasks:
        return min(here, busy + _coming(serving) + 1), f"{queued}, and there are idle ones"
    if now_at_it and wait <= limits.within:
        return here, f"{queued}: no more than the {duration(limits.within)} that it may take"
    if now_at_it and wait <= start_seconds:
        return here, f"{queued}, and a further one takes {duration(start_seconds)} to start"
    needed = max(1, ceil(work.all_seconds / limits.within))
    # No more than there are tasks for: those that are coming take one each as well.
    useful = min(needed, work.tasks + busy + max(0, work.others - work.others_idle))
    return max(here, useful - work.others) if now_at_it else max(1, useful), queued


def _coming(serving: Sequence[Member]) -> int:
    return sum(member.phase in _COMING for member in serving)


def _unneeded(limits: Limits, work: Work, serving: Sequence[Member], stays: int, now: float) -> list[Member]:
    """Return those of *serving* that have had nothing to render for long, the longest first, as far as *stays* are left."""
    calm = work.calm_since is not None and now - work.calm_since >= limits.linger
    rests = [
        member
        for member in serving
        if (member.phase is Phase.IDLE and now - member.since >= limits.linger) or (member.phase in _COMING and calm)
    ]
    return rests[: max(0, len(serving) - stays)]


def _excess(limits: Limits, left: Sequence[Member], unneeded: Sequence[Member]) -> list[Member]:
    """Return those that are more than the most that there may be, those first that render nothing."""
    order = (Phase.HELD, Phase.WAITING, Phase.STARTING, Phase.IDLE, Phase.BUSY)
    there = [member for member in left if member.phase in order and member not in unneeded]
    there.sort(key=lambda member: (order.index(member.phase), -member.since))
    return there[: max(0, len(there) - limits.most)]


def _why(
    decision: Decision,
    limits: Limits,
    work: Work,
    left: Sequence[Member],
    trouble: Trouble,
    lacking: int,
    reason: str,
    now: float,
) -> str:
    """Return why *decision* was made, as a sentence without its full stop."""
    counts = {phase: sum(member.phase is phase for member in left) for phase in Phase}
    waits = next((f" ({each.about})" for each in left if each.phase is Phase.WAITING and each.about), "")
    have = ", ".join(f"{count} {phase}{waits * (phase is Phase.WAITING)}" for phase, count in counts.items() if count)
    said = [f"{have or 'no worker'} of {limits.least} to {limits.most}", reason]
    if work.unfit:
        said.append(work.unfit)
    if decision.start:
        said.append(f"{plural(decision.start, 'worker')} {'is' if decision.start == 1 else 'are'} to be started")
    elif lacking > 0 and trouble.count:
        wait = f"the next is tried in {duration(max(1.0, trouble.until - now))}" if now < trouble.until else "one is being tried"
        said.append(f"{plural(trouble.count, 'start')} failed in a row ({trouble.why}), and {wait}")
    elif work.tasks and len(left) >= limits.most and work.all_seconds / max(1, len(left) + work.others) > limits.within:
        said.append("no more may be started (--most)")
    if decision.drain:
        said.append(f"{', '.join(decision.drain)} {_is(decision.drain)} to finish and leave")
    if decision.give_up:
        said.append(f"{', '.join(decision.give_up)} did not come in time and {_is(decision.give_up)} given up")
    if decision.withdraw:
        said.append(f"{', '.join(decision.withdraw)} {_is(decision.withdraw)} not needed any more")
    return "; ".join(said)


def _is(named: Sequence[str]) -> str:
    return "is" if len(named) == 1 else "are"


def duration(seconds: float) -> str:
    """Return *seconds* as people say it, roughly.

    >>> duration(20), duration(120), duration(5400), duration(200_000)
    ('20 s', '2 min', '1.5 h', '56 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36_000 else f"{seconds / 3600:.0f} h"

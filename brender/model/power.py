"""Putting idle machines to sleep and waking them, by two commands that the farm's owner gives. Pure: values and words."""

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from brender.model.errors import BadInput
from brender.model.hooks import words_of
from brender.model.nodes import WorkerInfo
from brender.model.text import harmless

#: How the reasons of a worker begin that was put to sleep, or is being woken; and what is in it once it could not be woken.
ASLEEP, BEING_WOKEN = "it sleeps since", "it is being woken since"
SLEEPING = (ASLEEP, BEING_WOKEN)
NOT_WOKEN = "could not be woken"
#: What stands in a command for what differs from machine to machine.
PLACEHOLDERS = ("name", "mac", "host")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_HOST = re.compile(r"(?!(?:localhost|127\.[\d.]*|0[\d.]*)$)[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.IGNORECASE)
#: A command such as ``ssh`` passes its words on to a shell of another machine: nothing that means something there.
_NAME = re.compile(r"\w[\w.-]*")
_AFTER = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_SHORTEST_SECONDS = 5.0


class Phase(StrEnum):
    """How far a worker is that does not work to save power."""

    GOING = "going"
    """It is to sleep: it finishes what it has, and the command runs."""
    ASLEEP = "asleep"
    WAKING = "waking"


@dataclass(frozen=True)
class PowerPlan:
    """What the farm's owner wants: the ``wake`` and ``sleep`` commands (words; none: it is not done), after how many seconds of
    idleness a machine is put to sleep, of which ``workers`` (names or tags; none: all), and within how many seconds of being
    woken it has to be back."""

    wake: tuple[str, ...] = ()
    sleep: tuple[str, ...] = ()
    after: float = 1200.0
    within: float = 300.0
    workers: frozenset[str] = frozenset()

    def covers(self, worker: WorkerInfo) -> bool:
        """Return whether *worker* is one of those that it is about."""
        return not self.workers or worker.name in self.workers or bool(self.workers & worker.tags)


#: Machines do not sleep.
NO_PLAN = PowerPlan()


class Sleep(msgspec.Struct):
    """What the record keeps of a worker that is put to sleep, sleeps, or is woken: since when (``since``, seconds since the
    epoch) and ``why``; how often it was woken in vain (``tried``), and what the last try said (``trouble``). ``was_off``: it
    was not put to sleep, and somebody has it woken nevertheless."""

    phase: Phase
    since: float
    why: str
    tried: int = 0
    trouble: str = ""
    was_off: bool = False


@dataclass
class Sleeper:
    """A worker that is put to sleep, sleeps, or is woken. What is beside its ``state`` is known to this server only. Times are
    monotonic there: by the clock of the day nothing that a machine does can be told from a clock that was set."""

    info: WorkerInfo
    state: Sleep
    slept: float = float("-inf")
    """When it fell asleep; -inf: before this server began."""
    term: str = ""
    """By what term it was registered then."""
    registered: float = float("-inf")
    """When it was last registered by another term."""
    woken: float | None = None
    """Since when it is being woken."""
    roused: float = float("-inf")
    """When it was taken for awake."""
    wanted: float | None = None
    """Since when work waits for its machine."""
    not_before: float = float("-inf")
    """Before when its machine, which was woken in vain, is not woken again."""
    failed: tuple[float, str] | None = None
    """When the command failed that was to put its machine to sleep, and why. Perhaps that sleeps nevertheless, by an earlier
    one: a server that was restarted gives it again. Its next heartbeat tells."""

    @property
    def phase(self) -> Phase:
        return self.state.phase

    @property
    def machine(self) -> str:
        """The host that it runs on; all workers of it sleep together."""
        return self.info.host or self.info.id


def read_command(text: str) -> tuple[str, ...]:
    """Return the words of the command *text*, which no shell sees, or "". Raises `BadInput`."""
    words = tuple(words_of(text))
    wrong = [each for word in words for each in _PLACEHOLDER.findall(word) if each not in PLACEHOLDERS]
    if wrong:
        known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
        raise BadInput(f"{{{wrong[0]}}} is not known in a command of [power]: write {known}")
    return words


def command_for(command: tuple[str, ...], worker: WorkerInfo) -> tuple[str, ...]:
    """Return *command* for the machine of *worker*. What the worker says of itself becomes part of a word, and never a word or an
    option of its own. Raises `BadInput` where it did not say it, or says what cannot be that.

    >>> command_for(("wakeonlan", "{mac}"), WorkerInfo(id="1", incarnation=1, name="w", mac="00:11:22:33:44:55"))
    ('wakeonlan', '00:11:22:33:44:55')
    """
    values = {"name": worker.name, "mac": worker.mac, "host": worker.host}
    for name in sorted({each for word in command for each in _PLACEHOLDER.findall(word)}):
        value = values[name]
        fits = {"mac": _MAC, "host": _HOST, "name": _NAME}[name].fullmatch(value)
        if not value or not fits:
            what = {"mac": "MAC address", "host": "host name"}.get(name, name)
            known = f"says that its {what} is {harmless(value)!r}, which cannot be in a command"
            said = known if value else f"does not say its {what}"
            raise BadInput(f"The worker {harmless(worker.name)} {said}, and the command has {{{name}}}")
    return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in command)


def read_after(text: str) -> float:
    """Return the seconds that *text* says, such as ``20m``, ``1h30m`` or ``45s``. Raises `BadInput`.

    >>> read_after("1h30m")
    5400.0
    """
    found = _AFTER.fullmatch(text.strip().lower())
    hours, minutes, seconds = (float(each or 0) for each in found.groups()) if found else (0.0, 0.0, 0.0)
    if (total := hours * 3600 + minutes * 60 + seconds) < _SHORTEST_SECONDS:
        raise BadInput(f"{text!r} is not a duration of {_SHORTEST_SECONDS:.0f} seconds or more: write 20m, 1h30m or 45s")
    return total

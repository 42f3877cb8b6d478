"""What the roles' own logs say: each event, its level and its sentence, in one place.

A core says that something happened (`brender.roles.effects.LogEvent`); its loop logs it with `log_event`, after the record has it
where there is one. Programs read the event and its fields (``--log-format json``), people the sentence.
"""

import logging
from collections.abc import Mapping
from typing import Any

#: Levels by their names, from the one with most lines to the one with fewest.
LEVELS = ("debug", "info", "warning", "error")
#: Whose lines are shown from their level on; of libraries only warnings are.
OURS = ("brender", "dashboard")
#: Seconds after which a parent that nothing is heard from is called silent, and between two lines that say so.
SILENT_SECONDS, SILENT_AGAIN_SECONDS = 4.0, 60.0

_NO_CONNECTION = (
    "There is no connection to {address}. Is the {parent} running there, and does it listen at that address (--listen)? It "
    "tries again until there is one, and keeps its messages meanwhile"
)
_NO_ANSWER = "The connection to {address} stands, but nothing comes: the {parent} hangs, or is overloaded. Its own log says more"
_INFO, _WARNING = logging.INFO, logging.WARNING
#: By event: its level and its sentence, with the names of its fields.
SENTENCES: dict[str, tuple[int, str]] = {
    # Every role
    "started": (_INFO, "{text}"),
    "failed-to-run": (logging.ERROR, "{text}"),
    "log-level-set": (_WARNING, "logs from {level} on"),
    "joined": (_INFO, "joined the {whom} at {address}"),
    "parent-silent": (_WARNING, "nothing heard from the {parent} for {lasted}{hint}"),
    "parent-back": (_WARNING, "the {parent} is heard again, after {lasted}"),
    "server-silent": (_WARNING, "server silent for {lasted}; renders go on, nothing new starts{hint}"),
    "server-back": (_WARNING, "the server answers again, after {lasted}"),
    "server-heard": (_WARNING, "the server answers again"),
    # The server. Its activity log has its own sentences, by the action's name.
    "job-started": (_INFO, "{name} started: its first frame is with {worker}"),
    "attempt-failed": (_WARNING, "{what} of {name} failed on {worker}: {reason}"),
    # A manager
    "worker-joined": (_INFO, "the worker {name} joined, from {host}"),
    "worker-left": (_WARNING, "the worker {name} {reason}"),
    "worker-moved": (_INFO, "the worker {name} turned to another manager"),
    # A worker
    "attempt-started": (_INFO, "{what} of the job {job} started"),
    "attempt-ended": (_INFO, "{what} of the job {job} completed in {seconds:.1f} s"),
    "attempt-stopped": (_WARNING, "{what} of the job {job} ended after {seconds:.1f} s: {reason}"),
    "leaving": (_WARNING, "{text}"),
    "takes-no-work": (_WARNING, "takes nothing new: {reason}"),
    "takes-work": (_INFO, "takes work again"),
}
#: Events whose sentences name the role's parent and its address.
ABOUT_PARENT = frozenset({"joined", "parent-silent", "parent-back", "server-silent", "server-back"})
#: Actions of the activity log that somebody should look at.
_GRAVE = frozenset({"failed", "kept-off", "manager-left", "worker-left"})


def read_event(event: str, fields: Mapping[str, Any]) -> tuple[int, str]:
    """Return the level and the sentence of *event*; of one that is not in the table, its field ``text``.

    >>> read_event("server-silent", {"parent": "server", "address": "a:1", "seconds": 12.3, "connected": False})[1][:96]
    'server silent for 12 s; renders go on, nothing new starts. There is no connection to a:1. Is the'
    """
    level, template = SENTENCES.get(event, (_WARNING if event in _GRAVE else _INFO, "{text}"))
    if "text" in fields:  # a sentence of the activity log
        return _WARNING if event in _GRAVE else level, str(fields["text"])
    known = dict(fields)
    known["whom"] = " ".join(dict.fromkeys(str(fields[each]) for each in ("parent", "name") if fields.get(each)))
    known["lasted"] = _lasted(float(fields.get("seconds", 0.0)))
    known["hint"] = ""
    if "connected" in fields:
        about = {"parent": fields.get("parent", ""), "address": fields.get("address", "")}
        trouble = str(fields.get("trouble") or "")
        hint = (
            f"At {about['address']}: {trouble}"
            if trouble and about["address"]
            else trouble or (_NO_ANSWER if fields["connected"] else _NO_CONNECTION).format(**about)
        )
        known["hint"] = f". {hint}"
    return level, template.format_map(known)


def log_event(log: logging.Logger, event: str, fields: Mapping[str, Any]) -> None:
    """Log *event* as its sentence, with what programs read beside it."""
    level, sentence = read_event(event, fields)
    if log.isEnabledFor(level):
        log.log(level, "%s", sentence, extra={"event": event, "fields": dict(fields)})


def set_level(level: str) -> None:
    """Let this process log from *level* on, one of `LEVELS`, until it ends; and say so."""
    log = logging.getLogger("brender")
    log.setLevel(logging.WARNING)  # whichever of the two levels is higher, this is said
    log_event(log, "log-level-set", {"level": level})
    for each in OURS:
        logging.getLogger(each).setLevel(level.upper())


#: How the reasons begin for which a worker or manager leaves because somebody wants it.
ON_PURPOSE = ("it was asked ", "the worker was stopped")


def why_gone(reason: str) -> str:
    """Return *reason*, for which a worker or manager is gone, as it stands after its name.

    >>> why_gone("it was asked to finish and stop"), why_gone("the worker was stopped"), why_gone("was not heard")
    ('left, as it was asked to', 'was stopped', 'was not heard')
    """
    for subject in ("it ", "the worker ", "the manager "):
        reason = reason.removeprefix(subject)
    return "left, as it was asked to" if reason.startswith("was asked to ") else reason


def frames_in_words(frames: list[int]) -> str:
    """Return which frames an attempt is about.

    >>> frames_in_words([7]), frames_in_words([7, 8, 9])
    ('frame 7', 'frames 7 to 9')
    """
    return f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}" if frames else "a task"


def _lasted(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{whole} s"

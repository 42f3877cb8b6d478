"""What the add-on does by itself now and then, beside Blender: it asks how far jobs are and what the scene comes to, sends what
waits, and fetches frames as they arrive."""

import functools
import os
import time

import bpy

from . import cards, checks, form, outbox, state
from .background import Work
from .client import Away, Canceled, FarmError, SignedOut, unlike
from .jobs import mine
from .preferences import farm_at, farm_of, has_token, look_at, outbox_folder, recall, take
from .sending import outlook_of_all

_TICK_SECONDS = 0.5
_REFRESH_SECONDS = 5.0
#: How long it waits before it tries again to send what waits.
_SEND_SECONDS = 20.0
#: So long after the panel was drawn somebody still sees it.
_DRAWN_SECONDS = 10.0


class _Beside:
    """Something that is asked now and then in a thread, *seconds* apart: *begin* returns a `Work`, or ``None`` where there is
    nothing to ask, and *end* takes what came of it."""

    def __init__(self, seconds, begin, end):
        self._seconds = seconds
        self._begin = begin
        self._end = end
        self.work = None
        self.due = 0.0

    def tick(self):
        if self.work is not None:
            if self.work.going:
                return
            work, self.work = self.work, None
            self.due = time.monotonic() + self._seconds
            try:
                self._end(work)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                # (Blender takes a timer away that raises, and nothing that waits would be sent any more.)
                state.problem = str(unlike(work.farm, error))
            state.redraw()
        elif time.monotonic() >= self.due:
            self.due = time.monotonic() + self._seconds
            self.work = self._begin()

    def stop(self):
        if self.work is not None:
            self.work.interrupt()
            self.work.wait(2.0)
            self.work = None
        self.due = 0.0


def _farm():
    """Return the farm to be asked in the background, or ``None``."""
    if not has_token(bpy.context):
        return None
    try:
        return farm_of(bpy.context)
    except FarmError as error:
        state.problem = str(error)
        return None


def _ask_jobs():
    farm = _farm()
    if farm is None or time.monotonic() - state.drawn > _DRAWN_SECONDS:
        return None
    is_new = state.me is None or not state.asked

    def doing(say):
        known, jobs = look_at(farm) if is_new else None, mine(farm)
        cards.look(farm, jobs)
        return known, jobs

    return Work(farm, doing)


def _take_jobs(work):
    if work.error is None:
        known, state.jobs = work.result
        if known:
            state.asked = True
            take(bpy.context, known)
    state.problem = str(work.error or "")
    state.signed_out = isinstance(work.error, SignedOut)


def _ask_forecast():
    """Ask what the scene comes to: by what it says of itself, nothing is sent."""
    farm = _farm()
    if farm is None or not state.kinds or state.work is not None or time.monotonic() - state.drawn > _DRAWN_SECONDS:
        return None
    scenes = form.chosen_scenes(bpy.context)
    state.warnings = list(dict.fromkeys(words for each in scenes for words in checks.amiss(each)))
    paths = checks.used_files()
    name = os.path.basename(bpy.data.filepath) or "untitled.blend"
    try:
        asked = [(each.name, form.job_of(each, name) | {"facts": checks.facts_of(each)}) for each in scenes]
    except FarmError as error:
        state.warnings.append(str(error))
        return Work(farm, lambda say: (checks.missing(paths), []))

    def doing(say):
        try:
            return checks.missing(paths), outlook_of_all([(each, farm.ask("/estimate", job)) for each, job in asked])
        except FarmError as error:
            return checks.missing(paths), [] if error.is_unknown_there or isinstance(error, Away) else [str(error)]

    return Work(farm, doing)


def _take_forecast(work):
    if work.error is None:
        missing, state.forecast = work.result
        state.warnings = state.warnings + missing
        state.is_missing = bool(missing)


def _ask_frames():
    farm = _farm() if state.followed else None
    if farm is None:
        return None
    followed = list(state.followed.values())
    return Work(farm, lambda say: [(each, _looked(each, farm, say)) for each in followed])


def _looked(followed, farm, say):
    """Fetch what is new of *followed*. Return whether it is to be shown, or why it cannot be fetched (a `FarmError`)."""
    try:
        return bool(followed.arriving.look(farm, say) or followed.arriving.is_ended)
    except (Away, Canceled):
        return False
    except FarmError as error:
        return error


def _take_frames(work):
    for each, found in work.result or ():
        try:
            if isinstance(found, FarmError):
                raise found
            if found:
                each.show(bpy.context)
        except FarmError as error:
            state.outlook = [f"The frames of {each.arriving.name} come no further: {error}"]
            each.arriving.is_ended = True
        key = each.arriving.id, each.target
        if each.arriving.is_ended and state.followed.get(key) is each:
            del state.followed[key]


#: The id of what was tried last to be sent.
_tried = ""


def _send_waiting():
    """Send what could not be sent before: one each time, in turn, so that a farm that is gone keeps nothing from another."""
    global _tried
    state.waiting = outbox.entries(outbox_folder())
    if state.work is not None:
        return None
    for entry in sorted(state.waiting, key=lambda each: (each.id <= _tried, each.id)):
        if entry.problem:
            continue
        _tried = entry.id
        try:
            farm = farm_at(entry.address)
        except FarmError:
            continue
        work = Work(farm, functools.partial(_sent, entry, farm))
        state.sending = work
        return work
    return None


def _sent(entry, farm, say):
    farm.ask("/me")  # (whether it is there at all)
    try:
        return entry.send(farm, say)
    except (Away, Canceled, outbox.SentElsewhere):
        raise
    except (FarmError, KeyError, TypeError) as problem:
        error = problem if isinstance(problem, FarmError) else unlike(farm, problem)
        if os.path.isdir(entry.path):
            entry.set_problem(str(error))
        raise error from problem


def _take_sent(work):
    state.sending = None
    state.waiting = outbox.entries(outbox_folder())
    if work.error is None:
        state.outlook = [f"{each['name']} is submitted: {each['what']}" for each in work.result]
        state.look_at_jobs = True
        state.send_now = bool(state.waiting)


_jobs = _Beside(_REFRESH_SECONDS, _ask_jobs, _take_jobs)
_forecast = _Beside(_REFRESH_SECONDS, _ask_forecast, _take_forecast)
_outbox = _Beside(_SEND_SECONDS, _send_waiting, _take_sent)
_frames = _Beside(_REFRESH_SECONDS, _ask_frames, _take_frames)
_ALL = (_jobs, _forecast, _outbox, _frames)


def tick():
    """Do what is due beside Blender. Called by a timer; returns in how many seconds it is to be called again."""
    recall(bpy.context)
    if state.look_at_jobs:
        state.look_at_jobs = False
        _jobs.due = 0.0
    if state.send_now:
        state.send_now = False
        _outbox.due = 0.0
    for each in _ALL:
        each.tick()
    return _TICK_SECONDS


def register():
    if not bpy.app.background:
        bpy.app.timers.register(tick, first_interval=_TICK_SECONDS, persistent=True)


def unregister():
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    for each in _ALL:
        each.stop()
    state.sending = None

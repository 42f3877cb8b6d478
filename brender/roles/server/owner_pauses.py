"""The activity log's sentences about workers that their machine's owner has paused (`brender pause-here`). Pure."""

from brender.model.nodes import GIVEN_BACK


def said_of_pause(name: str, before: str, after: str, is_open: bool) -> str | None:
    """Return what to say of the worker *name*, which gave *before* as the reason for which it takes nothing new, and gives
    *after* now; *is_open*: it takes tasks now. ``None`` where its owner's pause neither begins, nor ends, nor lasts longer."""
    was_paused, is_paused = (reason.startswith(GIVEN_BACK) for reason in (before, after))
    if is_paused and not (was_paused and _end_of(before) == _end_of(after)):
        return f"the worker {name} pauses: {after}"
    return f"the worker {name} goes on: its owner's pause is over" if was_paused and is_open else None


def _end_of(reason: str) -> str:
    """Return the time of day in *reason*: the day is left out once that has come."""
    return reason.split()[-1]

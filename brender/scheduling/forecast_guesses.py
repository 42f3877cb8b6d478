"""Forecasts of a queue in which nobody knows how long the tasks of some jobs take: what can be said of the others. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from brender.model.prospect import Expected
from brender.scheduling.forecast_lanes import Lane

if TYPE_CHECKING:
    from brender.scheduling.forecast import Work

#: What tasks of which nobody knows it take at least and at most, in seconds. (The latter is never.)
shortest, longest = 0.0, 1e10
#: A job of which the later forecast is so many times the sooner one is told to take longer than the sooner one, and no time.
_APART = 4.0


def guessed(lanes: Sequence[Lane], works: Sequence["Work"], seconds: float) -> tuple[list[Lane], list["Work"]]:
    """Return *lanes* and *works* in which each task takes so many *seconds* of which that is not known."""
    unknown = {work.job for work in works if not work.known}
    return (
        [replace(lane, left=seconds) if lane.job in unknown else lane for lane in lanes],
        [work if work.known else replace(work, seconds=seconds) for work in works],
    )


def between(sooner: Expected, later: Expected | None) -> Expected:
    """Return what is known of a job that lies between two forecasts (``None``: it never ends)."""
    if sooner.seconds is None or later == sooner:
        return sooner
    if later is None or later.seconds is None or later.seconds > _APART * sooner.seconds:
        return Expected(None, sooner.least, None)
    bounds = [each for found in (sooner, later) for each in (found.least, found.most) if each is not None]
    return Expected(sqrt(sooner.seconds * later.seconds), min(bounds), max(bounds))

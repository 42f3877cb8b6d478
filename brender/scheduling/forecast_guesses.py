"""Forecasts of a queue in which nobody knows how long the tasks of some jobs take: what can be said of the others. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

from brender.model.prospect import Expected
from brender.scheduling.forecast_lanes import Lane
from brender.scheduling.forecast_work import Work

#: The least and the most seconds that tasks may take whose time nobody knows. (The most means that they never end.)
SHORTEST, LONGEST = 0.0, 1e10
#: If the later forecast of a job is more than so many times the sooner one, it is told to take longer than that, and no time.
_APART = 4.0


def guessed(lanes: Sequence[Lane], works: Sequence[Work], seconds: float) -> tuple[list[Lane], list[Work]]:
    """Return *lanes* and *works* in which each task whose time is not known takes so many *seconds*."""
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

"""What is said of when a job will be done, and of how true that was."""

from collections.abc import Mapping
from typing import Any

from brender.commands.output import duration
from brender.model.prospect import Expected
from brender.model.spans import bounds_in_words, estimate_in_words
from brender.model.text import plural


def time_left(job: Mapping[str, Any]) -> str:
    """Return how long *job*, a row, probably still takes, or "" if nobody knows.

    >>> time_left({"eta_seconds": 7200.0, "eta_least": 6000.0, "eta_most": 9000.0})
    'about 2 h (1 h 40 min to 2 h 30 min)'
    >>> time_left({"eta_seconds": None, "eta_least": 7200.0, "eta_most": None})
    'more than 2 h (how much more is not known)'
    """
    expected = _expected(job)
    if expected.seconds is None:
        return f"{expected} (how much more is not known)" if expected.least is not None else ""
    bounds = bounds_in_words(expected.seconds, expected.least, expected.most)
    return f"{expected} ({bounds})" if bounds else str(expected)


def time_left_of_project(project: Mapping[str, Any]) -> str:
    """Return how long the open jobs of *project*, a row, still take, and of how many that is not known.

    >>> time_left_of_project({"eta_seconds": 7200.0, "eta_unknown": 2}), time_left_of_project({"eta_seconds": None})
    ('about 2 h, without 2 jobs', '')
    """
    known, unknown = str(_expected(project)), project.get("eta_unknown", 0)
    return f"{known}, without {plural(unknown, 'job')}" if known and unknown else known


def estimates_in_words(job: Mapping[str, Any]) -> list[str]:
    """Return what was expected of *job*, a row, while it went on, and how long it took from then where that is known.

    >>> made = [{"share": 0.1, "wall": 100.0, "seconds": 60.0}]
    >>> estimates_in_words({"estimates": made, "finished": 170.0, "status": "completed"})
    ['at 10 %: about 1 min more, and it took 1:10']
    """
    ended = job["finished"] if job["status"] == "completed" else None
    return [
        f"at {100 * each['share']:.0f} %: {estimate_in_words(each['seconds'])} more"
        + ("" if ended is None else f", and it took {duration(max(0.0, ended - each['wall']))}")
        for each in job.get("estimates", ())
    ]


def _expected(row: Mapping[str, Any]) -> Expected:
    return Expected(row.get("eta_seconds"), row.get("eta_least"), row.get("eta_most"))

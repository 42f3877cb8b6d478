"""What is said of when a job will be done, and of how true that was."""

from collections.abc import Mapping
from typing import Any

from brender.commands.output import duration

#: Bounds that are nearer than such a share of the time left to it are not told.
_TELLING = 0.1


def time_left(job: Mapping[str, Any]) -> str:
    """Return how long *job*, a row, probably still takes, or "" if nobody knows.

    >>> time_left({"eta_seconds": 7200.0, "eta_least": 6000.0, "eta_most": 9000.0})
    'about 2:00:00 (1:40:00 to 2:30:00)'
    """
    left, least, most = job["eta_seconds"], job.get("eta_least"), job.get("eta_most")
    if not left:
        return ""
    told = f"about {duration(left)}"
    if least is None or most is None or most - left < _TELLING * left:
        return told
    return f"{told} ({duration(least)} to {duration(most)})"


def estimates_in_words(job: Mapping[str, Any]) -> list[str]:
    """Return what was expected of *job*, a row, while it went on, and how long it took from then where that is known.

    >>> made = [{"share": 0.1, "wall": 100.0, "seconds": 60.0}]
    >>> estimates_in_words({"estimates": made, "finished": 170.0, "status": "completed"})
    ['at 10 %: 1:00 more, and it took 1:10']
    """
    ended = job["finished"] if job["status"] == "completed" else None
    return [
        f"at {100 * each['share']:.0f} %: {duration(each['seconds'])} more"
        + ("" if ended is None else f", and it took {duration(max(0.0, ended - each['wall']))}")
        for each in job.get("estimates", ())
    ]

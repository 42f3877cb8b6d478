"""Which job a name means that several have: one that has not ended, where that is clear."""

from typing import Literal

from brender.api.connection import Asking, Notify, silent
from brender.model.errors import BadInput
from brender.model.text import SHORT_ID, short_id

_HEXADECIMAL = frozenset("0123456789abcdef")


Choice = Literal["newest", "only", "exact"]
"""Which of several jobs of one name is meant: the ``newest`` of those that have not ended; the ``only`` one that has not ended;
or, ``exact``, none: the name has to be that of one job, ended or not."""


def chosen_job(connection: Asking, named: str, of_several: Choice, notify: Notify = silent) -> str:
    """Return the id of the job that *named*, a name of several jobs, means by *of_several*, and tell *notify* that it is taken.
    Returns *named* where it is no such name, or means none; the server says then what it means."""
    if of_several == "exact":
        return named
    if len(named) >= SHORT_ID and _HEXADECIMAL.issuperset(named):
        return named
    try:
        answer = connection.ask("unfinished", name=named)
    except BadInput:
        return named  # a server of an earlier version
    there = answer["unfinished"]
    if answer["jobs"] < 2 or not there or (len(there) > 1 and of_several == "only"):
        return named
    which = "the only one" if len(there) == 1 else "the newest"
    notify(f"{named!r} means {answer['jobs']:,} jobs. {short_id(there[0])}, {which} that has not ended, is taken")
    return str(there[0])

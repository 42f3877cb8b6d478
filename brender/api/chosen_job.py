"""Which job a name means that several have: one that has not ended, where that is clear."""

from typing import Literal

from brender.api.connection import Asking, Notify, silent
from brender.model.errors import BadInput
from brender.model.text import SHORT_ID, short_id

_HEXADECIMAL = frozenset("0123456789abcdef")


def chosen_job(connection: Asking, named: str, of_several: Literal["newest", "none"], notify: Notify = silent) -> str:
    """Return the id of the unfinished job that *named*, a name of several jobs, means, and tell *notify* that it is
    taken: the only one, or with *of_several* the newest. Returns *named* where it is no such name; the server says then what it
    means."""
    if len(named) >= SHORT_ID and _HEXADECIMAL.issuperset(named):
        return named
    try:
        answer = connection.ask("unfinished", name=named)
    except BadInput:
        return named  # a server of an earlier version
    there = answer["unfinished"]
    if answer["jobs"] < 2 or not there or (len(there) > 1 and of_several == "none"):
        return named
    which = "the only one" if len(there) == 1 else "the newest"
    notify(f"{named!r} means {answer['jobs']:,} jobs. {short_id(there[0])}, {which} that has not ended, is taken")
    return str(there[0])

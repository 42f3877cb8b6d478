"""What a project, a user or a licence may have of the farm: a weight in the fair share, and a limit."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from brender.model.errors import BadInput
from brender.model.obstacle import short_name
from brender.model.text import plural

#: What was used of the farm counts half after an hour, unless somebody sets another time.
HALF_LIFE_SECONDS = 3600.0
HALF_LIFE_LEAST, HALF_LIFE_MOST = 60.0, 365 * 86400.0
WEIGHT_LEAST, WEIGHT_MOST = 0.001, 1e6
LIMIT_MOST = 10**6


class QuotaKind(StrEnum):
    """What a quota is of. ``farm``: of all; its weight is the half-life in seconds."""

    PROJECT = "project"
    USER = "user"
    LICENCE = "licence"
    FARM = "farm"


#: The quota whose weight is the half-life, in seconds.
HALF_LIFE = QuotaKind.FARM, "half-life"


#: What `Quota.set` forgets what was said of it by: from then on the settings file counts again.
FROM_FILE = "file"


class Quota(msgspec.Struct, frozen=True):
    """``weight``: with 2, twice the share of the others; ``most``: so many tasks may be given out at a time, ``None``: any
    number; ``pool``: the one that a project's jobs belong to, "": none.

    ``by_command`` and ``by_file`` have what people set, and what the settings file says, by these names. What people set counts.
    """

    weight: float = 1.0
    most: int | None = None
    pool: str = ""
    by_command: dict[str, Any] = {}
    by_file: dict[str, Any] = {}

    def set(self, field: str, value: Any) -> "Quota":
        """Return it with what a person sets; `FROM_FILE`: nothing, any more."""
        said = {name: each for name, each in self.by_command.items() if name != field}
        return _quota(said if value == FROM_FILE else said | {field: value}, self.by_file)

    def read(self, said: dict[str, Any]) -> "Quota":
        """Return it with what the settings file says."""
        return _quota(self.by_command, said)

    @property
    def says(self) -> dict[str, Any]:
        """What is said of it by anybody, as it counts."""
        return self.by_file | self.by_command


def _quota(by_command: dict[str, Any], by_file: dict[str, Any]) -> Quota:
    return Quota(**(by_file | by_command), by_command=by_command, by_file=by_file)


def half_life_of(quota: Quota) -> float:
    """Return the half-life of shares, in seconds, that *quota*, the one called `HALF_LIFE`, says."""
    return quota.weight if "weight" in quota.says else HALF_LIFE_SECONDS


def check_weight(value: object, whose: str) -> float:
    """Return *value* as the weight of *whose*, in words. Raises `BadInput`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not WEIGHT_LEAST <= value <= WEIGHT_MOST:
        raise BadInput(
            f"The weight of {whose} cannot be {_shown(value)}: it is a number from {WEIGHT_LEAST:g} to {WEIGHT_MOST:,.0f}. To "
            f"give nothing to {whose} for a while, pause the jobs: `brender pause JOB`"
        )
    return float(value)


def check_licence(quota: Quota, name: str) -> None:
    """Raises `BadInput` where the farm does not have the licence *name*, by its *quota*."""
    if quota.most is None:
        raise BadInput(f"The farm has no licence {name!r}. `brender limits --licence {name}=4` says that it has four")


def check_most(value: object, whose: str) -> int | None:
    """Return *value* as the limit of *whose*, in words; ``None``: no limit. Raises `BadInput`."""
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LIMIT_MOST:
        raise BadInput(
            f"The limit of {whose} cannot be {_shown(value)}: it is a whole number from 0 to {LIMIT_MOST:,}, or `none`"
        )
    return value


def limit_in_words(most: int | None) -> str:
    """Return the limit *most* as what somebody has."""
    return "no limit" if most is None else f"a limit of {plural(most, 'task')} at a time"


def check_half_life(value: object) -> float:
    """Return *value* as a half-life in seconds. Raises `BadInput`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not HALF_LIFE_LEAST <= value <= HALF_LIFE_MOST:
        raise BadInput(f"The half-life of shares cannot be {_shown(value)} seconds: it is from a minute to a year")
    return float(value)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def turns_in_words(told: Mapping[str, Any], project: str, user: str, priority: int) -> str:
    """Return a sentence on whose turn it is where a job of *user* in *project* waits with this *priority*, by what is *told* of
    all shares (brender.store.shares); or "" if nobody else wants anything, or nothing is told of them."""
    highest = told.get("priority")
    if highest is not None and priority < highest:
        return f"Jobs of higher priority come first: it has {priority}, others have up to {highest}"
    own = next((row for row in told.get("projects", ()) if row["project"] == project), None)
    of_user = next((row for row in told["users"] if (row["project"], row["user"]) == (project, user)), None)
    if own is None or of_user is None or own["due"] is None or of_user["due"] is None:
        return ""
    said = []
    if own["due"] < 1.0:
        said.append(_had(f"the project {short_name(project)}", own, "of the farm"))
    if of_user["due"] < 1.0:
        whole = "of that" if said else f"of the project {short_name(project)}"
        said.append(_had(short_name(user) if user else "who has no name", of_user, whole))
    return f"Jobs of equal priority take turns by weight: {'; '.join(said)}. `brender shares` shows all" if said else ""


def _had(name: str, row: Mapping[str, Any], whole: str) -> str:
    return f"{name} is due {row['due'] * 100:.0f} % {whole} and had {row['had'] * 100:.0f} % lately"

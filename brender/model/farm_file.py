"""The tables of the settings file that are about the whole farm: what projects, users and licences may have. Pure.

``[shares]``: ``half-life`` in hours, and weights, ``projects = { film = 3 }``, ``users = { ada = 2 }``. ``[limits]``: tasks at a
time, for ``projects`` and ``users``. ``[licences]``: how many the farm has of each. ``[pools]``: of each project, the pool that
its jobs belong to.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from brender.model.errors import BadInput
from brender.model.quotas import HALF_LIFE, QuotaKind, check_half_life, check_most, check_weight
from brender.model.sharing import check_name

_HOUR = 3600.0
#: The tables, and what may stand in each beside names.
FARM_TABLES: Mapping[str, tuple[str, ...]] = {
    "shares": ("half-life", "projects", "users"),
    "limits": ("projects", "users"),
    "licences": (),
    "pools": (),
}
#: The command by which a person sets at run time what a table says.
COMMANDS = {"shares": "brender shares", "limits": "brender limits", "licences": "brender limits", "pools": "brender project set"}


class Said(NamedTuple):
    """What the file says: ``field`` (weight, most or pool) of the quota of ``kind`` and ``name`` is ``value``. It stands in
    ``table`` as ``key``."""

    table: str
    key: str
    kind: QuotaKind
    name: str
    field: str
    value: Any


def read_farm_tables(content: Mapping[str, Any]) -> tuple[Said, ...]:
    """Return what the tables of the farm in *content*, that of a settings file, say. Raises `BadInput` that names the table and
    the key."""
    found: list[Said] = []
    for table in FARM_TABLES:
        said = content.get(table, {})
        if not isinstance(said, Mapping):
            raise BadInput(f"[{table}] is a table, with settings below it")
        for key, value in said.items():
            try:
                found += _read(table, key, value)
            except BadInput as error:
                raise BadInput(f"[{table}] {key}: {error}") from error
    return tuple(found)


def _read(table: str, key: str, value: Any) -> list[Said]:
    match table:
        case "licences":
            check_name(key, "licence")
            return [Said(table, key, QuotaKind.LICENCE, key, "most", _number(check_most(value, f"the licence {key}")))]
        case "pools":
            if not isinstance(value, str):
                raise BadInput(f'{value!r} is not the name of a pool: write it in quotes, {key} = "film"')
            return [Said(table, key, QuotaKind.PROJECT, key, "pool", check_name(value, "pool"))]
    if key == "half-life" and table == "shares":
        return [Said(table, key, *HALF_LIFE, "weight", check_half_life(value * _HOUR if _is_number(value) else value))]
    if key not in FARM_TABLES[table]:
        raise BadInput(f"there is no such setting. There are: {', '.join(FARM_TABLES[table])}")
    if not isinstance(value, Mapping):
        raise BadInput(f"it is a table of names, such as {key} = {{ film = 3 }}")
    kind = QuotaKind(key.removesuffix("s"))
    if table == "shares":
        return [
            Said(table, f"{key}.{name}", kind, name, "weight", check_weight(each, f"the {kind} {name}"))
            for name, each in value.items()
        ]
    return [
        Said(table, f"{key}.{name}", kind, name, "most", _number(check_most(each, f"the {kind} {name}")))
        for name, each in value.items()
    ]


def _number(most: int | None) -> int:
    assert most is not None, "TOML has no nothing"
    return most


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

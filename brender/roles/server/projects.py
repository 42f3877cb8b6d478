"""Projects, path variables, and whether workers see what these lead to, in the server's core. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from brender.bus.messages import Done, Look, Manage, Seen
from brender.farm.farm import Farm
from brender.model.errors import BadInput, NotFound
from brender.model.paths import PLATFORMS, PathVariable, check_variable, places, platform_of
from brender.model.text import plural
from brender.roles.effects import Effect, Now, Peer, Reply, Send
from brender.roles.server.activity import ActivityLog

_DAY = 86_400.0
_NAME_LENGTH = 255


class Projects:
    """Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, activity: ActivityLog, emit: Callable[[Effect], None]) -> None:
        self.farm = farm
        self.activity = activity
        self.emit = emit

    def manage(self, message: Manage, now: Now) -> dict[str, Any]:
        """Carry out what an admin asks; returns the answer. Raises `BrenderError`.

        ``set-project``: ``name``, and what is to change of ``root``, ``keep_days`` and ``keep_bytes``. ``set-path``: ``name``,
        ``platform``, ``path``, ``site``. ``unset-path``: ``name``, and ``platform`` and ``site`` where not all is meant.
        """
        match message.what:
            case "set-project":
                return self._set_project(message.arguments, now)
            case "set-path":
                return self._set_path(message.arguments, now)
        return self._unset_path(message.arguments, now)

    def look(self, peer: Peer, look: Look, now: Now) -> None:
        """Have every worker look at a variable's folder; the client is told how many those are."""
        asked = []
        for worker in self.farm.workers.values():
            here = places(self.farm.paths, platform_of(worker.info.platform), worker.info.site)
            if look.variable in here:
                asked.append(worker.info.id)
                folder = here[look.variable]
                message = Look(id=look.id, worker=worker.info.id, variable=look.variable, folder=folder, proof=look.proof)
                self.emit(Send(worker.manager, message))
            else:
                problem = f"{{{look.variable}}} has no place there"
                self._saw(Seen(worker=worker.info.id, variable=look.variable, proof=look.proof, problem=problem), now)
        self.emit(Reply(peer.route, Done(id=look.id, data={"workers": sorted(self.farm.workers), "asked": sorted(asked)})))

    def seen(self, peer: Peer, seen: Seen, now: Now) -> None:
        """What a worker saw. (That the manager speaks for it has been checked.)"""
        self._saw(seen, now)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _saw(self, seen: Seen, now: Now) -> None:
        fields = {
            "proof": seen.proof,
            "digest": seen.digest,
            "writable": seen.writable,
            "problem": seen.problem[:500],
            "wall": now.wall,
        }
        self.farm.ledger.put("shared_folder", (seen.worker, seen.variable), fields)

    def _set_project(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        name = _text(arguments, "name")
        fields: dict[str, Any] = {}
        if (root := arguments.get("root")) is not None:
            fields["root"] = _absolute(str(root)) if root else ""
        if (days := arguments.get("keep_days")) is not None:
            fields["keep_days"] = float(_number(days, "keep_days"))
        if (size := arguments.get("keep_bytes")) is not None:
            fields["keep_bytes"] = int(_number(size, "keep_bytes"))
        self.farm.ledger.put("project", name, fields)
        self.activity.note(now, "project", f"the project {name} {_told(fields)}")
        return {"name": name, **fields}

    def _set_path(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        words = {key: str(arguments.get(key) or "") for key in ("name", "platform", "path", "site")}
        variable = check_variable(PathVariable(**words))  # type: ignore[arg-type]
        key = (variable.name, variable.platform, variable.site)
        self.farm.paths = (*(each for each in self.farm.paths if _key(each) != key), variable)
        self.farm.ledger.put("path_variable", key, {"path": variable.path})
        self._changed(f"{_shown(variable)} is {variable.path}", now)
        return {"name": variable.name, "platform": variable.platform, "site": variable.site, "path": variable.path}

    def _unset_path(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        name, platform, site = _text(arguments, "name"), arguments.get("platform"), arguments.get("site")
        if platform is not None and platform not in PLATFORMS:
            raise BadInput(f"{platform!r} is not a platform; there are: {', '.join(PLATFORMS)}")
        gone = [
            each
            for each in self.farm.paths
            if each.name == name and platform in (None, each.platform) and site in (None, each.site)
        ]
        if not gone:
            raise NotFound(f"There is no such path variable {name!r}. `brender path list` lists them")
        self.farm.paths = tuple(each for each in self.farm.paths if each not in gone)
        for each in gone:
            self.farm.ledger.drop("path_variable", _key(each))
            self._changed(f"{_shown(each)} is no more", now)
        return {"name": name, "removed": len(gone)}

    def _changed(self, text: str, now: Now) -> None:
        self.activity.note(now, "path", text)


@dataclass(frozen=True)
class Kept:
    """A job that has ended, for `outlived`: when, and the bytes of its frames that the farm itself keeps."""

    job: str
    finished: float
    size: int


def outlived(jobs: Iterable[Kept], keep_days: float, keep_bytes: int, wall: float) -> list[str]:
    """Return which of a project's ended *jobs* are to go at *wall*: those that ended more than *keep_days* ago, and beyond
    those, the oldest first, as many as keep more than *keep_bytes* of frames in all (0: any)."""
    newest = sorted(jobs, key=lambda each: -each.finished)
    gone, total = [], 0
    for each in newest:
        total += each.size
        too_old = keep_days > 0 and each.finished < wall - keep_days * _DAY
        if too_old or (keep_bytes > 0 and each.size and total > keep_bytes):
            gone.append(each.job)
    return gone


def _key(variable: PathVariable) -> tuple[str, str, str]:
    return variable.name, variable.platform, variable.site


def _shown(variable: PathVariable) -> str:
    return f"{{{variable.name}}} on {variable.platform}" + (f" at {variable.site}" if variable.site else "")


def _absolute(root: str) -> str:
    """Return *root*, if it is an absolute path or begins with a variable. Raises `BadInput`."""
    if ".." in root.replace("\\", "/").split("/") or not (root.startswith(("/", "{")) or root[1:3] == ":\\"):
        raise BadInput(f"{root!r} is not an absolute path, and begins with no path variable such as {{projects}}")
    return root


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e18:
        raise BadInput(f"{name} is a number of 0 (any) or more, not {value!r}")
    return value


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > _NAME_LENGTH:
        raise BadInput(f"The {name} is missing, or no text of up to {_NAME_LENGTH} characters")
    return value.strip()


def _told(fields: Mapping[str, Any]) -> str:
    """Return what becomes of a project by these *fields* of it, as the rest of a sentence."""
    told = []
    if "root" in fields:
        told.append(f"has its files in {fields['root']}" if fields["root"] else "has no folder")
    if "keep_days" in fields:
        told.append(f"keeps its ended jobs {'for ' + plural(fields['keep_days'], 'day') if fields['keep_days'] else 'for ever'}")
    if "keep_bytes" in fields:
        told.append(f"keeps {fields['keep_bytes'] / 1e9:,g} GB of frames" if fields["keep_bytes"] else "keeps all its frames")
    return ", ".join(told) or "is there"

"""A job that is submitted again, as it was but for what is said otherwise. Pure."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from brender.jobs.blender_progressive import are_chosen
from brender.jobs.declare import Setting, edited_settings, render_settings
from brender.jobs.steps import check_not_compiled
from brender.model.addon import AddOn
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.job import FileFacts, JobSpec
from brender.model.passes import DRAFT, SAMPLES
from brender.model.sharing import NO_POOL, Sharing
from brender.model.text import short_id

_NUMBERED = re.compile(r"(?P<stem>.*)_(?P<number>[0-9]{1,6})")
#: Settings by which a progressive job's type chooses how samples are shared out to passes, where nobody says it.
_SHARES = {"passes", "noise", "until"}
#: Folders that are looked at for one that is free.
_FOLDERS_MOST = 1000


def clone(record: Mapping[str, Any], id: str, user: str, change: Edit, output: str = "") -> JobSpec:
    """Return the job of *record*, a job's row, as another one of *user* with *id*: as *change* makes it, with its files in the
    folder *output*. Without that, "" if its folder is the server's own, else the folder of the first (`free_folder`).

    What the first waits for, or whether it is paused, the clone does not inherit; nor the folder that it copied its files to:
    copies of the clone would take their place. Nothing is checked but the settings' names. Raises `BadInput` where steps were
    made of settings that are to change.
    """
    check_not_compiled(record["settings"], change.settings)
    settings = record["settings"] | {name: "" for name in ("copy_to", "numbered") if name in record["settings"]}
    for name, value in change.settings.items():
        known = "frame" if name == "frames" and name not in settings and "frame" in settings else name
        settings[known] = _frame(value) if known != name else value
    if "script" in change.settings and "text" not in change.settings:
        settings["text"] = None  # (else the first one's script would run under the name of the other)
    if "refine" in settings:
        settings |= _shares(record["settings"], change.settings)
    own = record["bundle"] and record["output"].rpartition("/")[2] == record["id"]
    spec = JobSpec(
        id=id,
        name=record["name"],
        job_type=record["job_type"],
        settings=settings,
        project=record["project"],
        user=user,
        priority=record["priority"],
        tags=tuple(record["tags"]),
        output=output or ("" if own else record["output"]),
        trusted=record["trusted"],
        bundle=record["bundle"],
        addons=tuple(addon for addon in msgspec.convert(record["addons"], tuple[AddOn, ...]) if not addon.of_site),
        stall_minutes=record["stall_minutes"],
        limit_minutes=record["limit_minutes"],
        sharing=_sharing(change.sharing(msgspec.convert(record.get("sharing") or {}, Sharing))),
        facts=msgspec.convert(record["facts"], FileFacts | None),
    )
    return msgspec.structs.replace(spec, **change.fields)


def clone_command(id: str, change: Edit) -> str:
    """Return the command that submits the job *id* again as *change* makes it.

    >>> clone_command("a1b2c3d4e5f6", Edit(priority=80, tags=("gpu",), settings={"frames": "1-50", "chunk": 2, "until": ""}))
    'brender clone a1b2c3d4 --priority 80 --tag gpu --frames 1-50 --chunk 2 --set until='
    """
    words = ["brender", "clone", short_id(id)]
    for name in ("name", "project", "priority", "stall_minutes", "limit_minutes", "most_workers", "pool", "cores", "gpu_memory"):
        if (value := getattr(change, name)) is not None:
            words += [_option(name), f"{value:g}" if isinstance(value, float) else str(value)]
    for several, option, none in ((change.tags, "--tag", "--no-tags"), (change.licences, "--licence", "--no-licences")):
        if several is not None:
            words += [word for each in several for word in (option, each)] or [none]
    with_option = edited_settings() | render_settings()
    for name, value in change.settings.items():
        words += _words_of(name, value, with_option.get(name))
    return shlex.join(words)


def _words_of(name: str, value: Any, setting: Setting | None) -> list[str]:
    """Return the words that give the setting *name* the *value*: by its option, where it is a *setting* that has one. An option
    takes neither an empty text nor an empty list."""
    if setting is None or type(value) is not setting.kind or value in ("", []):
        return ["--set", f"{name}={value if isinstance(value, str) else msgspec.json.encode(value).decode()}"]
    if isinstance(value, bool):
        return [setting.flag if value else setting.no_flag]
    return [word for each in (value if isinstance(value, list) else [value]) for word in (setting.flag, str(each))]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shares(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the settings of a progressive job, which were chosen by others of them, is chosen again; what somebody chose
    stays."""
    if "refine" not in change:
        return {"refine": None, "passes": change.get("passes")} if _SHARES & change.keys() and are_chosen(before) else {}
    # As many passes as before are other shares of the samples, where the ones double them and the others do not.
    is_alike = change["refine"] == before["refine"] or {before["refine"], change["refine"]} <= {SAMPLES, DRAFT}
    return {} if is_alike or "passes" in change else {"passes": None}


def _sharing(sharing: Sharing) -> Sharing:
    """Return *sharing*, of a job that was accepted: where it has no pool, it has none although its project may have one."""
    return sharing if sharing.pool else msgspec.structs.replace(sharing, pool=NO_POOL)


def _frame(value: Any) -> Any:
    """Return the one frame that *value* names. Raises `BadInput`."""
    try:
        return int(value)
    except (TypeError, ValueError):
        raise BadInput(f"The job renders one frame, a still, and {value} is not one") from None


def free_folder(folder: str, is_taken: Callable[[str], bool]) -> str:
    """Return the first of the folders *folder*\\ _2, _3 and so on that is not taken. Raises `BadInput` where all are.

    >>> free_folder("/renders/shot", lambda folder: folder.endswith("_2"))
    '/renders/shot_3'
    >>> free_folder("/renders/shot_3", lambda folder: False)
    '/renders/shot_4'
    """
    folder = folder.rstrip("/")
    numbered = _NUMBERED.fullmatch(folder)
    stem, first = (numbered["stem"], int(numbered["number"]) + 1) if numbered else (folder, 2)
    for number in range(first, first + _FOLDERS_MOST):
        if not is_taken(found := f"{stem}_{number}"):
            return found
    raise BadInput(f"{folder} and the {_FOLDERS_MOST} folders after it are taken: name one with --output")

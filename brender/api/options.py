"""The options of a job that is submitted from Python: those of `brender submit`, under the same names."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict

from brender.api.connection import Asking
from brender.jobs.declare import render_settings
from brender.model.errors import BadInput
from brender.model.job import LIMIT_MINUTES, PRIORITY_NORMAL, STALL_MINUTES

DEFAULT_PROJECT = "default"


class RenderOptions(TypedDict, total=False):
    """The options of a Blender render, by default as the .blend says. `brender submit --help` explains each. ``chunk``:
    0 is as many frames in a task as make about a minute of work; ``until``: a time, as ISO 8601 has it."""

    frames: str
    chunk: int
    frame: int
    pieces: int
    split: str
    progressive: bool
    passes: int
    refine: str
    noise: float
    until: str
    order: str
    scene: str
    view_layers: Sequence[str]
    camera: str
    engine: str
    resolution: int
    samples: int
    format: str
    film: str
    film_container: str
    film_codec: str
    film_quality: str
    film_rate: int
    film_sound: bool
    denoise_after: bool
    copy_to: str | Path
    pattern: str
    keep: bool
    placeholders: bool
    output: str | Path
    overwrite: bool
    threads: int
    process: str
    device: str
    persistent: bool
    blender: str
    ocio: str
    trusted: bool
    addons: Sequence[str | Path]
    no_site_addons: bool
    allow_missing: bool
    name: str


class Options(RenderOptions, total=False):
    """The options of a job. ``job_type`` is ``blender-animation`` unless there is a ``command``, a program with its
    arguments, in which ``{frame}`` is the frame's number; ``settings`` are further ones of the job type. ``after`` and
    ``after_frames`` name jobs by id or name; ``start_at`` is 22:00, 2026-12-24 22:00 or +2h30m. ``gpu_memory``: bytes, or such
    as 8GB. ``send``: its files travel to the farm, and its frames stay there until they are fetched; over HTTP they always do.
    ``site``: where this machine stands, for
    paths."""

    job_type: str
    settings: Mapping[str, Any]
    command: Sequence[str]
    project: str
    new_project: bool
    tags: Sequence[str]
    paused: bool
    after: Sequence[str]
    after_frames: Sequence[str]
    start_at: str
    night: bool
    send: bool
    site: str
    priority: int
    most_workers: int
    licences: Sequence[str]
    pool: str
    reclaim_at_once: bool
    rush: bool
    cores: int
    gpu_memory: int | str
    stall_minutes: float
    limit_minutes: float


_EMPTY: dict[str, Any] = {
    "view_layers": (),
    "addons": (),
    **dict.fromkeys(("progressive", "overwrite", "no_site_addons", "allow_missing"), False),
}
#: The values of a job that names none.
DEFAULTS: dict[str, Any] = {
    "project": "default",
    "priority": PRIORITY_NORMAL,
    "stall_minutes": STALL_MINUTES,
    "limit_minutes": LIMIT_MINUTES,
    "most_workers": 0,
    "licences": (),
    "pool": "",
    "reclaim_at_once": False,
    "rush": False,
    "cores": 0,
    "gpu_memory": 0,
    "tags": (),
    "paused": False,
    "night": False,
}


def render_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *options* that say something of a render, whole: what is not said is ``None``, empty or not so."""
    # (The types above are for those who write programs: a setting is taken without one.)
    names = dict.fromkeys((*RenderOptions.__annotations__, *render_settings()))
    return {name: options.get(name, _EMPTY.get(name)) for name in names}


def job_type_of(options: Mapping[str, Any]) -> str:
    """Return the job type that *options* name."""
    return str(options.get("job_type") or ("command" if options.get("command") else "blender-animation"))


def check_names(options: Mapping[str, Any]) -> None:
    """Raise `BadInput` where one of the *options* does not exist, which would be ignored."""
    for name in sorted(options.keys() - Options.__annotations__.keys()):
        near = get_close_matches(name, Options.__annotations__, 1)
        meant = f"did you mean {near[0]}?" if near else "`brender submit --help` lists them, and settings= takes further ones"
        raise BadInput(f"submit has no option {name}: {meant}")


def check_one_thing(file: Path | None, options: Mapping[str, Any]) -> None:
    """Raise `BadInput` where a .blend *file* is submitted, and the *options* name a program too: one of them would be ignored."""
    if file is not None and options.get("command"):
        raise BadInput(f"A job renders {file}, or runs the program {options['command'][0]}: leave out the file or the command")


def similar_project(connection: Asking, project: str) -> str | None:
    """Return the project that is perhaps meant where *project* is not there; ``None`` where it is, or none is similar."""
    if project == DEFAULT_PROJECT:
        return None
    known = [row["name"] for row in connection.ask("projects")]
    if project in known:
        return None
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(project.casefold(), by_folded, 1, 0.75)
    return by_folded[near[0]] if near else None


def check_named_project(connection: Asking, project: str, options: Mapping[str, Any]) -> None:
    """Raise `BadInput` where *project* is new, similar to one that is there, and the *options* do not say that it is to be
    made."""
    if not options.get("new_project") and (near := similar_project(connection, project)) is not None:
        raise BadInput(f"There is no project {project}, but there is {near}: did you mean it? new_project=True makes {project}")

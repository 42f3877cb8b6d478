"""Job types: each is a declaration of its settings, and pure functions from settings to tasks.

brender's own are listed here (`BUILT_IN`). Others can add theirs through the entry-point group ``brender.job_types``: each entry
point names an object with the shape of `JobType`. Those that a farm adds by a file are made of these (brender/jobs/authoring.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

import msgspec

from brender.jobs.stages import Stage
from brender.model.addon import bounding
from brender.model.errors import BadInput
from brender.model.job import JobSpec, Requirements, TaskPlan
from brender.model.paths import paths_of, variables_in

#: The purposes that settings are grouped by, in the order in which forms and lists show them.
WHAT, ORDER, PICTURE, FILES, FILM_GROUP, MACHINES = GROUPS = (
    "What is rendered",
    "Order and tasks",
    "Picture",
    "Files",
    "Film",
    "Machines",
)
#: The meaning of an edit of a setting for a submitted job: it counts for attempts that start later; frames look different, so
#: they are rendered again; their files get other names, so they are rendered again too; or there are more frames.
NEXT, PICTURES, NAMES, MORE = "next", "pictures", "names", "more"
#: Forms of a text: a time to come, as ISO 8601 has it; a folder.
MOMENT, FOLDER = "moment", "folder"
#: brender's own job types, each the ``JOB_TYPE`` of a module of brender.jobs.
BUILT_IN = (
    "blender_animation",
    "blender_progressive",
    "blender_still",
    "blender_bake",
    "video",
    "script",
    "command",
    "steps",
)
#: The group of the settings that name none.
OTHER = "More"
_AS_FILE = "as the file says"
#: The values of settings of each kind, in words.
_TAKEN: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
}


@dataclass(frozen=True)
class Setting:
    """One setting of a job type: forms, checks, lists and docs are made from it.

    ``kind`` is ``str``, ``int``, ``float``, ``bool`` or ``list`` (of str). ``default`` is what an absent setting becomes;
    ``None`` with ``from_file`` means *what the .blend says*. ``label`` is what people read in place of the name; ``unit`` follows
    a number, in the plural; ``group`` is one of `GROUPS`. ``words`` say what special values mean, such as 0, and name choices;
    ``without`` says what happens where the setting is left out, if neither the default nor the file does.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    required: bool = False
    from_file: bool = False
    choices: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    label: str = ""
    unit: str = ""
    group: str = OTHER
    words: tuple[tuple[Any, str], ...] = ()
    without: str = ""
    hidden: bool = False
    """Nobody sets it, and it is not shown: the job type fills it in."""
    only_where_set: bool = False
    """A job that has its default lacks it, so that a farm of an earlier version, which does not know it, takes the job."""
    option: str = ""
    """Its option of the command line, where that is not called as the setting: ``--view-layer`` for ``view_layers``."""
    metavar: str = ""
    """The name of its value in the help of that option, such as ``NAME``."""
    form: str = ""
    """The form of its text, `MOMENT` or `FOLDER`, or "" for any text."""
    spelled: tuple[tuple[str, int], ...] = ()
    """Words that may be written for numbers, such as ``auto`` for 0."""
    edit: str = ""
    """The meaning of an edit of it, `NEXT`, `PICTURES`, `NAMES` or `MORE`, or "" if a job that was submitted keeps it."""

    @property
    def title(self) -> str:
        """The label, or else the name as a person would write it."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def flag(self) -> str:
        """Its option of the command line.

        >>> Setting("denoise_after", bool, "").flag
        '--denoise-after'
        """
        return self.option or f"--{self.name.replace('_', '-')}"

    @property
    def no_flag(self) -> str:
        """Its option of the command line that says no, of a setting that is yes or no.

        >>> Setting("persistent", bool, "").no_flag
        '--no-persistent'
        """
        return f"--no-{self.flag.removeprefix('--')}"

    @property
    def absent(self) -> str:
        """What happens where the setting is left out, in words, or "" if it cannot be."""
        if self.required:
            return ""
        return self.without or (_AS_FILE if self.from_file else self.say(self.default))

    def say(self, value: Any) -> str:
        """Return *value* in words, with its unit.

        >>> Setting("threads", int, "", unit="threads", words=((0, "all"),)).say(0)
        'all'
        >>> Setting("chunk", int, "", unit="frames").say(1)
        '1 frame'
        """
        for special, text in self.words:
            if value == special and type(value) is type(special):
                return text
        if value is None:
            return self.absent if self.default is not None or self.without or self.from_file else "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value)) or "none"
        if isinstance(value, int) and self.unit:
            return f"{value:,} {self.unit.removesuffix('s') if value == 1 else self.unit}"
        return str(value)

    def check(self, value: Any) -> Any:
        """Return *value*, if it fits. Raises `BadInput` that names the setting and what it takes."""
        if value is None:
            if self.required:
                raise BadInput(f"The setting {self.name!r} is missing: {self.help}")
            return self.default
        if self.kind is float and type(value) is int:
            value = float(value)
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not (is_list if self.kind is list else type(value) is self.kind):
            raise BadInput(f"The setting {self.name!r} takes {_TAKEN[self.kind]}, not {value!r}")
        if self.choices and value not in self.choices:
            raise BadInput(f"The setting {self.name!r} cannot be {value!r}; it is one of: {', '.join(self.choices)}")
        if isinstance(value, int | float) and not (self.lowest or 0) <= value <= (
            value if self.highest is None else self.highest
        ):
            goes = (
                f"goes from {self.lowest or 0} to {self.highest}"
                if self.highest is not None
                else f"is {self.lowest or 0} or more"
            )
            raise BadInput(f"The setting {self.name!r} cannot be {value}; it {goes}")
        return value


def check_settings(job_type: str, declared: tuple[Setting, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every declared setting with its checked value or default, without those that are there `only_where_set`. Raises
    `BadInput` for an unknown name or a bad value."""
    names = [setting.name for setting in declared]
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(names)}"
            raise BadInput(f"The job type {job_type!r} has no setting {name!r}; {hint}")
    checked = ((setting, setting.check(given.get(setting.name))) for setting in declared)
    return {setting.name: value for setting, value in checked if not setting.only_where_set or value != setting.default}


#: Said of frames that exist, of a job that overwrites them.
_RENDERED_AGAIN = "rendered again"


class SaidSetting(NamedTuple):
    """One setting of a job in words: its group, name and label, its value, and whether that is its default."""

    group: str
    name: str
    label: str
    text: str
    is_default: bool


def say_settings(job_type: str, settings: Mapping[str, Any], overwrite: bool = False) -> list[SaidSetting]:
    """Return the *settings* of a prepared job in words, group by group, without those that say nothing (``None``). *overwrite*:
    it renders all frames again, those too that are there.

    Those of a job type that is not installed here keep their names.
    """
    kind = _loaded().get(job_type)
    declared = {} if kind is None or isinstance(kind, str) else {each.name: each for each in kind.settings}
    said = []
    for name, value in settings.items():
        if value is not None and not (name in declared and declared[name].hidden):
            setting = declared.get(name) or Setting(name, type(value), "", label=name)
            text = _RENDERED_AGAIN if name == "keep" and overwrite else setting.say(value)
            said.append(SaidSetting(setting.group, name, setting.title, text, value == setting.default))
    order = (*GROUPS, OTHER)
    return sorted(said, key=lambda each: order.index(each.group) if each.group in order else len(order))


class JobType(Protocol):
    """Settings in, tasks out. All of it pure; the same call with the same job always gives the same tasks."""

    name: str
    label: str
    engine: str
    """Which of a worker's engines runs its tasks: ``blender`` or ``command``."""
    settings: tuple[Setting, ...]

    def prepare(self, spec: JobSpec) -> JobSpec:
        """Return *spec* with every setting checked and filled in, and warnings added. Raises `BadInput`.

        Preparing a prepared job changes nothing.
        """

    def task_count(self, spec: JobSpec) -> int:
        """Return how many tasks a prepared job has."""

    def part_count(self, spec: JobSpec) -> int:
        """Return how many parts all its tasks have together."""

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        """Task *index*, from 0, of a prepared job."""

    def may_repeat(self, spec: JobSpec) -> bool:
        """Return whether a task of it may run twice at once, at two workers, without harm."""

    def is_elastic(self, spec: JobSpec) -> bool:
        """Return whether the farm may make several of its tasks one, before they are first given out."""

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        """Return the stages of a prepared job: all its tasks, and which of them wait for which."""

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        """Return the rank of task *index* among the queued ones of its job: the lowest goes first, and of equal ones the one
        with the lowest index. *measured*: by frame, what was measured of it last; frames of which nothing was are missing.

        A job type may do without this method: then all tasks have the same rank.
        """

    def requirements(self, spec: JobSpec) -> Requirements:
        """Return what a worker must have for any of its tasks."""

    def output_key(self, spec: JobSpec) -> str:
        """Return what of its output folder the job takes for itself: two jobs with an equal key would write the same files.
        "" takes nothing."""


def requirements_of(kind: JobType, spec: JobSpec) -> Requirements:
    """Return what a worker must have to run tasks of *spec*: what its job type asks for, and the folders that its paths lead
    to."""
    variables = variables_in(spec.output, *paths_of(spec.settings).values())
    need = msgspec.structs.replace(
        kind.requirements(spec),
        variables=variables,
        addons=bool(spec.addons),
        site_addons=any(addon.of_site for addon in spec.addons),
        bounding=bounding(spec.addons),
        licences=tuple(sorted(spec.sharing.licences)),
        pool=spec.sharing.pool,
        cores=spec.sharing.cores,
        gpu_memory=spec.sharing.gpu_memory,
    )
    if spec.bundle:  # its files travel to a folder of the worker's own, and its frames from there
        return msgspec.structs.replace(need, reads=())
    folders = spec.output, str(spec.settings.get("copy_to") or "")
    return msgspec.structs.replace(need, writes=tuple(folder for folder in folders if folder))


@cache
def _loaded() -> dict[str, JobType | str]:
    """Return every job type that is installed, by name; one that others wrote and that cannot be loaded hinders none but
    itself, and is the reason instead."""
    own: list[JobType] = [import_module(f"brender.jobs.{name}").JOB_TYPE for name in BUILT_IN]
    found: dict[str, JobType | str] = {kind.name: kind for kind in own}
    for entry in entry_points(group="brender.job_types"):
        if entry.name in found:
            continue
        try:
            found[entry.name] = entry.load()
        except Exception as error:
            found[entry.name] = f"{type(error).__name__}: {error}"
    return found


def job_types() -> dict[str, JobType]:
    """Return every job type that is installed and can be loaded, by name."""
    return {name: kind for name, kind in _loaded().items() if not isinstance(kind, str)}


def submitted_types() -> dict[str, JobType]:
    """Return those of them that people submit themselves: the others are what jobs are compiled to (``is_internal``)."""
    return {name: kind for name, kind in job_types().items() if not getattr(kind, "is_internal", False)}


def render_settings() -> dict[str, Setting]:
    """Return the settings that people set of brender's own job types for renders, by name: the command line has an option for
    each, and Python a keyword. The .blend itself is not among them."""
    found: dict[str, Setting] = {}
    for kind in _own_types():
        if kind.name.startswith("blender-"):
            found = {setting.name: setting for setting in kind.settings if _is_set_by_people(setting)} | found
    return found


def edited_settings() -> dict[str, Setting]:
    """Return the settings of brender's own job types that an edit may change, by name: `brender edit` has an option for each."""
    found: dict[str, Setting] = {}
    for kind in _own_types():
        found = {each.name: each for each in kind.settings if each.edit and _is_set_by_people(each)} | found
    return found


def _own_types() -> list[JobType]:
    """Return brender's own job types that people submit, those for renders first."""
    own = (job_type(name.replace("_", "-")) for name in BUILT_IN)
    return [kind for kind in own if not getattr(kind, "is_internal", False)]


def _is_set_by_people(setting: Setting) -> bool:
    return not setting.hidden and setting.name != "file"


def problems() -> dict[str, str]:
    """Return why installed job types cannot be loaded, by name."""
    return {name: reason for name, reason in _loaded().items() if isinstance(reason, str)}


def label_of(job_type: str, settings: Mapping[str, Any]) -> str:
    """Return what people call the type of a job with these *settings*: of one that was compiled, that which was submitted."""
    kind = job_types().get(job_type)
    label = settings.get("label") if getattr(kind, "is_internal", False) else ""
    return str(label or (kind.label if kind else job_type))


def job_type(name: str) -> JobType:
    """Return the job type called *name*. Raises `BadInput` with the names there are."""
    found = job_types()
    if isinstance(problem := _loaded().get(name), str):
        raise BadInput(f"The job type {name!r} cannot be loaded: {problem}")
    if name not in found:
        raise BadInput(f"There is no job type {name!r}; installed: {', '.join(sorted(found))}")
    return found[name]

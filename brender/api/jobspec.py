"""From what is said of a render to the job: the specification, made of the settings that the command line and Python take."""

import contextlib
import platform
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from brender.api.connection import Notify, silent
from brender.api.place import user
from brender.blendfile.facts import inspect
from brender.bus.ids import new_id
from brender.engines.destination import NoDestination, destination, missing_folders, one_spelling, output_folder
from brender.engines.folder_looks import FolderLooks
from brender.engines.ocio import check_configuration, own_configuration, read_configuration
from brender.jobs.blender_animation import own_path
from brender.jobs.declare import job_type
from brender.model.errors import BadInput, Unreachable
from brender.model.frames import frame_sequence, parse_frames
from brender.model.job import FileFacts, JobSpec
from brender.model.paths import (
    BUILT_IN,
    PathVariable,
    check_site,
    collapse,
    expand,
    from_elsewhere,
    is_foreign,
    places,
    platform_of,
)
from brender.model.trust import check_trust

_HERE = platform_of(platform.system())
_MISSING_SHOWN = 10

Shared = Callable[[str], str]
"""Reads a path of this machine as one that begins with a path variable, where one fits."""


def blender_job(
    file: Path,
    options: dict[str, Any],
    shared: Shared = str,
    facts: FileFacts | None = None,
    placed: Shared = one_spelling,
    kind: str = "blender-animation",
    notify: Notify = silent,
    **more: Any,
) -> JobSpec:
    """Return the job of the type *kind* that renders *file* as the *options* (`brender.commands.jobspec`) say, and other
    settings of that type among them. Raises `BadInput`, with nothing done.

    *facts* are what the file says of itself, where that is known already. *placed* gives the output folder its one spelling.
    *notify* hears where the frames go, where the scene names no folder that can hold them, and that they go backward.
    *more* is what else the job has, such as its ``addons``; with a ``bundle``, ``main`` is the file's path in it.
    """
    facts = facts or inspect(file)
    _check_missing(facts, options.pop("allow_missing", True))
    wanted, travels = options.pop("output"), bool(more.get("bundle"))
    if wanted:
        wanted = Path(output_folder(str(wanted), "" if travels else str(file.absolute().parent)))
    # Where files travel the folder is the server's, and not this machine's.
    own, elsewhere = (Path(), "") if wanted or travels else _own_folder(file, facts, options)
    here = None if travels else _output_here(wanted or own)
    if here is not None:
        _must_answer(here)
    output = str(wanted or "") if travels else placed(str(wanted if here is None else here))
    main = more.pop("main", shared(facts.path))
    name = options.pop("name") or file.stem
    ocio, ocio_warnings = _configuration(options.pop("ocio", None), shared, travels)
    options["ocio"] = ocio or None
    site_addons, _ = not options.pop("no_site_addons", False), options.pop("addons", None)
    progressive = options.pop("progressive", False)
    trusted, overwrite = options.pop("trusted", None), options.pop("overwrite", False)
    cautions = check_trust(facts, trusted, "--trusted", "--untrusted")
    given = {key: value for key, value in options.items() if value is not None and value != ()}
    settings: dict[str, Any] = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    if "copy_to" in settings:
        settings["copy_to"] = placed_folder(Path(settings["copy_to"]), placed)
    kind, settings = kind_of_render(kind, settings, progressive)
    spec = JobSpec(
        id=new_id(),
        name=name,
        job_type=kind,
        settings={"file": main, **settings},
        user=user(),
        output=output,
        trusted=bool(trusted),
        overwrite=overwrite,
        site_addons=site_addons,
        facts=facts,
        warnings=(*cautions, *ocio_warnings),
        **more,
    )
    spec = job_type(spec.job_type).prepare(spec)
    if here is not None:
        made = make_output(here)
        spec = msgspec.structs.replace(spec, made_output=made > 0, made_above=max(0, made - 1))
    if elsewhere:
        notify(elsewhere)
    if said := _said_of_way(settings.get("frames")):
        notify(said)
    return spec


def _said_of_way(frames: object) -> str:
    """Return a sentence where *frames*, as they were given, go backward; else "".

    >>> _said_of_way("9-3"), _said_of_way("3-9"), _said_of_way("5")
    ('The frames 9-3 are rendered backward, from 9 to 3', '', '')
    """
    named = frame_sequence(frames) if isinstance(frames, str) and frames else ()
    is_backward = len(named) > 1 and named[0] > named[-1]
    return f"The frames {frames} are rendered backward, from {named[0]} to {named[-1]}" if is_backward else ""


def kind_of_render(kind: str, settings: dict[str, Any], progressive: bool) -> tuple[str, dict[str, Any]]:
    """Return the job type that renders with *settings*, *kind* where they say no other, and the settings as that has them. Raises
    `BadInput`."""
    if progressive or any(name in settings for name in ("passes", "noise", "until", "refine")):
        _check_refined(settings)
        return _type_instead(kind, "blender-progressive", "--progressive (or --passes, --noise, --until, --refine)"), settings
    if "pieces" in settings or "split" in settings:
        return _type_instead(kind, "blender-still", "--pieces (or --split)"), _settings_of_a_still(settings)
    return kind, settings


def _type_instead(kind: str, other: str, options: str) -> str:
    """Return the job type *other*, which *options* mean. Raises `BadInput` where *kind* is a third one, which would be lost."""
    if kind not in ("blender-animation", other):
        raise BadInput(f"{options} makes a job of the type {other}: leave it out, or --type {kind}")
    return other


def _must_answer(folder: Path) -> None:
    """Raises `Unreachable` where *folder* lies on a drive that does not answer, rather than wait for it for ever."""

    def look(path: Path, least: int) -> str:
        with contextlib.suppress(OSError):
            path.stat()
        return ""

    if problem := FolderLooks(look=look).problem([folder], 0):
        raise Unreachable(f"{problem}. Submit it again when it does, or name another folder with --output")


def _own_folder(file: Path, facts: FileFacts, options: dict[str, Any]) -> tuple[Path, str]:
    """Return the folder that the scene itself names, and ""; or, where that cannot hold frames, one in the current folder, and a
    sentence that says so. Raises `BadInput`."""
    try:
        return destination(own_path(facts, options), file), ""
    except NoDestination as reason:
        other = Path(f"{file.stem}_frames").absolute()
        return other, f"{reason}: the frames go to {other} (--output names another folder)"


def chosen_configuration(wanted: str | None) -> str:
    """Return the OCIO configuration that a job is to have: the *wanted* one, or this shell's; "" for ``none``. Raises `BadInput`
    where it cannot be read."""
    name = own_configuration() if wanted is None else wanted
    if name in ("", "none"):
        return ""
    check_configuration(name)
    return name if name.startswith(BUILT_IN) else str(Path(name).absolute())


def _configuration(wanted: str | None, shared: Shared, travels: bool) -> tuple[str, tuple[str, ...]]:
    """Return the job's OCIO configuration, and what its owner should know of it; where it *travels*, *wanted* is its path
    among the job's files."""
    if travels:
        return wanted or "", ()
    name = chosen_configuration(wanted)
    if not name or name.startswith(BUILT_IN):
        return name, ()
    return shared(name), tuple(read_configuration(Path(name)).warnings)


def placed_folder(folder: Path, placed: Shared) -> str:
    """Return the one spelling of a *folder* that a job writes to. Raises `Unreachable` where its drive does not answer."""
    if (here := _output_here(folder)) is None:
        return placed(str(folder))
    _must_answer(here)
    return placed(str(here))


def _output_here(wanted: Path) -> Path | None:
    """Return the folder of this machine for the frames; ``None`` where a path variable says which it is on each, or a word
    of another platform does."""
    return None if str(wanted).startswith("{") or is_foreign(str(wanted), _HERE) else wanted.absolute()


def seen_elsewhere(facts: FileFacts, variables: list[dict[str, Any]], site: str) -> FileFacts:
    """Return *facts*, without the files among the missing ones that this machine has in the place of one of the *variables*
    that the server knows; and without those for which it has no place, which others will look for."""
    known = _known(variables)
    here = places(known, _HERE, check_site(site))

    def is_missing(path: str) -> bool:
        found = from_elsewhere(path, known, here)
        return found is None or (found != "" and not Path(found).exists())

    return msgspec.structs.replace(facts, missing=tuple(each for each in facts.missing if is_missing(each.path)))


def shared_path(path: str, variables: list[dict[str, Any]], site: str) -> str:
    """Return *path*, of this machine at *site*, with one of the *variables* that the server knows for its beginning, where
    one fits."""
    return collapse(path, _known(variables), _HERE, check_site(site))


def shared_folder(path: str, variables: list[dict[str, Any]], site: str) -> str:
    """Return the one spelling of the output folder *path* (`one_spelling`), likewise."""
    return one_spelling(path, _known(variables), check_site(site))


def folder_here(output: str, variables: list[dict[str, Any]]) -> Path:
    """Return the folder of this machine that a job's *output* means. Raises `BadInput` where it has no place here."""
    return Path(expand(output, places(_known(variables), _HERE, ""), _HERE))


def _known(variables: list[dict[str, Any]]) -> list[PathVariable]:
    return [PathVariable(row["name"], row["platform"], row["path"], row["site"]) for row in variables]


def check_facts(facts: FileFacts, options: dict[str, Any]) -> None:
    """Check a .blend by its *facts* before it is sent. Raises `BadInput` where files that it needs are missing, or scripts in it
    need trust, and the *options* say nothing of that."""
    _check_missing(facts, options["allow_missing"])
    check_trust(facts, options["trusted"], "--trusted", "--untrusted")


def _check_missing(facts: FileFacts, allowed: bool) -> None:
    if allowed or not facts.missing:
        return
    shown = "; ".join(f"{missing.path}, used by {missing.used_by}" for missing in facts.missing[:_MISSING_SHOWN])
    more = len(facts.missing) - _MISSING_SHOWN
    one = len(facts.missing) == 1
    count, it = ("1 file is", "it") if one else (f"{len(facts.missing)} files are", "them")
    raise BadInput(
        f"{count} missing: {shown}{f'; and {more} more' if more > 0 else ''}. Put {it} there (in Blender: File, External Data, "
        f"Find Missing Files), or render without {it} with --allow-missing"
    )


def _check_refined(settings: dict[str, Any]) -> None:
    """Raises `BadInput` where *settings* are not for frames that are refined pass by pass."""
    for name in ("pieces", "split", "chunk"):
        if name in settings:
            raise BadInput(f"--{name} does not go with frames that are refined pass by pass: leave it or --progressive out")


def _settings_of_a_still(settings: dict[str, Any]) -> dict[str, Any]:
    """Return *settings*, with the one frame that ``--frames`` names. Raises `BadInput`."""
    for name in ("chunk", "order", "film"):
        if name in settings:
            raise BadInput(f"--{name} is for animations: a still, which --pieces makes of this, has one frame")
    frames = parse_frames(settings["frames"]) if "frames" in settings else ()
    if len(frames) > 1:
        raise BadInput(f"--pieces splits one frame, and --frames {settings['frames']} names {len(frames)}: name one")
    if frames and "frame" in settings:
        raise BadInput("--frames and --frame name the frame of a still: leave out one of them")
    rest = {name: value for name, value in settings.items() if name != "frames"}
    return rest | ({"frame": frames[0]} if frames else {})


def command_job(words: tuple[str, ...], given: Mapping[str, Any], name: str | None, output: str = "", **more: Any) -> JobSpec:
    """Return the job that runs the program and arguments in *words*, with the further settings *given*, and with *output* as its
    output folder. Raises `BadInput`."""
    if not words:
        raise BadInput("A command job needs a program: brender submit --type command -- PROGRAM [ARGUMENTS]")
    if twice := [each for each in ("program", "arguments") if each in given]:
        raise BadInput(f"The program stands after --, and in --set {twice[0]}=: leave out one of them")
    settings: dict[str, Any] = {**given, "program": words[0], "arguments": list(words[1:])}
    return other_job("command", settings, name or Path(words[0]).name, output, **more)


def other_job(kind: str, settings: dict[str, Any], name: str | None, output: str = "", **more: Any) -> JobSpec:
    """Return a job of the type *kind*, which renders no .blend, with these *settings* and the folder *output*. Raises
    `BadInput`."""
    spec = JobSpec(id=new_id(), name=name or kind, job_type=kind, settings=settings, user=user(), output=output, **more)
    return job_type(kind).prepare(spec)


def make_output(folder: Path) -> int:
    """Make the output *folder* and see that files can be written there; return how many folders that made: itself, and those
    that it lies in. Raises `BadInput`."""
    try:
        made = missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        return made
    except OSError as error:
        raise BadInput(f"The output folder {folder} cannot be written: {error.strerror}. Give another with --output") from error

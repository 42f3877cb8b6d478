"""The files that a job replaces: frames in its output folder that it does not keep. A warning names them before it begins."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from brender.api.jobspec import folder_here
from brender.bus.client import Client
from brender.jobs.declare import job_type
from brender.model.addon import AddOn, with_those_of_site
from brender.model.errors import BrenderError
from brender.model.job import COPY, FILM, JobSpec
from brender.model.text import job_in_words, plural, some_of

#: Seconds for which the notes of files are read; of those that are left it is only said that they may be replaced.
_READING_SECONDS = 3.0


def with_what_it_replaces(connection: Client, spec: JobSpec) -> JobSpec:
    """Return *spec* with a warning that names the files in its output folder that it will replace, and the jobs that made them;
    unchanged if there are no such files, or this machine does not see the folder."""
    spec = _with_what_copies_replace(connection, spec)
    if not spec.output or spec.facts is None or (spec.settings.get("keep") and not spec.overwrite):
        return spec
    try:
        folder = folder_here(spec.output, connection.ask("paths"))
        found = dict(_there(spec, folder))
        if not found:
            return spec
        replaced, is_known = _not_kept(spec, folder, found, _note(connection, spec))
    except (BrenderError, OSError):
        return spec  # (the worker will see what is there)
    if not replaced:
        return spec
    one = len(replaced) == 1
    frames = sum(frame != FILM for frame in (found[name] for name in replaced))
    what = plural(frames, "frame") if frames == len(replaced) else plural(len(replaced), "file")
    verb = ("is" if one else "are") if is_known else "may be"
    said = f"{what} that {'is' if one else 'are'} there {verb} replaced: {some_of(replaced)} in {folder}"
    makers = sorted(_makers(connection, spec, replaced, found))
    by = f" (rendered by the job{'s' if len(makers) > 1 else ''} {some_of(makers)})" if makers else ""
    return msgspec.structs.replace(
        spec, warnings=(*spec.warnings, f"{said}{by}. Another --output leaves {'it' if one else 'them'}")
    )


def _with_what_copies_replace(connection: Client, spec: JobSpec) -> JobSpec:
    """Return *spec* with a warning that names the files which are where it copies to, under the names of its copies."""
    target = str(spec.settings.get("copy_to") or "")
    if not target:
        return spec
    try:
        folder = folder_here(target, connection.ask("paths"))
        found = list(dict(_there(spec, folder, copies=True)))
    except (BrenderError, OSError):
        return spec  # (the worker will see what is there)
    if not found:
        return spec
    verb = "is" if len(found) == 1 else "are"
    same = "it is like its copy" if verb == "is" else "they are like their copies"
    said = f"{plural(len(found), 'file')} that {verb} there {verb} replaced by copies, unless {same}"
    said += f": {some_of(found)} in {folder}. Another --copy-to leaves {'it' if verb == 'is' else 'them'}"
    return msgspec.structs.replace(spec, warnings=(*spec.warnings, said))


def count_fitting(connection: Client, spec: JobSpec) -> int:
    """Return how many frames are in the output folder that the job of *spec* would keep, as this machine sees it."""
    try:
        folder = folder_here(spec.output, connection.ask("paths"))
        found = dict(_there(spec, folder)) if spec.facts is not None else {}
        if not spec.settings.get("keep"):
            replaced, _ = _not_kept(spec, folder, found, _note(connection, spec))
            found = {name: frame for name, frame in found.items() if name not in set(replaced)}
    except (BrenderError, OSError):
        return 0
    return sum(frame != FILM for frame in found.values())


def _there(spec: JobSpec, folder: Path, copies: bool = False) -> Iterator[tuple[str, int]]:
    """Yield the files of *spec*, or its *copies*, that are in their *folder* and not empty: their name, and their frame or
    `FILM`."""
    kind, listed = job_type(spec.job_type), dict[str, dict[str, int]]()
    for index in range(kind.task_count(spec)):
        for part in kind.task(spec, index).parts:
            if part.piece > 0 or (part.piece == COPY) is not copies:
                continue
            below, _, name = part.output.rpartition("/")
            if below not in listed:
                listed[below] = _sizes(folder / below)
            if listed[below].get(name):
                yield part.output, FILM if part.piece == FILM else part.frame or 0


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _note(connection: Client, spec: JobSpec) -> str:
    """Return the note of the pictures that *spec* will render (`note_for`)."""
    from brender.engines.resume import note_for  # here: it needs OpenImageIO, for which no other job's submission waits

    assert spec.facts is not None
    of_site = [msgspec.convert(row["addon"], AddOn) for row in connection.ask("addons")] if spec.site_addons else []
    addons = with_those_of_site(spec.addons, of_site)
    told = spec.settings | ({"trusted": True} if spec.trusted else {})
    told |= {"addons": sorted(addon.digest for addon in addons)} if addons else {}
    return note_for(told, Path(spec.facts.path), spec.facts.inputs, spec.bundle)


def _not_kept(spec: JobSpec, folder: Path, found: dict[str, int], note: str) -> tuple[list[str], bool]:
    """Return those of the files *found* in *folder* that do not carry *note*, and whether each of them was looked at."""
    from brender.engines.resume import NOTED, carries

    replaced, deadline = list[str](), time.monotonic() + _READING_SECONDS
    for name in found:
        is_noted = not spec.overwrite and Path(name).suffix in NOTED
        if time.monotonic() > deadline and is_noted:
            return [*replaced, *list(found)[list(found).index(name) :]], False
        if not (is_noted and carries(folder / name, note)):
            replaced.append(name)
    return replaced, True


def _makers(connection: Client, spec: JobSpec, replaced: list[str], found: dict[str, int]) -> set[str]:
    """Return the names of the jobs that rendered the first, the last and the one in the middle of the files *replaced*."""
    asked = {replaced[0], replaced[len(replaced) // 2], replaced[-1]}
    try:
        rows = [connection.ask("maker", output=spec.output, name=name) for name in sorted(asked)]
    except BrenderError:
        return set()  # a server of an earlier version
    return {job_in_words(row["id"], row["name"]) for row in rows if row}

"""Whether a worker can run a task, and if not, why not. Pure."""

import shlex
from collections.abc import Iterable

import msgspec

from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo, choose_blender, choose_series, dotted, forbidden, reads_all
from brender.model.obstacle import IT, IT_HAS, NAMES, Obstacle
from brender.model.paths import PathVariable, Platform, expand, parent_of, places, platform_of, spelled, variables_in
from brender.model.text import harmless, plural, size_in_words


def general_obstacle(need: Requirements, paths: tuple[PathVariable, ...], worker: WorkerInfo) -> Obstacle | None:
    """Return why neither *worker* nor any other worker like it can run what has these requirements; ``None`` where it can.

    *paths*: the farm's path variables.
    """
    platform = platform_of(worker.platform)
    if need.variables and (missing := sorted(need.variables - places(paths, platform, worker.site).keys())):
        of_site = f" --site {shlex.quote(worker.site)}" if worker.site else ""
        return _has(
            f"no place for {', '.join(f'{{{name}}}' for name in missing)}",
            remedy=f"`brender path set {missing[0]} --{platform} FOLDER{of_site}` gives one",
        )
    return obstacle(need, worker) or _of_folders(need, paths, worker)


def used_by(
    need: Requirements, paths: tuple[PathVariable, ...], platform: Platform, site: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that what has these requirements reads, and the folders that it writes to, as a machine of *platform* at
    *site* has them; those whose variables have no place there are left out.

    *paths*: the farm's path variables.
    """
    here = places(paths, platform, site)
    reads, writes = (
        tuple(expand(each, here, platform) for each in named if variables_in(each) <= here.keys())
        for named in (need.reads, need.writes)
    )
    return reads, writes


def _of_folders(need: Requirements, paths: tuple[PathVariable, ...], worker: WorkerInfo) -> Obstacle | None:
    """Return why the owner of *worker* lets it use no folder of what has these requirements; ``None`` where it may."""
    if not worker.folders or not (need.reads or need.writes):
        return None
    platform = platform_of(worker.platform)
    folders, readable = (tuple(spelled(each, platform) for each in some) for some in (worker.folders, worker.readable))
    used = used_by(need, paths, platform, worker.site)
    reads = [each for each in used[0] if not spelled(each, platform).startswith(folders + readable)]
    writes = [each for each in used[1] if not spelled(each, platform).startswith(folders)]
    if not reads and not writes:
        return None
    wanted: list[str] = []
    for folder in (*writes, *(parent_of(each, platform) for each in reads)):
        place = spelled(folder, platform)
        if not any(place.startswith(spelled(each, platform)) for each in wanted):
            wanted = [each for each in wanted if not spelled(each, platform).startswith(place)] + [folder]
    verbs = (("read", reads), ("write to", writes))
    named = " nor ".join(f"{verb} {' and '.join(map(harmless, some))}" for verb, some in verbs if some)
    options = " ".join(f"--allow-folder {shlex.quote(harmless(folder))}" for folder in wanted)
    return Obstacle(f"may not {named}", f"may not {named}", f"add `{options}` to those that {IT_HAS}")


def obstacle(need: Requirements, worker: WorkerInfo) -> Obstacle | None:
    """Return why *worker* cannot run what has these requirements; ``None`` where it can."""
    programs = (need.program, *need.further_programs)
    refusals = (forbidden(worker, program, need.trusted, need.addons, need.site_addons) for program in programs)
    not_allowed = next(filter(None, refusals), None)
    if not_allowed is not None and need.program and not worker.programs:
        return not_allowed  # (a worker that allows no programs takes no jobs of programs either)
    if need.job_type not in worker.job_types:
        return Obstacle(
            f"does not take jobs of the type {need.job_type}",
            f"do not take jobs of the type {need.job_type}",
            f"add `--job-type {need.job_type}` to those that {IT_HAS}",
        )
    if not_allowed is not None:
        return not_allowed
    if missing := sorted(need.tags - worker.tags):
        named = f"the tag{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        return Obstacle(f"lacks {named}", f"lack {named}", _how_to_tag(missing))
    if need.blender is not None and _blender(need, worker) is None:
        if not worker.blenders:
            return _has("no Blender", remedy="`brender doctor` there says how to get one")
        if (found := _but_for_addons(need, worker)) is not None:
            addon = next(each for each in need.bounding if not each.takes(found.version))
            subject, why = addon.subject, addon.why_not(found.version)
            without = ", or submit the job without it (`--no-site-addons`)" if addon.of_site else ""
            return _has(
                f"{_blenders(worker)}, and {subject} {why}",
                f"no Blender for {subject}, which {why}",
                f"start {IT} with `--blender PATH` of such a Blender{without}",
            )
        if need.series is not None and choose_blender(worker.blenders, need.blender, need.oldest_blender) is not None:
            series = dotted(need.series)
            return _has(
                f"{_blenders(worker)}, and all of the job is rendered with Blender {series}, so that its frames match",
                f"no Blender {series}, with which all of the job is rendered, so that its frames match",
                f"start {IT} with `--blender PATH` of a Blender {series}",
            )
        saved_by, oldest = dotted(need.blender), dotted(_oldest(need))
        return _has(
            f"{_blenders(worker)}, which cannot read a file saved by Blender {saved_by}",
            f"no Blender that can read a file saved by Blender {saved_by}",
            f"start {IT} with `--blender PATH` of a Blender {oldest} or later",
        )
    return _of_sizes(need, worker) if need.reserves else None


def _of_sizes(need: Requirements, worker: WorkerInfo) -> Obstacle | None:
    """Return why *worker* could not give a task what it reserves, if nothing else ran there; ``None`` where it could."""
    if need.cores > worker.cores:
        return _has(
            f"{plural(worker.cores, 'core')}, and each task of it reserves {need.cores}",
            remedy=f"start a worker on a machine with {need.cores} cores, or `brender edit JOB --cores N` asks for fewer",
        )
    if need.gpu_memory > worker.gpu_memory:
        needed = size_in_words(need.gpu_memory)
        if not worker.gpu_memory:
            how = f"start {IT} with `--gpu-memory SIZE` if nvidia-smi does not say it"
            return _has(f"no GPU whose memory is known, and each task of it reserves {needed}", remedy=how)
        return _has(
            f"{size_in_words(worker.gpu_memory)} of GPU memory, and each task of it reserves {needed}",
            remedy="start a worker with such a GPU, or `brender edit JOB --gpu-memory SIZE` asks for less",
        )
    return None


def count_able(need: Requirements, paths: tuple[PathVariable, ...], workers: Iterable[WorkerInfo]) -> int:
    """Return how many of *workers* would render a job with these requirements, were it given out to them now: of those that can,
    those with the series of Blender that would be chosen for all of it.

    *paths*: the farm's path variables.
    """
    able = [worker for worker in workers if general_obstacle(need, paths, worker) is None]
    if need.blender is not None and need.series is None:
        series = likely_series(need, paths, able)
        able = [worker for worker in able if obstacle(msgspec.structs.replace(need, series=series), worker) is None]
    return len(able)


def likely_series(need: Requirements, paths: tuple[PathVariable, ...], workers: Iterable[WorkerInfo]) -> tuple[int, int] | None:
    """Return the series of Blender that would be chosen for a job with these requirements, were it given out to *workers* now;
    ``None`` if none of them can render it.

    *paths*: the farm's path variables.
    """
    if need.blender is None:
        return None
    able = ((worker.blenders, 1) for worker in workers if general_obstacle(need, paths, worker) is None)
    return need.series or choose_series(able, need.blender, need.oldest_blender, need.bounding)


def _how_to_tag(missing: list[str]) -> str:
    """Return how a worker comes to have the *missing* tags. Some it has only by what its machine has."""
    if "gpu" in missing:
        return "a GPU that Cycles finds gives that (`brender doctor` there lists them), or submit with `--device cpu`"
    if any(tag.startswith("blender-") for tag in missing):
        return f"start {IT} with `--blender PATH` of such a Blender"
    return f"`brender describe {NAMES} --add-tags {','.join(missing)}` gives {IT} {'those' if len(missing) > 1 else 'that'}"


def _has(what: str, several: str = "", remedy: str = "") -> Obstacle:
    """Return the obstacle that a worker has *what*; *several*: what several with such an obstacle have."""
    return Obstacle(f"has {what}", f"have {several or what}", remedy)


def loses(need: Requirements, worker: WorkerInfo) -> bool:
    """Return whether *worker* can open the job's .blend only with a Blender older than the one that saved it, which may lose
    data. False where it cannot open it."""
    if need.blender is None:
        return False
    chosen = _blender(need, worker)
    return chosen is not None and not reads_all(chosen, need.blender)


def waits_for_newer(need: Requirements, worker: WorkerInfo) -> Obstacle:
    """Return why *worker*, which would lose data of the job's .blend (`loses`), leaves it to another worker."""
    assert need.blender is not None, "what loses nothing of a .blend waits for no newer Blender"
    saved_by = dotted(need.blender)
    return _has(
        f"{_blenders(worker)}, which may lose what Blender {saved_by} saved",
        f"Blenders that may lose what Blender {saved_by} saved",
        f"it is left to a worker with Blender {saved_by} or later",
    )


def _blender(need: Requirements, worker: WorkerInfo) -> Blender | None:
    """Return the Blender that *worker* would render with; ``None`` where it has none for that, or none is needed."""
    if need.blender is None:
        return None
    return choose_blender(worker.blenders, need.blender, need.oldest_blender, need.series, need.bounding)


def _but_for_addons(need: Requirements, worker: WorkerInfo) -> Blender | None:
    """Return the Blender that *worker* would render with if the job had no add-ons; ``None`` where it has none either way."""
    assert need.blender is not None, "asked of what is rendered with Blender"
    return choose_blender(worker.blenders, need.blender, need.oldest_blender, need.series)


def _oldest(need: Requirements) -> tuple[int, int]:
    """Return the oldest series of Blender that opens the file."""
    assert need.blender is not None, "asked of what is rendered with Blender"
    return need.blender if need.oldest_blender is None else min(need.blender, need.oldest_blender[:2])


def _blenders(worker: WorkerInfo) -> str:
    return ", ".join(sorted(blender.label for blender in worker.blenders))

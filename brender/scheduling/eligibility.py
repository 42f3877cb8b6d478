"""Whether a worker can run a task, and if not, why not, in words for a person. Pure.

These words are said of one worker or of several: only their first, the verb, depends on that (brender.scheduling.reasons).
"""

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo, choose_blender, forbidden, reads_all
from brender.model.paths import PathVariable, places, platform_of


def general_obstacle(need: Requirements, paths: tuple[PathVariable, ...], worker: WorkerInfo) -> str:
    """Return why neither *worker* nor any other worker like it can run what has these requirements, for a person, or "".

    *paths*: the farm's path variables.
    """
    if need.variables:
        missing = need.variables - places(paths, platform_of(worker.platform), worker.site).keys()
        if missing:
            return f"has no place for {', '.join(f'{{{name}}}' for name in sorted(missing))} (`brender path set` gives one)"
    return obstacle(need, worker)


def obstacle(need: Requirements, worker: WorkerInfo) -> str:
    """Why *worker* cannot run what has these requirements; "" where it can."""
    if need.job_type not in worker.job_types:
        return f"does not take {need.job_type} jobs"
    if not_allowed := forbidden(worker, need.program, need.trusted):
        return not_allowed
    missing = need.tags - worker.tags
    if missing:
        return f"lacks the tag{'s' if len(missing) > 1 else ''} {', '.join(sorted(missing))}"
    if need.blender is not None and choose_blender(worker.blenders, need.blender, need.oldest_blender) is None:
        if not worker.blenders:
            return "has no Blender"
        return f"has {_blenders(worker)}, which cannot read a file saved by Blender {_dotted(need.blender)}{_oldest(need)}"
    return ""


def loses(need: Requirements, worker: WorkerInfo) -> bool:
    """Return whether *worker* can open the job's .blend only with a Blender older than the one that saved it, which may lose
    data. False where it cannot open it."""
    if need.blender is None:
        return False
    chosen = choose_blender(worker.blenders, need.blender, need.oldest_blender)
    return chosen is not None and not reads_all(chosen, need.blender)


def waits_for_newer(need: Requirements, worker: WorkerInfo) -> str:
    """Return why *worker*, which would lose data of the job's .blend (`loses`), leaves it to another worker."""
    assert need.blender is not None, "what loses nothing of a .blend waits for no newer Blender"
    dotted = _dotted(need.blender)
    return f"has {_blenders(worker)}, which may lose what Blender {dotted} saved: that is left to a worker with Blender {dotted}"


def _oldest(need: Requirements) -> str:
    """Which Blender it takes, where that is not the one that saved the file."""
    if need.oldest_blender is None or need.oldest_blender[:2] == need.blender:
        return ""
    return f" (that takes Blender {_dotted(need.oldest_blender[:2])} or later)"


def _blenders(worker: WorkerInfo) -> str:
    return ", ".join(sorted(blender.label for blender in worker.blenders))


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))

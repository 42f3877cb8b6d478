"""Whether a worker can run a task, and if not, why not, in words for a person. Pure.

These words are said of one worker or of several: only their first, the verb, depends on that (brender.scheduling.reasons).
"""

from brender.model.job import Requirements
from brender.model.nodes import Blender, WorkerInfo, choose_blender, dotted, forbidden, reads_all
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
    """Return why *worker* cannot run what has these requirements; "" where it can."""
    if need.job_type not in worker.job_types:
        return f"does not take {need.job_type} jobs"
    if not_allowed := forbidden(worker, need.program, need.trusted):
        return not_allowed
    missing = need.tags - worker.tags
    if missing:
        return f"lacks the tag{'s' if len(missing) > 1 else ''} {', '.join(sorted(missing))}"
    if need.blender is not None and _blender(need, worker) is None:
        if not worker.blenders:
            return "has no Blender"
        if need.series is not None and choose_blender(worker.blenders, need.blender, need.oldest_blender) is not None:
            return (
                f"has {_blenders(worker)}, and the job is rendered with Blender {dotted(need.series)}, so that its frames match"
            )
        return f"has {_blenders(worker)}, which cannot read a file saved by Blender {dotted(need.blender)}{_oldest(need)}"
    return ""


def loses(need: Requirements, worker: WorkerInfo) -> bool:
    """Return whether *worker* can open the job's .blend only with a Blender older than the one that saved it, which may lose
    data. False where it cannot open it."""
    if need.blender is None:
        return False
    chosen = _blender(need, worker)
    return chosen is not None and not reads_all(chosen, need.blender)


def waits_for_newer(need: Requirements, worker: WorkerInfo) -> str:
    """Return why *worker*, which would lose data of the job's .blend (`loses`), leaves it to another worker."""
    assert need.blender is not None, "what loses nothing of a .blend waits for no newer Blender"
    saved_by = dotted(need.blender)
    return (
        f"has {_blenders(worker)}, which may lose what Blender {saved_by} saved: that is left to a worker with Blender {saved_by}"
    )


def _blender(need: Requirements, worker: WorkerInfo) -> Blender | None:
    """Return the Blender that *worker* would render with; ``None`` where it has none for that, or none is needed."""
    if need.blender is None:
        return None
    return choose_blender(worker.blenders, need.blender, need.oldest_blender, need.series)


def _oldest(need: Requirements) -> str:
    """Return which Blender it takes, where that is not the one that saved the file."""
    if need.oldest_blender is None or need.oldest_blender[:2] == need.blender:
        return ""
    return f" (that takes Blender {dotted(need.oldest_blender[:2])} or later)"


def _blenders(worker: WorkerInfo) -> str:
    return ", ".join(sorted(blender.label for blender in worker.blenders))

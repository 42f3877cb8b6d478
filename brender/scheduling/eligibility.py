"""Whether a worker can run a task, and if not, why not, in words for a person. Pure."""

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo, choose_blender, forbidden


def obstacle(need: Requirements, worker: WorkerInfo) -> str:
    """Why *worker* cannot run what has these requirements; "" where it can."""
    if need.job_type not in worker.job_types:
        return f"does not take {need.job_type} jobs"
    if not_allowed := forbidden(worker, need.program, need.trusted):
        return not_allowed
    missing = need.tags - worker.tags
    if missing:
        return f"lacks the tag {', '.join(sorted(missing))}"
    if need.blender is not None and choose_blender(worker.blenders, need.blender) is None:
        wanted = ".".join(map(str, need.blender))
        if not worker.blenders:
            return "has no Blender"
        have = ", ".join(sorted(blender.label for blender in worker.blenders))
        return f"has {have}, which cannot read a file saved by Blender {wanted}"
    return ""

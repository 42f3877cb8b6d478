"""What the record keeps of nodes, back in the words of the model."""

from typing import Any

from brender.model.nodes import Blender, WorkerInfo


def worker_info(row: Any) -> WorkerInfo:
    """Return how the worker of *row*, a row of the table Worker, introduced itself."""
    blenders = []
    for blender in row.blenders:
        major, minor, patch = (int(number) for number in blender["version"].split("."))
        blenders.append(Blender(blender["kind"], blender["path"], (major, minor, patch), blender.get("file_subversion")))
    return WorkerInfo(
        id=row.id,
        incarnation=row.incarnation,
        name=row.name,
        host=row.host,
        platform=row.platform,
        software=row.software,
        pid=row.pid,
        cores=row.cores,
        memory=row.memory,
        blenders=tuple(blenders),
        tags=frozenset(row.tags),
        job_types=frozenset(row.job_types),
        programs=frozenset(row.programs),
        takes_trusted=row.takes_trusted,
        takes_addons=row.takes_addons,
        site=row.site,
        folders=tuple(row.folders),
        readable=tuple(row.readable),
    )

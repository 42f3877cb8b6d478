"""What the record keeps of nodes and jobs, back in the words of the model."""

from typing import Any

import msgspec

from brender.jobs.declare import JobType
from brender.model.addon import AddOn
from brender.model.beginning import After
from brender.model.job import FileFacts, JobSpec
from brender.model.nodes import Blender, WorkerInfo
from brender.model.sharing import Sharing


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
        pool=row.pool,
        mac=row.mac,
        gpu_memory=row.gpu_memory,
    )


def job_spec(row: Any, kind: JobType, facts: FileFacts | None) -> JobSpec:
    """Return what was submitted as the job of *row*, a row of the table Job, whose type is *kind*; *facts* is what its .blend
    says of itself."""
    return JobSpec(
        id=row.id,
        name=row.name,
        job_type=row.job_type,
        # A job of an earlier version knows nothing of settings that came since.
        settings={setting.name: setting.default for setting in kind.settings} | row.settings,
        project=row.__data__["project"],
        user=row.user,
        priority=row.priority,
        tags=tuple(row.tags),
        output=row.output,
        made_output=row.made_output,
        made_above=row.made_above,
        trusted=row.trusted,
        overwrite=row.overwrite,
        bundle=row.bundle,
        addons=msgspec.convert(row.addons, tuple[AddOn, ...]),
        of_render=row.of_render,
        after=msgspec.convert(row.after_jobs, tuple[After, ...]),
        start_at=row.start_at,
        night=row.night,
        stall_minutes=row.stall_minutes,
        limit_minutes=row.limit_minutes,
        sharing=msgspec.convert(row.sharing, Sharing),
        facts=facts,
        warnings=tuple(row.warnings),
    )

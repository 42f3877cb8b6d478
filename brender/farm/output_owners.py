"""Which job writes to which files: no two unfinished jobs to the same, and none to files that are being deleted."""

from collections.abc import Iterable

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.jobs.declare import JobType
from brender.model.errors import Conflict
from brender.model.job import JobSpec
from brender.model.output import Output, output_of
from brender.model.status import ENDED_JOB
from brender.model.text import short_id


def outputs_of(spec: JobSpec, kind: JobType) -> tuple[Output, ...]:
    """Return the outputs of the job of *spec*: that of its own folder, and that of the folder which it copies its files to."""
    pattern, copies = kind.output_key(spec), str(spec.settings.get("copy_to") or "")
    own = output_of(spec.output, pattern)
    return (own, output_of(copies, pattern)) if copies else (own,)


def may_own(farm: Farm, spec: JobSpec, kind: JobType) -> tuple[Output, ...]:
    """Return the outputs that the job of *spec* will own. Raises `Conflict` where another unfinished job owns one, or where files
    of a job are being deleted that may be it."""
    outputs = outputs_of(spec, kind)
    for place, owned in enumerate(outputs):
        folder, pattern = owned
        other = farm.owners.get(owned, spec.id) if pattern else spec.id
        another = "folder for the copies (--copy-to)" if place else "output folder (--output)"
        if other != spec.id:
            raise Conflict(
                f"The job {farm.jobs[other].called} writes the same files, {pattern} in {folder}, and has not ended. "
                f"Choose another {another}, or cancel that job"
            )
        for job, going in farm.deleting.items():
            if _overlap(owned, going):
                raise Conflict(
                    f"The files of the job {short_id(job)} in {folder} are being deleted: submit this one when they are gone"
                )
    return outputs


def own(farm: Farm, job: str, outputs: Iterable[Output]) -> None:
    """Note that *job* owns *outputs*."""
    for each in outputs:
        if each[1]:
            farm.owners[each] = job


def delete_files(farm: Farm, job: JobState) -> None:
    """Note that the files of the ended *job* are being deleted. Raises `Conflict` while another job writes to the same files:
    what it has just made could not be told from those of *job*."""
    going = output_of(job.spec.output, job.type.output_key(job.spec))
    other = next((each for each in farm.jobs.values() if each is not job and _writes(each, going)), None)
    if other is not None:
        raise Conflict(
            f"The job {other.called} writes to the same files in {job.spec.output}: delete the frames of "
            f"{job.called} when that has ended, or its record alone now"
        )
    farm.deleting[job.id] = going


def retire_files(farm: Farm, job: str, folder: str) -> bool:
    """Note that the files of the ended *job*, which is not in memory, are being deleted from *folder*; return whether they are.
    They are not while another job writes there."""
    going = (folder, "")
    if any(_writes(each, going) for each in farm.jobs.values()):
        return False
    farm.deleting[job] = going
    return True


def _writes(job: JobState, going: Output) -> bool:
    if job.status in ENDED_JOB and not job.live:
        return False
    return any(_overlap(each, going) for each in outputs_of(job.spec, job.type))


def _overlap(one: Output, other: Output) -> bool:
    if not one[0] or not other[0]:
        return False  # jobs without a folder write no files, or each to a folder of its own at the server
    if one[0] == other[0]:
        return one[1] == other[1] or not one[1] or not other[1]
    return _is_below(one, other) or _is_below(other, one)


def _is_below(one: Output, other: Output) -> bool:
    return not other[1] and one[0].startswith(f"{other[0]}/")

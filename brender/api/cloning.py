"""A job that is submitted again over the bus: `brender clone` and `Job.clone` alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from brender.api.connection import Again
from brender.api.jobspec import folder_here, make_output, shared_folder
from brender.api.place import user
from brender.blendfile.facts import inspect
from brender.bus.client import Client
from brender.bus.ids import new_id
from brender.engines.destination import output_folder
from brender.jobs.clones import clone, free_folder
from brender.jobs.declare import job_type
from brender.jobs.no_blend import check_no_blend, has_blend
from brender.model.errors import BadInput, Conflict
from brender.model.job import JobSpec
from brender.model.trust import check_trust

#: Folders that are tried, where each is another job's.
_TRIES = 20


def submit_again(client: Client, record: Mapping[str, Any], again: Again, is_here: bool) -> tuple[JobSpec, dict[str, Any]]:
    """Submit the job of *record* as *again* says; return the job, and what the farm says of it. *is_here*: the farm's server is
    on this machine. Raises `BrenderError`, with nothing submitted."""
    kind = job_type(record["job_type"])
    if not has_blend(kind.settings):
        check_no_blend(record["job_type"], {"overwrite": again.overwrite}, kind.engine, "--{}".format)
    variables = client.ask("paths")
    wanted = output_folder(again.output)
    wanted = wanted if record["bundle"] or not wanted else shared_folder(wanted, variables, again.site)
    spec = clone(record, new_id(), user(), again.change, wanted)
    begins = msgspec.structs.asdict(again.beginning)
    spec = msgspec.structs.replace(spec, overwrite=again.overwrite, paused=again.paused, **begins)
    spec = _with_its_file(spec, variables, is_here)
    return spec, _submitted(client, spec, variables, chosen=bool(wanted))


def _with_its_file(spec: JobSpec, variables: list[dict[str, Any]], is_here: bool) -> JobSpec:
    """Return *spec* with what its .blend says now, where this machine has it. Raises `BadInput` where the farm *is_here* and the
    file is gone."""
    if spec.bundle or spec.facts is None:
        return spec
    try:
        file = folder_here(spec.settings["file"], variables)
    except BadInput:
        return spec  # it has no place on this machine
    if not is_here and not file.is_file():
        return spec
    facts = inspect(file)
    return msgspec.structs.replace(spec, facts=facts, warnings=check_trust(facts, spec.trusted, "--trusted", "--untrusted"))


def _submitted(client: Client, spec: JobSpec, variables: list[dict[str, Any]], chosen: bool) -> dict[str, Any]:
    """Submit *spec*, to a folder that is free unless one was *chosen*; return what the server says. Raises `BadInput` or
    `Conflict`."""
    kind = job_type(spec.job_type)
    for _ in range(_TRIES):
        if spec.output and not chosen:
            spec = msgspec.structs.replace(spec, output=free_folder(spec.output, lambda folder: _is_taken(folder, variables)))
        prepared, made = kind.prepare(spec), 0
        if spec.output and not spec.bundle and (folder := _here(spec.output, variables)) is not None:
            made = make_output(folder)
        try:
            return client.submit(msgspec.structs.replace(prepared, made_output=made > 0, made_above=max(0, made - 1)))
        except Conflict:
            if chosen or not spec.output:
                raise
    raise Conflict(f"{spec.output} and the folders before it belong to other jobs: name another with --output")


def _here(folder: str, variables: list[dict[str, Any]]) -> Path | None:
    try:
        return folder_here(folder, variables)
    except BadInput:
        return None


def _is_taken(folder: str, variables: list[dict[str, Any]]) -> bool:
    here = _here(folder, variables)
    return here is not None and here.exists()

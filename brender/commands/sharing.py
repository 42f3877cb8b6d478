"""Whether all workers see the same bytes as this machine where they share folders: a file is laid there, and each says what it
sees."""

import hashlib
import platform
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brender.bus.client import Client
from brender.commands.checks import Finding
from brender.engines.shared_folders import proof_file
from brender.model.paths import PathVariable, check_site, places, platform_of

#: How long the answers of all workers are waited for: a folder of the network may take seconds to show a new file.
_PATIENCE_SECONDS = 12.0
_LOOK_SECONDS = 0.2


def shared_folders(client: Client, site: str) -> Iterator[Finding]:
    """A finding for each path variable, and for each worker that sees something else."""
    variables = [PathVariable(row["name"], row["platform"], row["path"], row["site"]) for row in client.ask("paths")]
    here = places(variables, platform_of(platform.system()), check_site(site))
    for name in sorted({each.name for each in variables}):
        shown = f"{{{name}}}"
        if name not in here:
            advice = f"`brender path set {name} --{platform_of(platform.system())} FOLDER` says where it is"
            yield Finding(shown, False, "has no place on this machine", advice)
            continue
        proof = secrets.token_hex(16)
        folder, content = Path(here[name]), secrets.token_bytes(64)
        file = proof_file(folder, proof)
        try:
            file.write_bytes(content)
        except OSError as error:
            yield Finding(shown, False, f"{folder}: {error.strerror}", "Mount it, or let this user write there")
            continue
        try:
            yield from _compared(client, name, folder, proof, hashlib.sha256(content).hexdigest())
        finally:
            file.unlink(missing_ok=True)


def _compared(client: Client, name: str, folder: Path, proof: str, digest: str) -> Iterator[Finding]:
    shown = f"{{{name}}}"
    workers = set(client.look(name, proof)["workers"])
    deadline = time.monotonic() + _PATIENCE_SECONDS
    seen: dict[str, dict[str, Any]] = {}
    while workers - seen.keys() and time.monotonic() < deadline:
        seen = {row["worker"]: row for row in client.ask("sights", proof=proof)}
        time.sleep(_LOOK_SECONDS)
    names = {row["id"]: row["name"] for row in client.ask("workers")}
    wrong = 0
    for worker in sorted(workers, key=lambda id: names.get(id, id)):
        problem, advice = _judged(seen.get(worker), digest)
        if problem:
            wrong += 1
            yield Finding(f"{shown} on the worker {names.get(worker, worker)}", False, problem, advice)
    if not wrong:
        same = "1 worker sees the same files there" if len(workers) == 1 else f"{len(workers)} workers see the same files there"
        several = same if workers else "no worker is there to compare"
        yield Finding(shown, True, f"{folder}: {several}")


def _judged(seen: dict[str, Any] | None, digest: str) -> tuple[str, str]:
    """Return what is wrong with what a worker saw, and what to do, or "" if it is the same as here."""
    if seen is None:
        return "did not say what it sees", "See whether it runs, and whether its network folder answers"
    if seen["problem"]:
        return seen["problem"], "Mount the same folder there, or set its place for that site (`brender path set --site`)"
    if seen["digest"] != digest:
        return "has another file of that name: it is another folder there", "Mount the same folder there"
    if not seen["writable"]:
        return "may not write there", "Let the worker's user write there, or frames cannot be put there"
    return "", ""

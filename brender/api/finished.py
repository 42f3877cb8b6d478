"""The files of finished frames of a job, as the server's record has them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brender.api.connection import Asking
from brender.jobs.pieces import is_piece
from brender.model.answers import PAGE
from brender.model.job import BAKE, COPY, FILM

Frame = tuple[int, str, str]
"""A frame of a job: its number, view layer and view."""


@dataclass(frozen=True)
class JobFile:
    """A file of a finished part: which part's, of which view layer ("": all), of which frame (``None``: of its film), which of
    its files, its name in the job's folder, its size, SHA-256 ("": not known), and the commit that told of it. ``earlier``: the
    SHA-256 of pictures of the frame that it is better than."""

    part: int
    layer: str
    frame: int | None
    file: int
    output: str
    size: int
    digest: str
    change: int
    earlier: frozenset[str] = frozenset()


def all_parts(connection: Asking, job: str, since: int = -1) -> Iterator[dict[str, Any]]:
    """The parts of *job* that changed after the commit *since*, by that of their last change."""
    while True:
        parts = connection.ask("parts", job=job, since=since, by="change")
        yield from parts
        if len(parts) < PAGE:
            return
        since = parts[-1]["change"]


def finished_files(connection: Asking, job: str, since: int = -1) -> Iterator[JobFile]:
    """The files of frames of *job* that were finished after the commit *since*; not those that lie elsewhere than in its folder,
    and no pieces of stills. Of a frame that is refined pass by pass, the picture of the latest."""
    parts: Iterable[dict[str, Any]] = all_parts(connection, job, since)
    earlier = defaultdict[Frame, set[str]](set)
    if passes := connection.ask("job", id=job).get("passes"):
        every = list(all_parts(connection, job))
        for part in every:
            earlier[_frame(part)].add(part["digest"])
        parts = _best(every, since)
    for part in parts:
        if part["status"] != "completed" or part["piece"] in (BAKE, COPY) or (part["piece"] > 0 and not passes):
            continue
        frame, change = part["frame"] if part["piece"] != FILM else None, part["change"]
        others = frozenset(earlier[_frame(part)] - {part["digest"], ""}) if passes else frozenset[str]()
        if part["output"]:
            yield JobFile(part["id"], part["layer"], frame, 0, part["output"], part["size"], part["digest"], change, others)
        for number, further in enumerate(part["further_files"], start=int(bool(part["output"]))):
            if not Path(further["output"]).is_absolute() and not (passes and is_piece(further["output"])):
                size, digest = further.get("size", 0), further.get("digest", "")
                yield JobFile(part["id"], part["layer"], frame, number, further["output"], size, digest, change)


def _frame(part: dict[str, Any]) -> Frame:
    return part["frame"], part["layer"], part["view"]


def _best(parts: Iterable[dict[str, Any]], since: int) -> Iterator[dict[str, Any]]:
    """Yield of *parts* those that are the latest finished picture of their frame, if they changed after the commit *since*."""
    best: dict[Frame, dict[str, Any]] = {}
    for part in parts:
        frame = _frame(part)
        if part["status"] == "completed" and part["output"] and (frame not in best or best[frame]["id"] < part["id"]):
            best[frame] = part
    yield from sorted((part for part in best.values() if part["change"] > since), key=lambda part: part["change"])

"""A file of a frame on its way from a worker to the server."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


def named_files(output: str, further_files: Iterable[str]) -> list[str]:
    """Return the names of the files of a part by their numbers: its own, *output*, where it has one, and its *further_files*."""
    return [*([output] if output else []), *further_files]


@dataclass(frozen=True)
class FrameFile:
    """The file at ``path``: a frame's, or a ``piece`` of a still's. ``file``: which of the part's files it is (`named_files`);
    ``digest`` its SHA-256."""

    kind: Literal["frame", "piece"]
    job: str
    attempt: str
    part: int
    file: int
    path: Path
    digest: str

"""A file of a frame on its way from a worker to the server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class FrameFile:
    """The file at ``path``: a frame's, or a ``piece`` of a still's. ``file``: 0, or which of a frame's further files it is,
    counted from 1; ``digest`` its SHA-256."""

    kind: Literal["frame", "piece"]
    job: str
    attempt: str
    part: int
    file: int
    path: Path
    digest: str

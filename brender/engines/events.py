"""What a running attempt tells its worker, as it happens. Frozen; seconds and bytes."""

from dataclasses import dataclass
from pathlib import Path

from brender.model.causes import Cause
from brender.model.grant import FurtherFile


@dataclass(frozen=True)
class Progressed:
    """Where it is: the frame, how much of the whole attempt is done (0 to 1), the last line of the log, and how many bytes
    have been written to it, or of the job's files have moved."""

    frame: int
    fraction: float
    line: str
    output: int = 0


@dataclass(frozen=True)
class Cautioned:
    """Something that the job's owner should know; ``subject`` is what it is about."""

    text: str
    subject: str = ""


@dataclass(frozen=True)
class PartFinished:
    """A part is done, its file verified and published. ``memory``: bytes that the render process has held at most; ``kept``:
    the file was there already; ``digest``: its SHA-256, where it travelled; ``further_files``: the frame's further files."""

    part: int
    seconds: float
    output: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    warnings: tuple[str, ...] = ()
    memory: int = 0
    kept: bool = False
    digest: str = ""
    further_files: tuple[FurtherFile, ...] = ()
    noise: float | None = None
    """Of a frame that is refined: how much is left in its picture, as shares of the samples tell; ``None``: not known."""


@dataclass(frozen=True)
class Pictured:
    """There is a small picture of a finished part. May come after the attempt's end, or never."""

    part: int
    thumbnail: Path


@dataclass(frozen=True)
class Ended:
    """The attempt is over. ``reason`` is "" where it went well; ``stopped`` where it was ended on purpose. ``shortage``: the
    worker itself cannot go on, for what its own folder lacks, in words; ``put_off``: the job cannot, from this worker, for a
    folder of its own that is full or does not answer. Neither is a fault of the attempt's."""

    seconds: float
    reason: str = ""
    permanent: bool = False
    stopped: bool = False
    shortage: str = ""
    put_off: bool = False
    out_of_memory: bool = False
    """The machine had no memory left, and its system killed the process."""
    forbidden: bool = False
    """This worker has no right to use a folder of the job. Where frames of it came before, it was taken away meanwhile."""
    cause: Cause = Cause.OTHER
    """Why it failed, as the accounts count it."""
    elsewhere: bool = False
    """Another worker is to try again, and this one keeps off the job. ``permanent`` then speaks of this worker alone."""


AttemptEvent = Progressed | Cautioned | PartFinished | Pictured | Ended

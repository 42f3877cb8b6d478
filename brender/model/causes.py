"""Why attempts fail, as the accounts count it. Pure."""

from enum import StrEnum


class Cause(StrEnum):
    """What made an attempt fail. The worker says so in its report, where it knows; the server knows the rest."""

    LOST = "lost"
    """Its worker was lost while it ran."""
    MEMORY = "memory"
    """The machine had no memory left."""
    DEVICE = "device"
    """A GPU failed under Blender."""
    TIME = "time"
    """It ran for too long, or showed no progress for too long."""
    FOLDER = "folder"
    """The worker may not use a folder of the job."""
    LICENCE = "licence"
    """A program got no licence."""
    FILES = "files"
    """A file of the job did not come to the worker, or a frame not from it."""
    OTHER = "other"
    """Anything else: a scene's own error, a program that ended with one, a frame that is not as it should be."""


#: The causes in words, in the order in which they are shown.
WORDS: dict[Cause, str] = {
    Cause.LOST: "worker lost",
    Cause.MEMORY: "out of memory",
    Cause.DEVICE: "GPU failed",
    Cause.TIME: "took too long",
    Cause.FOLDER: "folder not usable",
    Cause.LICENCE: "no licence available",
    Cause.FILES: "files did not arrive",
    Cause.OTHER: "other",
}


def cause_named(name: str) -> Cause:
    """Return the cause called *name*; `Cause.OTHER` for a name that this version does not know."""
    try:
        return Cause(name)
    except ValueError:
        return Cause.OTHER

"""The errors that brender raises on purpose.

Each message is written for its reader: what happened, to which thing, what to do. The command line prints the message
alone and exits with ``exit_code``; on the bus ``code`` travels beside it. Nothing else lives here.
"""


class BrenderError(Exception):
    """Any error whose message is meant for the user."""

    code = "error"
    exit_code = 1


class BadInput(BrenderError):
    """What the user gave cannot be used: a file, a setting, an address, a name."""

    code = "bad-input"
    exit_code = 2


class UnknownHost(BadInput):
    """No number is known for a host's name now; soon after a machine's start, or a change of its network, it may be."""

    exit_code = 4


class NotFound(BrenderError):
    """No thing has that id or name."""

    code = "not-found"
    exit_code = 2


class Conflict(BrenderError):
    """It cannot be done as things are: another holds what it takes (a port, a data folder, output paths), or the thing has
    ended."""

    code = "conflict"
    exit_code = 3


class Forbidden(BrenderError):
    """The asker's key does not allow it."""

    code = "forbidden"
    exit_code = 2


class Unreachable(BrenderError):
    """The other end did not answer in time."""

    code = "unreachable"
    exit_code = 4


class Paused(BrenderError):
    """The server cannot record anything for the moment, so it accepts nothing."""

    code = "paused"
    exit_code = 4


class IllegalTransition(Exception):
    """A status would change as its table does not allow: a fault of brender, never of the one who asked for something."""


class RenderFailed(BrenderError):
    """The job ended without all its frames."""

    code = "render-failed"
    exit_code = 5


BY_CODE: dict[str, type[BrenderError]] = {
    kind.code: kind for kind in (BrenderError, BadInput, NotFound, Conflict, Forbidden, Unreachable, Paused, RenderFailed)
}


def from_code(code: str, message: str) -> BrenderError:
    """Return the error that *code* names (an unknown code gives a plain `BrenderError`), saying *message*."""
    return BY_CODE.get(code, BrenderError)(message)

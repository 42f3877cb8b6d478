"""From message to frames and back. Whatever arrives is checked here, and what does not fit raises `Malformed`.

A message is multipart: one msgpack header ``{"v", "type", …}`` and, where there is bulk, raw frames after it.
"""

from collections.abc import Sequence

import msgpack
import msgspec

from brender.bus.messages import PROTOCOL, UNDERSTOOD, AnyMessage, Message
from brender.model.errors import BadInput

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)
#: The key ``v`` as msgpack writes it.
_VERSION_KEY = b"\xa1v"

#: Limits of what is read at all: bytes of a header, frames of a message.
HEADER_LIMIT = 16 * 1024 * 1024
FRAME_LIMIT = 64


class Malformed(Exception):
    """What arrived is not a message of ours; the text says why."""


class WrongVersion(Malformed):
    """It is one, but of a protocol that this software does not speak."""

    def __init__(self, theirs: object) -> None:
        super().__init__(
            f"the other end speaks protocol {theirs!r}, this one {PROTOCOL} (and understands {sorted(UNDERSTOOD)}): "
            "install the same brender on both machines"
        )


def encode(message: Message, bulk: Sequence[bytes] = ()) -> list[bytes]:
    """Return the frames of *message*, its bulk after it, uncopied. Raises `BadInput` where a number in it has too many digits.
    Hot path, watched by benchmarks.dispatch."""
    try:
        return [_encoder.encode(message), *bulk]
    except UnicodeEncodeError:
        # What no UTF-8 can hold (a file name of another encoding) becomes a question mark, rather than the end of a role.
        return [msgpack.packb(msgspec.to_builtins(message), unicode_errors="replace"), *bulk]
    except OverflowError as error:
        raise BadInput("A number with so many digits means nothing to the farm: give a smaller one") from error


def decode(frames: Sequence[bytes]) -> tuple[AnyMessage, list[bytes]]:
    """Return the message in *frames* and the bulk behind it. Raises `Malformed`, or `WrongVersion`."""
    if not 1 <= len(frames) <= FRAME_LIMIT:
        raise Malformed(f"{len(frames)} frames, where 1 to {FRAME_LIMIT} are allowed")
    if len(frames[0]) > HEADER_LIMIT:
        raise Malformed(f"a header of {len(frames[0])} bytes, where {HEADER_LIMIT} are allowed")
    try:
        message = _decoder.decode(frames[0])
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise _why(frames[0], error) from error
    # A header without a version would pass for one of ours by the declaration's default.
    if message.v not in UNDERSTOOD or _VERSION_KEY not in frames[0]:
        raise WrongVersion(message.v if _VERSION_KEY in frames[0] else "none")
    return message, list(frames[1:])


def _why(frame: bytes, error: Exception) -> Malformed:
    """Return what is wrong with *frame*, at which the decoder said *error*: looked at a second time, more slowly, in plain
    data."""
    try:
        header = msgpack.unpackb(frame, strict_map_key=True)
    except Exception as unreadable:  # msgpack raises a dozen unrelated kinds on hostile bytes
        return Malformed(f"no msgpack: {type(unreadable).__name__}")
    if not isinstance(header, dict):
        return Malformed(f"a header that is a {type(header).__name__}, not a map")
    version = header.get("v")
    if type(version) is not int or version not in UNDERSTOOD:
        return WrongVersion(version if isinstance(version, int) else "none")
    return Malformed(f"{str(header.get('type'))[:40]!r}: {str(error)[:200]}")

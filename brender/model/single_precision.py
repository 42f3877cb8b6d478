"""Numbers in single precision, in which Blender computes. Pure."""

import struct


def single(value: float) -> float:
    """Return *value* rounded to single precision.

    >>> int(single(0.699999988079071 * 10))
    7
    """
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return float(rounded)

"""The render region of a scene: a part of its picture, to which the render is limited. Pure."""

import struct


def pixels_within(border: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int]:
    """Return how many columns and rows of a picture of *width* by *height* pixels lie within *border* (`SceneFacts.border`), as
    Blender counts them: 0 or less where there is none.

    >>> pixels_within((0.25, 0.75, 0.0, 0.01), 64, 48)
    (32, 0)
    >>> pixels_within((0.0, 0.699999988079071, 0.0, 1.0), 10, 10)
    (7, 10)
    """
    left, right, low, high = border
    return _edge(right, width) - _edge(left, width), _edge(high, height) - _edge(low, height)


def _edge(share: float, size: int) -> int:
    # (Blender multiplies in single precision, so that 0.7 of 10 pixels are 7.)
    (rounded,) = struct.unpack("f", struct.pack("f", share * size))
    return int(rounded)

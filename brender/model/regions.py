"""The render region of a scene: a part of its picture, to which the render is limited. Pure."""

from brender.model.single_precision import single


def pixels_within(border: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int]:
    """Return how many columns and rows of a picture of *width* by *height* pixels lie within *border* (`SceneFacts.border`), as
    Blender counts them: 0 or less if there is no such pass.

    >>> pixels_within((0.25, 0.75, 0.0, 0.01), 64, 48)
    (32, 0)
    """
    left, right, low, high = border
    return int(single(right * width)) - int(single(left * width)), int(single(high * height)) - int(single(low * height))

"""What people call a part of a job: its frame, a step of that, a piece, the film, or a run of a program. Pure."""

from collections.abc import Mapping
from typing import Any

from brender.jobs.steps import steps_of as programs_of_steps
from brender.model.job import BAKE, COPY, FILM, NOISY
from brender.model.passes import passes_of
from brender.model.units import steps_of


def part_in_words(settings: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """Return what *part*, a row, of a prepared job with these *settings* is called.

    >>> part_in_words({}, {"frame": 3, "piece": 0, "layer": "", "output": "a.png"})
    'frame 3'
    >>> part_in_words({"copy_to": "/delivery"}, {"frame": 3, "piece": -3, "layer": "Fog", "output": "a.png"})
    'frame 3, Fog, copied'
    >>> part_in_words({"film": "a.mp4"}, {"frame": 24, "piece": -1, "layer": "", "output": "a.mp4"})
    'the film'
    """
    frame, piece, layer = part["frame"], part["piece"], part["layer"]
    if (programs := programs_of_steps(settings)) is not None:
        step = programs.by_name.get(layer)
        if step is None or step.frames:
            return f"{layer}, frame {frame}"
        return f"{layer}, run {frame + 1} of {step.parts:,}" if step.parts > 1 else layer
    if piece in (FILM, BAKE):
        return "the film" if piece == FILM else "the bake"
    if piece == COPY and settings.get("film") and part["output"] == settings["film"]:
        return "the copy of the film"
    called = f"frame {frame}{f', {layer}' if layer else ''}"
    if passes := passes_of(settings):
        return f"{called}, pass {piece or passes} of {passes}"
    if piece == COPY:
        return f"{called}, copied"
    if settings.get("denoise_after"):
        return f"{called}, {'rendered' if piece == NOISY else 'denoised'}"
    if piece > 0:
        return f"piece {piece}"
    return f"{called}, rendered" if steps_of(settings) > 1 else called

"""View layers: which of a scene's are rendered, together in one picture or, where the pattern says so, each to its own."""

import re
from collections.abc import Mapping
from typing import Any

from brender.model.errors import BadInput
from brender.model.job import SceneFacts

#: What stands for a layer's name in a pattern.
TEMPLATE = "{view_layer}"
_NOT_IN_NAMES = re.compile(r'[<>:"|?*\\/\x00-\x1f]')


def check_layers(settings: dict[str, Any], scene: SceneFacts, path: str) -> list[str]:
    """Check which view layers of *scene* the *settings* name, and fill them in where each has files of its own; returns what the
    job's owner should know of that. Raises `BadInput`."""
    there, chosen = [layer.name for layer in scene.layers], settings["view_layers"]
    if chosen is not None:
        chosen = settings["view_layers"] = list(dict.fromkeys(chosen)) or None
    for name in chosen or ():
        if there and name not in there:
            raise BadInput(f"{path}: the scene {scene.name!r} has no view layer {name!r}; it has: {', '.join(map(repr, there))}")
    on = [layer.name for layer in scene.layers if layer.use]
    if TEMPLATE in settings["pattern"]:
        settings["view_layers"] = _each_by_itself(chosen or on, scene, path)
        if scene.composited or not scene.needs_camera:
            return [
                f"Each view layer of the scene {scene.name!r} is rendered as it is, without its compositor and sequencer, "
                f"since the pattern has {TEMPLATE}"
            ]
        return []
    if chosen is None:
        if there and not on:
            return [
                f"Every view layer of the scene {scene.name!r} is off, so its pictures are empty. Name some with --view-layer"
            ]
        return []
    others = [name for name in there if name not in chosen]
    if scene.composited and others:
        return [
            f"Of the scene {scene.name!r} only {', '.join(map(repr, chosen))} is rendered: what its compositor takes from other "
            f"view layers ({', '.join(map(repr, others))}) is empty"
        ]
    return []


def _each_by_itself(layers: list[str], scene: SceneFacts, path: str) -> list[str]:
    if not layers:
        why = "every one is off" if scene.layers else "the file does not say which there are"
        raise BadInput(f"{path}: the pattern has {TEMPLATE}, and of the scene {scene.name!r} {why}. Name some with --view-layer")
    names = [_in_names(layer).casefold() for layer in layers]
    for layer, name in zip(layers, names, strict=True):
        if names.count(name) > 1:
            raise BadInput(
                f"{path}: the view layer {layer!r} and another would both write files called {_in_names(layer)!r}. Rename one"
            )
    return layers


def layers_apart(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the layers that have files of their own, by *settings* of a prepared job; one "" where one picture shows all it has.

    A job of before layers were chosen has none, whatever its pattern."""
    named = settings.get("view_layers") if TEMPLATE in (settings.get("pattern") or "") else None
    return tuple(named or ("",))


def named_for(name: str, layer: str) -> str:
    """Return the file *name* as it is for *layer*.

    >>> named_for("{view_layer}/shot_0001.png", "Props: near")
    'Props_ near/shot_0001.png'
    """
    return name.replace(TEMPLATE, _in_names(layer)) if layer else name


def _in_names(layer: str) -> str:
    return _NOT_IN_NAMES.sub("_", layer).strip(" .") or "_"

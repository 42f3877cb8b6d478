"""What a .blend says of a scene's views, its view layers and its compositor, read without Blender."""

from collections.abc import Iterator
from typing import Any

from brender.model.job import LayerFacts

#: Bits of RenderData.scemode (DNA_scene_types.h): the compositor takes part; several views are rendered.
_USES_COMPOSITOR, _HAS_VIEWS = 0x40, 0x200000
#: SceneRenderView.viewflag: not rendered. ViewLayer.flag: rendered.
_VIEW_OFF, _LAYER_ON = 1, 1
#: RenderData.views_format: of all its views, those for stereo alone.
_STEREO = 0
_STEREO_VIEWS = {"left", "right"}
#: ImageFormatData.views_format.
_VIEWS_FORMATS = ("INDIVIDUAL", "STEREO_3D", "MULTIVIEW")


def view_facts(scene: Any) -> dict[str, Any]:
    """Return the fields of `SceneFacts` that tell of them, for the block *scene*."""
    has_views = _field(scene, b"r", b"scemode") & _HAS_VIEWS
    number = _field(scene, b"r", b"im_format", b"views_format")
    return {
        "layers": tuple(
            LayerFacts(_text(layer, b"name"), bool(_field(layer, b"flag") & _LAYER_ON))
            for layer in _listed(scene, b"view_layers")
        ),
        "views": tuple(_views(scene)) if has_views else (),
        "views_format": _VIEWS_FORMATS[number] if has_views and number < len(_VIEWS_FORMATS) else "",
        "composited": bool(_field(scene, b"r", b"scemode") & _USES_COMPOSITOR and _has_nodes(scene)),
    }


def _views(scene: Any) -> Iterator[str]:
    stereo = _field(scene, b"r", b"views_format") == _STEREO
    for view in _listed(scene, b"r", b"views"):
        wanted = not stereo or _text(view, b"name") in _STEREO_VIEWS
        if wanted and not _field(view, b"viewflag") & _VIEW_OFF:
            yield _text(view, b"suffix")


def _has_nodes(scene: Any) -> bool:
    try:
        return bool(scene.get(b"compositing_node_group"))
    except KeyError:  # before Blender 5
        return bool(_field(scene, b"use_nodes") and _field(scene, b"nodetree"))


def _listed(block: Any, *path: bytes) -> Iterator[Any]:
    """The blocks of the list *path*; none where Blender had no such list yet."""
    try:
        each = block.get_pointer((*path, b"first"))
    except KeyError:
        return
    while each:
        yield each
        each = each.get_pointer(b"next")


def _field(block: Any, *path: bytes) -> int:
    """Return the number *path*; 0 where Blender had no such field yet."""
    try:
        return int(block.get(path if len(path) > 1 else path[0]))
    except KeyError:
        return 0


def _text(block: Any, name: bytes) -> str:
    return str(block.get(name, as_str=True))

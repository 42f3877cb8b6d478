"""blender-asset-tracer 1.x, with its known holes mended: which files a .blend names, where there is no Blender to ask.

(Version 2 of the tracer runs inside Blender 5.1 and later, so it is no help here.) The mends are made on import, since the tracer
keeps its handlers in tables that are meant to be added to:

- A Geometry Nodes modifier saved by Blender 5.0 may point to bakes that are not in the file.
- Since Blender 5.0 a scene's compositing nodes have a name of their own, and only a scene's do.
- A fluid's cache folder counts only where something is baked into it.
- OSL scripts and IES files are named by shader nodes of materials, worlds, lights and node groups.
"""

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blender_asset_tracer import cdefs, trace
from blender_asset_tracer.blendfile import iterators
from blender_asset_tracer.blendfile.exceptions import SegmentationFault
from blender_asset_tracer.trace import blocks2assets, expanders, modifier_walkers, result

from brender.engines.inside.filesets import missing_of
from brender.model.paths import in_own_words

_KINDS = {
    "IM": "image",
    "LI": "library",
    "VF": "font",
    "SO": "sound",
    "CF": "cache",
    "MC": "movie",
    "OB": "object",
    "SC": "scene",
    "VO": "volume",
    "MA": "material",
    "WO": "world",
    "LA": "light",
    "NT": "node group",
}
#: Shader nodes that name files, and brender's words for these.
_SHADER_NODES = {b"ShaderNodeScript": "OSL script", b"ShaderNodeTexIES": "IES file"}
#: NODE_SCRIPT_EXTERNAL and NODE_IES_EXTERNAL (DNA_node_types.h).
_EXTERNAL = 1
#: FLUID_DOMAIN_BAKED_DATA, _NOISE, _MESH, _PARTICLES and _GUIDE (DNA_fluid_types.h).
_FLUID_BAKED = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 9


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the tracer from printing and logging what brender says itself, better."""
    tracer = logging.getLogger("blender_asset_tracer")
    before = tracer.level
    tracer.setLevel(logging.CRITICAL + 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tracer.setLevel(before)


def usages(path: Path) -> Iterator[Any]:
    """Return what the .blend at *path* and the libraries that it links name, one ``trace.result.BlockUsage`` each."""
    return iter(trace.deps(path))


def missing(usage: Any) -> list[str]:
    """Return the paths that *usage* names and that are not there."""
    where = os.path.normpath(str(usage.abspath))
    if "*" in where:  # a cache that is on disk where it is baked
        return []
    tiles = _tiles(usage.block) if usage.block.code == b"IM" else None
    caches = usage.is_sequence and tiles is None and Path(where).is_dir()
    found: list[str] = missing_of(where, usage.is_sequence, tiles, caches)
    return [in_own_words(each) for each in found]


def user(usage: Any) -> str:
    """Return what names *usage*, such as ``image wood of shot.blend``."""
    owner = Path(_text(str(usage.block.bfile.filepath))).name
    name = _text(usage.block_name)
    if name.startswith("-"):  # the tracer's own word for what has no name
        return f"strip of {owner}"
    word, colon, name = name.partition(":")
    kind = word if colon else _KINDS.get(word[:2], word[:2])
    return f"{kind} {name if colon else word[2:]} of {owner}"


def _tiles(block: Any) -> set[int] | None:
    """Return the numbers of the tiles of an image; ``None`` where it has none."""
    if block.get(b"source", default=cdefs.IMA_SRC_FILE) != cdefs.IMA_SRC_TILED:
        return None
    return {int(tile[b"tile_number"]) for tile in iterators.listbase(block.get_pointer((b"tiles", b"first")))}


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.split(b"\0")[0].decode("utf-8", "replace")


def _node_tree(block: Any) -> Any:
    """Return the node tree that *block* owns, or ``None``."""
    if block.code == b"NT":
        return block
    if block.code == b"SC" and block.has_field(b"compositing_node_group"):
        return block.get_pointer(b"compositing_node_group", None)
    return block.get_pointer(b"nodetree", None)


def _expand_node_tree(block: Any) -> Iterator[Any]:
    tree = _node_tree(block)
    if tree is not None:
        yield from expanders._expand_generic_nodetree(tree)


def _shader_node_files(block: Any) -> Iterator[Any]:
    tree = _node_tree(block)
    if tree is None or tree.dna_type_name != "bNodeTree":
        return
    for node in iterators.listbase(tree.get_pointer((b"nodes", b"first"))):
        word = _SHADER_NODES.get(node[b"idname"].split(b"\0")[0])
        storage = node.get_pointer(b"storage") if word else None
        if storage is None or storage.get(b"mode") != _EXTERNAL:
            continue
        path, field = storage.get(b"filepath", return_field=True)
        if path:
            kind = _KINDS[block.code.decode()]
            name = f"{word} of {kind}:{_text(block.id_name)[2:]}".encode()
            yield result.BlockUsage(storage, path, path_full_field=field, block_name=name)


_nodes_modifier = modifier_walkers.modifier_handlers[cdefs.eModifierType_Nodes]


def _nodes_modifier_files(context: Any, modifier: Any, block_name: bytes) -> Iterator[Any]:
    try:
        yield from _nodes_modifier(context, modifier, block_name)
    except SegmentationFault:
        return


_fluid_modifier = modifier_walkers.modifier_handlers[cdefs.eModifierType_Fluid]


def _fluid_modifier_files(context: Any, modifier: Any, block_name: bytes) -> Iterator[Any]:
    domain = modifier.get_pointer(b"domain")
    if domain is not None and domain.get(b"cache_flag", default=0) & _FLUID_BAKED:
        yield from _fluid_modifier(context, modifier, block_name)


expanders._expand_generic_nodetree_id = _expand_node_tree
modifier_walkers.modifier_handlers[cdefs.eModifierType_Nodes] = _nodes_modifier_files
modifier_walkers.modifier_handlers[cdefs.eModifierType_Fluid] = _fluid_modifier_files
for _code in ("MA", "WO", "LA", "NT"):
    blocks2assets.dna_code(_code)(_shader_node_files)

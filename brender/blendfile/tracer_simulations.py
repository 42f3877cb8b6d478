"""What simulates in a .blend and what in it needs trust, read without Blender.

As inside/simulations.py and inside/trust.py have it, in less detail: every object of the file counts, whether or not a scene
shows it, and none of its libraries. Where Blender is asked, this has what it does not tell: bakes that are packed into the file.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from blender_asset_tracer import blendfile
from blender_asset_tracer.blendfile import iterators
from blender_asset_tracer.blendfile.exceptions import BlendFileError, SegmentationFault
from msgspec.structs import replace

from brender.engines.inside.expressions import needs_trust
from brender.model.job import MissingFile, SceneFacts
from brender.model.simulations import Simulation

# From Blender's DNA_object_force_types.h, DNA_particle_types.h, DNA_modifier_types.h, DNA_fluid_types.h, DNA_rigidbody_types.h,
# DNA_dynamicpaint_types.h, DNA_action_types.h, DNA_anim_types.h and DNA_text_types.h.
_CACHE_BAKED, _CACHE_ON_DISK, _CACHE_EXTERNAL = 1, 64, 512
_SHOWN_IN_RENDERS = 2
_HAIR, _HAIR_DYNAMICS = 2, 4
_PHYSICS_THAT_SIMULATE = {1, 3, 4}
_FLUID_DOMAIN, _REPLAY, _FLUID_BAKED = 1, 0, 2
_SURFACE_ACTIVE, _SURFACE_OF_VERTICES = 1, 1
_ACTIVE_BODY = 0
_ITASC, _ITASC_SIMULATION = 1, 2
_PYTHON_DRIVER, _MUTED_CURVE = 1, 16
_REGISTERED_TEXT = 16


def simulations(file: blendfile.BlendFile, scene: Any) -> tuple[Simulation, ...]:
    """Return what simulates in the opened *file*, for the block of one *scene* of it."""
    found = list(_rigid_bodies(file, scene))
    frames = scene.get((b"r", b"sfra")), scene.get((b"r", b"efra"))
    for thing in file.code_index.get(b"OB", []):
        found += _of_object(thing, frames)
    return tuple(sorted(found, key=lambda each: (each.kind, each.owner, each.first)))


def simulated(scenes: tuple[SceneFacts, ...], path: Path) -> tuple[SceneFacts, ...]:
    """Return *scenes*, as Blender told them of the .blend at *path*, with the bakes that it does not tell of."""
    if not any(each.bake and each.baked is None for scene in scenes for each in scene.simulations):
        return scenes
    try:
        packed = packed_bakes(path)
    except (BlendFileError, OSError):
        return scenes  # of a format that the tracer cannot read

    def with_bake(each: Simulation) -> Simulation:
        return replace(each, baked=each.baked or packed.get(each.bake))

    return tuple(replace(scene, simulations=tuple(map(with_bake, scene.simulations))) for scene in scenes)


def bakes_missing(scenes: Iterable[SceneFacts]) -> list[MissingFile]:
    """Return the folders in which files of a simulation's bake are missing."""
    half = {each.folder: each for scene in scenes for each in scene.simulations if each.is_half_there}
    return [MissingFile(folder, f"the bake of {each.words}") for folder, each in half.items()]


def packed_bakes(path: Path) -> dict[int, tuple[int, int]]:
    """Return the bakes of nodes that are packed into the .blend at *path*: by their number, their first and last frame."""
    found = {}
    with blendfile.BlendFile(path) as file:
        for block in file.blocks:
            if block.dna_type_name == "NodesModifierBake":
                for bake in _items(block):
                    if (frames := _packed(bake)) is not None:
                        found[int(bake.get(b"id"))] = frames
    return found


def wanting_trust(file: blendfile.BlendFile) -> tuple[str, ...]:
    """Return the texts and drivers of the opened *file* that do not run in a file that is not trusted, in words for a person."""
    found = []
    for text in file.code_index.get(b"TX", []):
        name = _name(text)
        if text.get(b"flags") & _REGISTERED_TEXT and name.endswith(".py"):
            found.append(f"the text {name!r} (registered)")
    for owner, curve in _driven(file):
        driver = _pointer(curve, b"driver")
        if driver is None or driver.get(b"type") != _PYTHON_DRIVER or curve.get(b"flag") & _MUTED_CURVE:
            continue
        expression = driver.get(b"expression", as_str=True)
        names = [each.get(b"name", as_str=True) for each in _listed(driver, b"variables")]
        if needs_trust(expression, [*names, "abs"]):
            path = _pointer(curve, b"rna_path")
            place = path.raw_data().split(b"\0")[0].decode("utf-8", "replace") if path is not None else "?"
            found.append(f"the driver of {owner}.{place}[{curve.get(b'array_index')}] ({expression!r})")
    return tuple(found)


def _driven(file: blendfile.BlendFile) -> Iterator[tuple[str, Any]]:
    for block in file.blocks:
        data = _pointer(block, b"adt") if block.has_field(b"adt") else None
        if data is not None:
            for curve in _listed(data, b"drivers"):
                yield _name(block), curve


def _rigid_bodies(file: blendfile.BlendFile, scene: Any) -> Iterator[Simulation]:
    world = _pointer(scene, b"rigidbody_world")
    shared = _pointer(world, b"shared") if world is not None else None
    bodies = [_pointer(thing, b"rigidbody_object") for thing in file.code_index.get(b"OB", [])]
    if shared is not None and any(body is not None and body.get(b"type") == _ACTIVE_BODY for body in bodies):
        yield _cached("rigid bodies", scene, shared)


def _of_object(thing: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    for modifier in _listed(thing, b"modifiers", (b"modifier", b"next")):
        if modifier.get((b"modifier", b"mode")) & _SHOWN_IN_RENDERS:
            yield from _MODIFIERS.get(modifier.dna_type_name, _nothing)(thing, modifier, frames)
    for system in _listed(thing, b"particlesystem"):
        part = _pointer(system, b"part")
        if part is None:
            continue
        if part.get(b"type") == _HAIR:
            if system.get(b"flag") & _HAIR_DYNAMICS:
                yield _cached("hair dynamics", thing, system)
        elif part.get(b"phystype") in _PHYSICS_THAT_SIMULATE:
            yield _cached("particles", thing, system)
    pose = _pointer(thing, b"pose")
    solver = _pointer(pose, b"ikparam") if pose is not None and pose.get(b"iksolver") == _ITASC else None
    if solver is not None and solver.get(b"flag") & _ITASC_SIMULATION:
        yield Simulation(kind="inverse kinematics", owner=_name(thing), first=frames[0], last=frames[1])


def _cached(kind: str, owner: Any, holder: Any, pointer: bytes = b"pointcache") -> Simulation:
    cache = _pointer(holder, pointer)
    first, last = (cache.get(b"startframe"), cache.get(b"endframe")) if cache is not None else (1, 250)
    kept = cache is not None and bool(cache.get(b"flag") & (_CACHE_BAKED | _CACHE_EXTERNAL))
    return Simulation(kind=kind, owner=_name(owner), first=first, last=last, baked=(first, last) if kept else None)


def _cloth(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    yield _cached("cloth", thing, modifier, b"point_cache")


def _soft_body(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    soft = _pointer(thing, b"soft")
    shared = _pointer(soft, b"shared") if soft is not None else None
    if shared is not None:
        yield _cached("soft body", thing, shared)


def _fluid(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    domain = _pointer(modifier, b"domain")
    if domain is None or modifier.get(b"type") != _FLUID_DOMAIN:
        return
    first, last = domain.get(b"cache_frame_start"), domain.get(b"cache_frame_end")
    if domain.get(b"cache_type") == _REPLAY:
        yield Simulation(kind="fluid", owner=_name(thing), first=first, last=last)
    else:
        baked = (first, last) if domain.get(b"cache_flag") & _FLUID_BAKED else None
        yield Simulation(kind="baked fluid", owner=_name(thing), first=first, last=last, baked=baked)


def _paint(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    canvas = _pointer(modifier, b"canvas")
    for surface in _listed(canvas, b"surfaces") if canvas is not None else ():
        if surface.get(b"flags") & _SURFACE_ACTIVE and surface.get(b"format") == _SURFACE_OF_VERTICES:
            yield _cached("dynamic paint", thing, surface)


def _nodes(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    tree = _pointer(modifier, b"node_group")
    if tree is None or not _simulates(tree, set()):
        return
    bakes = _pointer(modifier, b"bakes")
    packed = [_packed(bake) for bake in _items(bakes)] if bakes is not None else []
    # Whether one of its bakes lies in files is not looked at.
    baked = packed[0] if packed and all(packed) else None
    yield Simulation(kind="simulation nodes", owner=_name(thing), first=frames[0], last=frames[1], baked=baked)


def _nothing(thing: Any, modifier: Any, frames: tuple[int, int]) -> Iterator[Simulation]:
    return iter(())


_MODIFIERS: dict[str, Callable[[Any, Any, tuple[int, int]], Iterator[Simulation]]] = {
    "ClothModifierData": _cloth,
    "SoftbodyModifierData": _soft_body,
    "FluidModifierData": _fluid,
    "DynamicPaintModifierData": _paint,
    "NodesModifierData": _nodes,
}


def _simulates(tree: Any, seen: set[int]) -> bool:
    """Return whether *tree*, or a group in it, has a simulation zone. (A group of a library is a bare name here.)"""
    if tree.addr_old in seen or not tree.has_field(b"nodes"):
        return False
    seen.add(tree.addr_old)
    for node in _listed(tree, b"nodes"):
        if node.get(b"idname", as_str=True) == "GeometryNodeSimulationOutput":
            return True
        inner = _pointer(node, b"id")
        if inner is not None and inner.code == b"NT" and _simulates(inner, seen):
            return True
    return False


def _packed(bake: Any) -> tuple[int, int] | None:
    """Return the first and last frame of *bake*, where it is packed into the file."""
    packed = _pointer(bake, b"packed")
    files = _pointer(packed, b"meta_files") if packed is not None else None
    if files is None:
        return None
    names = [_pointer(each, b"name") for each in _items(files)]
    # 00012_00000.json
    frames = [int(name.raw_data().split(b"_")[0]) for name in names if name is not None]
    return (min(frames), max(frames)) if frames else None


def _items(block: Any) -> Iterator[Any]:
    """Each item of an array of structures, for as long as it is looked at."""
    return iter(iterators.dynamic_array(block))


def _pointer(block: Any, path: Any) -> Any:
    """Return what a pointer of *block* points to; ``None`` where it is not set, unknown to this version, or leads nowhere."""
    try:
        found = block.get_pointer(path, default=None)
    except (SegmentationFault, KeyError):
        return None
    return found or None


def _listed(block: Any, name: bytes, following: Any = b"next") -> Iterator[Any]:
    each = _pointer(block, (name, b"first"))
    while each is not None:
        yield each
        each = _pointer(each, following)


def _name(block: Any) -> str:
    return bytes(block.id_name or b"??a node tree").split(b"\0")[0].decode("utf-8", "replace")[2:]

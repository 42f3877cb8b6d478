"""Inside Blender: what animates the settings of a scene, by F-curves and drivers."""

import contextlib

import bpy

#: Settings that say how many samples a pixel gets, and which.
SAMPLES = (
    "cycles.samples",
    "cycles.sample_",
    "cycles.sampling_pattern",
    "cycles.use_sample_subset",
    "cycles.use_adaptive_sampling",
    "cycles.use_layer_samples",
    "eevee.taa_render_samples",
)
#: Settings that say when adaptive sampling is done with a pixel.
ADAPTIVE = ("cycles.adaptive_",)
DENOISING = ("cycles.use_denoising", "cycles.denois")


def curves(block):
    """The F-curves and drivers of the data-block *block*."""
    data = block.animation_data
    if data is None:
        return []
    found = list(data.drivers)
    for action in filter(None, [data.action, *(strip.action for track in data.nla_tracks for strip in _strips(track.strips))]):
        layers = getattr(action, "layers", ())
        if layers:
            found += [curve for layer in layers for strip in layer.strips for bag in strip.channelbags for curve in bag.fcurves]
        else:
            found += getattr(action, "fcurves", ())  # (none where Blender 5 has an action without keys)
    return found


def _strips(strips):
    """These *strips* of the nonlinear animation, and those in the meta strips among them."""
    for strip in strips:
        yield strip
        yield from _strips(strip.strips)


def animates(block, beginnings):
    """Whether one of them, which is not muted, changes a property whose path begins with one of *beginnings*."""
    return any(not curve.mute and curve.data_path.startswith(beginnings) for curve in curves(block))


def samples_of_layers(scene):
    """The paths of the samples that view layers of *scene* may have of their own."""
    return tuple('view_layers["%s"].samples' % bpy.utils.escape_identifier(layer.name) for layer in scene.view_layers)


def mute(block, beginnings):
    """Let nothing change properties of *block* whose paths begin so; return what did before."""
    found = [curve for curve in curves(block) if not curve.mute and curve.data_path.startswith(beginnings)]
    for curve in found:
        curve.mute = True
    return found


@contextlib.contextmanager
def held(scene, frame, beginnings):
    """Keep such properties of *scene* at what they are at *frame*, for as long as the block runs."""
    if animates(scene, beginnings):
        scene.frame_set(frame)
    muted = mute(scene, beginnings)
    try:
        yield
    finally:
        for curve in muted:
            curve.mute = False


def cycles_keeps_up(scene):
    """Whether Cycles notices all that changes in *scene* where it keeps its data from one frame to the next.

    It does not (seen with bpy 4.5, 5.0 and 5.3) where settings of the render or of a view layer change that decide what objects
    look like, such as the levels of Simplify; nor does 5.3 where fewer samples are to be taken than before.
    """
    own = [curve.data_path for curve in curves(scene) if not curve.mute and curve.data_path != "cycles.seed"]
    if any(path.startswith(("render.", "cycles.", "view_layers")) for path in own):
        return False
    if sum(layer.use for layer in scene.view_layers) > 1 and any(layer.use and layer.samples for layer in scene.view_layers):
        return False
    return not any(animates(thing, ("particle_systems",)) for thing in bpy.data.objects)


def with_moving_pictures():
    """The materials, worlds, lights and node groups that show a sequence or a movie."""
    moving = {}

    def moves(tree):
        if tree not in moving:
            moving[tree] = False
            moving[tree] = any(
                getattr(getattr(node, "image", None), "source", "") in {"SEQUENCE", "MOVIE"}
                or (getattr(node, "node_tree", None) is not None and moves(node.node_tree))
                for node in tree.nodes
            )
        return moving[tree]

    owners = [owner for kind in ("materials", "worlds", "lights") for owner in getattr(bpy.data, kind)]
    found = [owner for owner in owners if owner.node_tree is not None and moves(owner.node_tree)]
    return found + [tree for tree, does in moving.items() if does]


def show_moving_pictures():
    """Have Cycles, which keeps its data, show the picture of each frame.

    It goes on with that of an earlier frame if the picture is not refreshed by itself (Auto Refresh), or if nothing that was
    rendered had it at the frame before.
    """
    if found := with_moving_pictures():

        def refresh(*_):
            for each in found:
                with contextlib.suppress(ReferenceError):  # a script has removed it
                    each.update_tag()

        bpy.app.handlers.frame_change_pre.append(refresh)

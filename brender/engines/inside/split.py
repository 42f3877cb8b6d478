"""Inside Blender: how a scene's frame can be split, one piece of it, and the picture that is made of all of them."""

import bpy
import templates

#: Pixels that a band reaches beyond itself where Cycles decides by looking at neighbors (adaptive sampling does), so that it
#: decides alike. Elsewhere each pixel stands by itself.
MARGIN = 8
#: Blender without subsets of samples (3.x) makes its table of sample positions for at least so many; for more, the table depends
#: on how many a render takes, so that shares do not add up to the same (measured with 3.4.1: equal up to 256, 8e-3 at 1024).
PATTERN_SAMPLES = 256


def way(scene, wanted, pieces):
    """How the frame of *scene* is split into *pieces*: ``samples``, ``tiles`` or ``whole``; and why, where it is not as *wanted*
    (``auto``: by samples)."""
    whole = why_whole(scene)
    if whole:
        return "whole", "This still is rendered in one piece: " + whole
    height = scene.render.resolution_y * scene.render.resolution_percentage // 100
    if pieces > height:
        return "whole", "This still is rendered in one piece: it has fewer rows than %d pieces" % pieces
    if wanted == "tiles":
        return "tiles", ""
    if scene.cycles.use_adaptive_sampling:
        return "tiles", "This still is split by tiles: with adaptive sampling, shares of the samples do not add up to the same"
    if scene.cycles.samples > PATTERN_SAMPLES and not hasattr(scene.cycles, "sample_subset_length"):
        return "tiles", (
            "This still is split by tiles: with more than %d samples, what Blender %s samples depends on how many it takes"
            % (PATTERN_SAMPLES, bpy.app.version_string)
        )
    if scene.cycles.samples < pieces:
        return "tiles", "This still is split by tiles: it has fewer samples than %d pieces" % pieces
    return "samples", ""


def why_whole(scene):
    """Why the frame of *scene* cannot be split and be the same; "" where it can."""
    render = scene.render
    if render.engine != "CYCLES":
        return "%s computes effects over the whole picture, and would leave seams" % render.engine
    if render.use_compositing and uses_nodes(scene):
        return "its compositing nodes need the whole picture"
    if render.use_sequencer and has_strips(scene):
        return "the picture comes from its sequencer"
    if sum(layer.use for layer in scene.view_layers) > 1:
        return "it has several view layers"
    if render.use_multiview:
        return "it has several views"
    if render.use_border:
        return "it has a render region of its own"
    if render.use_freestyle:
        return "Freestyle draws its lines over the whole picture"
    if scene.cycles.time_limit:
        return "it has a time limit, so that nobody knows its samples before"
    return ""


def has_strips(scene):
    editor = scene.sequence_editor
    return bool(editor and len(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all))


def uses_nodes(scene):
    """Whether *scene* has compositing nodes that do something."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group is not None
    return (
        scene.use_nodes
        and scene.node_tree is not None
        and any(node.bl_idname not in {"CompositorNodeRLayers", "CompositorNodeComposite"} for node in scene.node_tree.nodes)
    )


class PieceSettings:
    """While it is in force, a render of *scene* gives one piece of the picture, with all passes and those that denoising needs,
    and not denoised. It stays in force from piece to piece: each change of these would have Cycles take the whole scene anew."""

    def __init__(self, scene):
        self.scene = scene
        self.kept = Kept()
        cycles, image = scene.cycles, scene.render.image_settings
        for layer in scene.view_layers:
            if cycles_denoises(scene, layer):
                self.kept.set(layer.cycles, "denoising_store_passes", True)
        self.kept.set(cycles, "use_denoising", False)
        if hasattr(image, "media_type"):
            self.kept.set(image, "media_type", "MULTI_LAYER_IMAGE")
        self.kept.set(image, "file_format", "OPEN_EXR_MULTILAYER")
        self.kept.set(image, "color_depth", "32")
        self.kept.set(image, "exr_codec", "ZIP")

    def choose(self, samples, rows):
        """The next piece: *samples* (first, how many) or *rows* (from the bottom: first, first beyond) of the picture."""
        render, cycles = self.scene.render, self.scene.cycles
        if samples is not None:
            first, count = samples
            self.kept.set(cycles, "sample_offset", first)
            if hasattr(cycles, "use_sample_subset"):
                self.kept.set(cycles, "use_sample_subset", True)
            if hasattr(cycles, "sample_subset_length"):
                self.kept.set(cycles, "sample_subset_length", count)
            else:
                self.kept.set(cycles, "samples", count)
        if rows is not None:
            height = render.resolution_y * render.resolution_percentage // 100
            self.kept.set(render, "use_border", True)
            self.kept.set(render, "use_crop_to_border", False)
            self.kept.set(render, "border_min_x", 0.0)
            self.kept.set(render, "border_max_x", 1.0)
            margin = MARGIN if cycles.use_adaptive_sampling else 0
            self.kept.set(render, "border_min_y", max(0, rows[0] - margin) / height)
            self.kept.set(render, "border_max_y", min(height, rows[1] + margin) / height)


class Kept:
    """Settings that are changed, and set back in the opposite order."""

    def __init__(self):
        self.before = []

    def set(self, owner, name, value):
        before = getattr(owner, name)
        if before != value:
            self.before.append((owner, name, before))
            setattr(owner, name, value)

    def restore(self):
        for owner, name, value in reversed(self.before):
            setattr(owner, name, value)


def cycles_denoises(scene, layer):
    return scene.cycles.use_denoising and getattr(layer.cycles, "use_denoising", True)


def denoise(scene, merged, path):
    """Denoise the float multi-layer OpenEXR *merged* with Open Image Denoise, as *scene* would; the picture goes to *path*, a
    float OpenEXR."""
    stage = bpy.data.scenes.new("brender denoises")
    try:
        image = bpy.data.images.load(merged)
        for name in ("resolution_x", "resolution_y", "resolution_percentage"):
            setattr(stage.render, name, getattr(scene.render, name))
        stage.camera = bpy.data.objects.new("brender", bpy.data.cameras.new("brender"))
        stage.collection.objects.link(stage.camera)
        stage.render.use_file_extension = False
        settings = stage.render.image_settings
        settings.file_format = "OPEN_EXR"
        settings.color_mode = "RGBA"
        settings.color_depth = "32"
        if hasattr(stage, "compositing_node_group"):
            tree = bpy.data.node_groups.new("brender", "CompositorNodeTree")
            tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
            stage.compositing_node_group = tree
            output = tree.nodes.new("NodeGroupOutput")
        else:
            stage.use_nodes = True
            tree = stage.node_tree
            tree.nodes.clear()
            output = tree.nodes.new("CompositorNodeComposite")
        source = tree.nodes.new("CompositorNodeImage")
        source.image = image
        node = tree.nodes.new("CompositorNodeDenoise")
        sockets = {socket.name: socket for socket in source.outputs}
        wanted = getattr(scene.cycles, "denoising_input_passes", "RGB_ALBEDO_NORMAL")
        tree.links.new(sockets["Combined"], node.inputs["Image"])
        if "ALBEDO" in wanted:
            tree.links.new(sockets["Denoising Albedo"], node.inputs["Albedo"])
        if "NORMAL" in wanted:
            tree.links.new(sockets["Denoising Normal"], node.inputs["Normal"])
        prefilter = getattr(scene.cycles, "denoising_prefilter", "ACCURATE")
        if "Prefilter" in node.inputs:
            node.inputs["Prefilter"].default_value = prefilter.capitalize()
        elif hasattr(node, "prefilter"):
            node.prefilter = prefilter
        tree.links.new(node.outputs["Image"], output.inputs[0])
        stage.render.filepath = templates.escaped(path)
        bpy.ops.render.render(write_still=True, scene=stage.name)
    finally:
        bpy.data.scenes.remove(stage)


def develop(scene, linear, path):
    """Write the float OpenEXR *linear* to *path* as *scene* writes its frames: its format, view transform and all."""
    image = bpy.data.images.load(linear)
    try:
        image.save_render(path, scene=scene)
    finally:
        bpy.data.images.remove(image)

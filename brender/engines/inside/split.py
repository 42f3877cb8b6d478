"""Inside Blender: how a scene's frame can be split, one piece of it, and the picture that is made of all of them."""

import contextlib

import animation
import bpy
import sequencer
import simulations
import templates

#: Pixels that a band reaches beyond itself where Cycles decides by looking at neighbors (adaptive sampling does), so that it
#: decides alike. Elsewhere each pixel stands by itself.
MARGIN = 8
#: Blender without subsets of samples (3.x) makes its table of sample positions for at least so many; for more, the table depends
#: on how many a render takes, so that shares do not add up to the same (measured with 3.4.1: equal up to 256, 8e-3 at 1024).
PATTERN_SAMPLES = 256
#: The sampling patterns for which that is so; what blue noise (Blender 4.2) takes always depends on the number of samples.
PATTERNS = {"SOBOL", "PROGRESSIVE_MULTI_JITTER", "TABULATED_SOBOL"}


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
    if unlike := why_unlike(scene):
        return "tiles", "This still is split by tiles: " + unlike
    if scene.cycles.samples < pieces:
        return "tiles", "This still is split by tiles: it has fewer samples than %d pieces" % pieces
    inexact = ", ".join(inexact_passes(scene))
    if not inexact:
        return "samples", ""
    if wanted == "samples":
        return "samples", "This still is split by samples, which do not add up to the same picture in its passes " + inexact
    return "tiles", "This still is split by tiles: samples do not add up to the same picture in its passes " + inexact


def why_unlike(scene):
    """Why shares of the samples of *scene*, which Cycles renders, do not add up to the same picture, or "" if they do."""
    if animation.animates(scene, animation.SAMPLES + animation.samples_of_layers(scene)):
        return "its settings for sampling are animated"
    if takes_subset(scene.cycles):
        return "it takes a subset of its samples itself"
    if scene.cycles.use_adaptive_sampling:
        return "with adaptive sampling, shares of the samples do not add up to the same picture"
    if not hasattr(scene.cycles, "sample_subset_length"):
        pattern = scene.cycles.sampling_pattern
        if scene.cycles.samples > PATTERN_SAMPLES or pattern not in PATTERNS:
            return "with %s, what Blender %s samples depends on how many it takes" % (
                "more than %d samples" % PATTERN_SAMPLES if pattern in PATTERNS else "its sampling pattern, %s" % pattern,
                bpy.app.version_string,
            )
    return ""


def takes_subset(cycles):
    """Whether the scene with the settings *cycles* is set to take some of its samples only, from a certain one on."""
    return cycles.use_sample_subset if hasattr(cycles, "use_sample_subset") else cycles.sample_offset > 0


def why_not_refined(scene):
    """Why the pictures of *scene* cannot be refined by shares of its samples and be the same in the end, or "" if they can."""
    if whole := why_whole(scene):
        return whole
    if unlike := why_unlike(scene):
        advice = ". Turn off the scene's noise threshold to have frames refined" if scene.cycles.use_adaptive_sampling else ""
        return unlike + advice
    inexact = ", ".join(inexact_passes(scene))
    return "shares of the samples do not add up to the same picture in its passes " + inexact if inexact else ""


@contextlib.contextmanager
def drafted(scene, frame, share, note):
    """Have a render of *frame* of *scene* take one of *share* shares of its samples, and say *note* of itself, for as long as the
    block runs. Without a *share*, it is as it is."""
    kept = Kept()
    changed = animation.SAMPLES + animation.ADAPTIVE + animation.samples_of_layers(scene)
    with animation.held(scene, frame, changed if share else ()):
        if share and scene.render.engine == "CYCLES":
            _share_samples(scene, share, kept)
        elif share and hasattr(scene, "eevee"):
            kept.set(scene.eevee, "taa_render_samples", max(1, scene.eevee.taa_render_samples // share))
        if share:
            kept.note(scene.render, note)
        try:
            yield
        finally:
            kept.restore()


def _share_samples(scene, share, kept):
    """Have Cycles take one of *share* shares of its samples of *scene*."""
    cycles = scene.cycles
    if takes_subset(cycles) and hasattr(cycles, "sample_subset_length"):
        kept.set(cycles, "sample_subset_length", max(1, cycles.sample_subset_length // share))
    else:
        kept.set(cycles, "samples", max(1, cycles.samples // share))
    for layer in scene.view_layers:
        kept.set(layer, "samples", max(1, layer.samples // share) if layer.samples else 0)
    if cycles.use_adaptive_sampling:
        # Pixels that are done early take a share of their samples too: noise falls with the square root of these.
        threshold, least = cycles.adaptive_threshold, cycles.adaptive_min_samples
        least = least or (16 / threshold**0.3 if threshold else 0)  # (by Cycles' own rule, where the scene has none)
        kept.set(cycles, "adaptive_threshold", min(1.0, threshold * share**0.5))
        kept.set(cycles, "adaptive_min_samples", max(1, round(least / share)))


def inexact_passes(scene):
    """The passes of *scene* that are no average over the samples, so that shares of them do not add up."""
    found = []
    for layer in scene.view_layers:
        for kind in ("diffuse", "glossy", "transmission"):
            # These are divided by the color of the surface once all samples are taken.
            found += ["%s %s" % (kind, of) for of in ("direct", "indirect") if getattr(layer, "use_pass_%s_%s" % (kind, of))]
        found += ["vector"] if layer.use_pass_vector else []
        for kind in ("object", "material", "asset"):
            found += ["Cryptomatte " + kind] if getattr(layer, "use_pass_cryptomatte_" + kind) else []
        found += ["shadow catcher"] if layer.cycles.use_pass_shadow_catcher else []
        found += ["sample count"] if layer.cycles.pass_debug_sample_count else []
    return found


def why_whole(scene):
    """Why the frame of *scene* cannot be split and be the same, or "" if it can."""
    render = scene.render
    if render.engine != "CYCLES":
        return "%s computes effects over the whole picture, and would leave seams" % render.engine
    if whole := why_in_one_go(scene):
        return whole
    if render.use_border:
        return "it has a render region of its own"
    if simulations.first_frames(scene):
        return "its simulations are not baked, so that pieces could show other states of them"
    if scene.cycles.time_limit or animation.animates(scene, ("cycles.time_limit",)):
        return "it has a time limit, so that nobody knows its samples before"
    return why_denoised_at_once(scene, [layer for layer in scene.view_layers if cycles_denoises(scene, layer)])


def why_not_denoised_after(scene):
    """Why frames of *scene* cannot be denoised after they are rendered, as they would be while Cycles renders them, or "" if they
    can."""
    if scene.render.engine != "CYCLES":
        return "only Cycles renders the passes that this needs"
    if whole := why_in_one_go(scene):
        return whole
    if scene.render.use_border:
        return "it has a render region of its own"
    used = [layer for layer in scene.view_layers if layer.use]
    if not all(getattr(layer.cycles, "use_denoising", True) for layer in used):
        return "its view layer is set not to be denoised"
    return why_denoised_at_once(scene, used)


def why_in_one_go(scene):
    """Why the picture of *scene*, which Cycles renders, is more than what Cycles makes of one view layer, or "" if it is not."""
    render = scene.render
    if render.use_compositing and uses_nodes(scene):
        return "its compositing nodes need the whole picture"
    if sequencer.makes_picture(scene):
        return "the picture comes from its sequencer"
    if sum(layer.use for layer in scene.view_layers) > 1:
        return "it has several view layers"
    if render.use_multiview:
        return "it has several views"
    if render.use_freestyle:
        return "Freestyle draws its lines over the whole picture"
    return ""


def why_denoised_at_once(scene, layers):
    """Why *layers* of *scene*, which are denoised, can be so only while Cycles renders them, or "" if they can be later."""
    if any(layer.cycles.use_pass_shadow_catcher for layer in layers):
        return "its shadow catcher pass is denoised too"
    if animation.animates(scene, animation.DENOISING):
        return "its settings for denoising are animated"
    if layers and getattr(scene.cycles, "denoising_quality", "HIGH") != "HIGH" and not has_denoising_quality(scene.render):
        return "Blender %s has its denoising quality only while it renders" % bpy.app.version_string
    return ""


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
    and not denoised. It stays in force from piece to piece: each change of these would have Cycles take the whole scene again."""

    def __init__(self, scene):
        self.scene = scene
        self.kept = Kept()
        cycles, image = scene.cycles, scene.render.image_settings
        for layer in scene.view_layers:
            if cycles_denoises(scene, layer):
                self.kept.set(layer.cycles, "denoising_store_passes", True)
        self.kept.set(cycles, "use_denoising", False)
        if getattr(image, "color_management", "") == "OVERRIDE" and image.linear_colorspace_settings.name:
            # Colors are converted once, when the whole picture is written.
            self.kept.set(image.linear_colorspace_settings, "name", scene_linear())
        self.kept.set_format(image, "OPEN_EXR_MULTILAYER")
        image.color_mode = "RGBA"
        image.color_depth = "32"
        if hasattr(image, "use_exr_interleave"):
            # With pixels that are not square, Blender 5.0 fails to write a file of several parts.
            image.use_exr_interleave = True
        self.kept.set(scene.render, "use_stamp", False)
        for name in ("use_stamp_note", "use_stamp_render_time"):
            self.kept.set(scene.render, name, True)

    def choose(self, samples, rows, note, codec):
        """Set up the next piece: *samples* (first, how many) or *rows* (from the bottom: first, first beyond) of the picture;
        *note* goes into its metadata, and *codec* compresses it."""
        render, cycles = self.scene.render, self.scene.cycles
        render.image_settings.exr_codec = codec
        self.kept.set(render, "stamp_note_text", note)
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

    def note(self, render, note):
        """Let pictures say *note* of themselves, and nothing else, where that is not painted onto them."""
        if not render.use_stamp:
            self.set(render, "use_stamp_note", True)
            self.set(render, "stamp_note_text", note)

    def set_format(self, image, format):
        """Set the file format of the settings *image*. Blender then changes those that the format does not have, and they can
        only be set back once the first format is: color mode, depth and codec among them."""
        own = [each.identifier for each in image.bl_rna.properties if not each.is_readonly and each.type != "POINTER"]
        first = [name for name in ("media_type", "file_format", "color_mode", "color_depth") if name in own]
        for name in reversed(first + [name for name in own if name not in first]):
            self.before.append((image, name, getattr(image, name)))
        if hasattr(image, "media_type"):
            image.media_type = "MULTI_LAYER_IMAGE" if format == "OPEN_EXR_MULTILAYER" else "IMAGE"
        image.file_format = format

    def restore(self):
        for owner, name, value in reversed(self.before):
            setattr(owner, name, value)


def scene_linear():
    """The name of the color space that Blender renders in."""
    image = bpy.data.images.new("brender", 1, 1, float_buffer=True)
    try:
        return image.colorspace_settings.name
    finally:
        bpy.data.images.remove(image)


def cycles_denoises(scene, layer):
    return scene.cycles.use_denoising and getattr(layer.cycles, "use_denoising", True)


def has_denoising_quality(render):
    """Whether this Blender can denoise a picture that is there already in other qualities than the highest."""
    return hasattr(render, "compositor_denoise_final_quality")


class Shown:
    """Writes pictures that get better later in the format and colors of *scene*, which is as its file has it when this is made.
    Nothing is rendered for it: a render of another scene would have Cycles take this one again as a whole."""

    def __init__(self, scene):
        self.settings = scene.copy()
        for child in list(self.settings.collection.children):
            self.settings.collection.children.unlink(child)
        for thing in list(self.settings.collection.objects):
            self.settings.collection.objects.unlink(thing)

    def write(self, picture, path):
        """Write the float OpenEXR *picture* to *path*, with the metadata that it has."""
        image = bpy.data.images.load(picture)
        try:
            image.colorspace_settings.name = scene_linear()
            image.save_render(path, scene=self.settings)
        finally:
            bpy.data.images.remove(image)

    @staticmethod
    def can(scene):
        """Whether that works for *scene*: not where pictures have several layers, or their metadata painted on."""
        return scene.render.image_settings.file_format != "OPEN_EXR_MULTILAYER" and not scene.render.use_stamp


def denoise(scene, merged, path):
    """Denoise the float multi-layer OpenEXR *merged* with Open Image Denoise, as *scene* would; the picture goes to *path*, a
    float OpenEXR."""
    stage = bpy.data.scenes.new("brender denoises")
    image = bpy.data.images.load(merged)
    try:
        for name in ("resolution_x", "resolution_y", "resolution_percentage"):
            setattr(stage.render, name, getattr(scene.render, name))
        stage.camera = bpy.data.objects.new("brender", bpy.data.cameras.new("brender"))
        stage.collection.objects.link(stage.camera)
        stage.render.use_file_extension = False
        if has_denoising_quality(stage.render):
            stage.render.compositor_denoise_final_quality = scene.cycles.denoising_quality
        if hasattr(stage.render, "compositor_denoise_device"):
            # Open Image Denoise computes otherwise, and ten times as fast, on a GPU.
            on_gpu = scene.cycles.device == "GPU" and scene.cycles.denoising_use_gpu
            stage.render.compositor_denoise_device = "GPU" if on_gpu else "CPU"
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
        bpy.data.images.remove(image)
        bpy.data.scenes.remove(stage)


class Merged(bpy.types.RenderEngine):
    """The engine of a scene whose picture is there already: its render is what a file holds. Blender itself then writes the
    picture, as it would write one that Cycles has rendered: format, colors, passes, metadata and all."""

    bl_idname = "BRENDER_MERGED"
    bl_label = "brender"
    bl_use_postprocess = True

    file = ""
    passes = ()
    stamps = ()
    failure = "Blender did not take the merged picture"

    def render(self, depsgraph):
        try:
            self.load()
            Merged.failure = ""
        except Exception as error:  # (Blender would print it, and write a black picture)
            Merged.failure = "%s: %s" % (type(error).__name__, error)

    def load(self):
        for name, channels in Merged.passes:
            if name != "Combined":
                self.add_pass(name, len(channels), channels)
        result = self.begin_result(0, 0, self.resolution_x, self.resolution_y)
        result.load_from_file(Merged.file)
        self.end_result(result)
        whole = self.get_result()
        for name, value in Merged.stamps:
            whole.stamp_data_add_field(name, value)


@contextlib.contextmanager
def merged(scene, file, stamps, note=""):
    """Have a render of *scene* give what the multi-layer OpenEXR *file* holds, with *stamps* in its metadata, for as long as the
    block runs. With a *note*, it says that of itself in place of the scene's. Raises `RuntimeError` where it did not."""
    from cycles.engine import list_render_passes

    (layer,) = (each for each in scene.view_layers if each.use)
    Merged.file = file
    Merged.stamps = [each for each in stamps if each[0] != "RenderTime" or scene.render.use_stamp_render_time]
    Merged.passes = [(name, channels) for name, channels, _ in list_render_passes(scene, layer)]
    Merged.failure = "Blender did not take the merged picture"
    kept = Kept()
    if note:
        kept.note(scene.render, note)
    bpy.utils.register_class(Merged)
    try:
        kept.set(scene.render, "engine", Merged.bl_idname)
        yield
    finally:
        kept.restore()
        bpy.utils.unregister_class(Merged)
    if Merged.failure:
        raise RuntimeError(Merged.failure)

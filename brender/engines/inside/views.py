"""Inside Blender: a scene's views (stereo has two) and view layers."""

import contextlib

import nodes
import sequencer

#: Formats that can hold several views in one file.
WITH_VIEWS = {"OPEN_EXR", "OPEN_EXR_MULTILAYER"}


def facts(scene):
    """What a reader of the file wants to know of them (SceneFacts)."""
    render = scene.render
    return {
        "layers": [{"name": layer.name, "use": layer.use} for layer in scene.view_layers],
        "views": [view.file_suffix for view in rendered(render)],
        "views_format": render.image_settings.views_format if render.use_multiview else "",
        "composited": nodes.tree_of(scene) is not None,
        "strip_outputs": strip_outputs(scene),
    }


def without_effect(scene, asked):
    """A list of one warning about the settings of a job, among *asked*, that change nothing in the pictures of *scene*, or in a
    part of them, as these come from its sequencer, whose strips show other scenes or files, or show other scenes by nodes; empty
    if all count."""
    given = [name for name in asked if asked[name]]
    shows = [strip.scene for strip in sequencer.strips_of(scene) if strip.type == "SCENE"]
    if not given or scene in shows:
        return []
    changes = "%s %s nothing" % (" and ".join(given), "changes" if len(given) == 1 else "change")
    if sequencer.makes_picture(scene):
        source = "The pictures of the scene %r come from its sequencer, which shows other scenes or files" % scene.name
        return ["%s: %s in them" % (source, changes)]
    others = [other.name for other in nodes.composited(scene)]
    if not others:
        return []
    told = "%s %s" % ("scene" if len(others) == 1 else "scenes", " and ".join(repr(name) for name in others))
    return ["The nodes of the scene %r show the %s too, rendered as set there: %s in that part" % (scene.name, told, changes)]


def strip_outputs(scene):
    """The scenes that the sequencer of *scene* shows and whose file-output nodes do not say where the frame's number goes."""
    return sorted({shown.name for shown in nodes.shown_by(scene) if nodes.unnumbered(shown)})


def rendered(render):
    """The views that are rendered; none where there is no multi-view."""
    if not render.use_multiview:
        return []
    stereo = render.views_format == "STEREO_3D"
    return [view for view in render.views if view.use and (not stereo or view.name in {"left", "right"})]


def leading_away(render):
    """The file suffix of a view that is rendered and whose pictures would lie in another folder, or ""."""
    suffixes = [view.file_suffix for view in rendered(render)]
    return next((suffix for suffix in suffixes if "/" in suffix or "\\" in suffix), "")


def frame_size(render):
    """Width and height of what is rendered, without a border. In whole numbers, as Blender does: 720 * 0.35 is less than 252."""
    share = render.resolution_percentage
    return [render.resolution_x * share // 100, render.resolution_y * share // 100]


def pictured(scene, size):
    """Width and height of the picture of *scene*, whose frames are of that *size*: two views may stand beside each other."""
    settings = scene.render.image_settings
    held = settings.views_format == "MULTIVIEW" and settings.file_format in WITH_VIEWS
    if len(rendered(scene.render)) < 2 or held or settings.views_format == "INDIVIDUAL":
        return size
    stereo = settings.stereo_3d_format
    if stereo.use_squeezed_frame:
        return size
    width, height = size
    return {"SIDEBYSIDE": [2 * width, height], "TOPBOTTOM": [width, 2 * height]}.get(stereo.display_mode, size)


@contextlib.contextmanager
def kept(settings):
    """Have the image *settings* keep how pictures have their views, when another format is chosen meanwhile: each its own
    picture where that cannot have them."""
    before = settings.views_format
    try:
        yield
    finally:
        for views_format in (before, "INDIVIDUAL"):
            with contextlib.suppress(TypeError):
                settings.views_format = views_format
                break


def samples_of(scene):
    """The samples of a pixel that Cycles takes for *scene*: those of its view layer, if one is rendered and has its own."""
    used = [layer for layer in scene.view_layers if layer.use]
    own, how = (used[0].samples if len(used) == 1 else 0), scene.cycles.use_layer_samples
    if not own or how == "IGNORE":
        return scene.cycles.samples
    return own if how == "USE" else min(own, scene.cycles.samples)


def choose_layers(scene, names):
    """Have these view layers of *scene*, and no others, on; returns the first that it has not, or ``None``."""
    there = [layer.name for layer in scene.view_layers]
    for name in names:
        if name not in there:
            return name
    for layer in scene.view_layers:
        layer.use = layer.name in names
    scene.render.use_single_layer = False
    return None


@contextlib.contextmanager
def alone(scene, name):
    """Have the view layer called *name* rendered alone, as it is: without compositor and sequencer. With "": nothing changes."""
    if not name:
        yield
        return
    render = scene.render
    before = [(layer, layer.use) for layer in scene.view_layers]
    steps = render.use_compositing, render.use_sequencer
    choose_layers(scene, [name])
    render.use_compositing = render.use_sequencer = False
    try:
        yield
    finally:
        render.use_compositing, render.use_sequencer = steps
        for layer, use in before:
            layer.use = use

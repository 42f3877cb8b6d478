"""What a job is to be: the scene's own choice of job type and settings, by the farm's declarations of them. A setting that is
left empty is what the scene says."""

import bpy

from . import state
from .client import FarmError
from .fetching import cut, folder_names

#: The farm takes names of so many letters. (Blender's own ``maxlen`` cuts within a letter, and then cannot read the text.)
NAME_MOST = 255
_YES, _NO = {"yes", "true", "on", "1"}, {"no", "false", "off", "0"}
PRIORITIES = [("25", "Low", ""), ("50", "Normal", ""), ("75", "High", ""), ("100", "Rush", "")]
_TRUST = [
    ("unsaid", "Not said", "Nothing is submitted if scripts or drivers of the file need Python"),
    ("yes", "Trust it", "Scripts and drivers of the file run on the farm"),
    ("no", "Render without", "Scripts do not run, and drivers that need Python stand still"),
]
_DEFAULT_KIND = "blender-animation"
#: What a dynamic list of choices answers has to live as long as Blender shows it.
_shown_kinds = [(_DEFAULT_KIND, "Blender animation", "")]


def _kinds(self, context):
    global _shown_kinds
    if state.kinds:
        found = [(each["name"], each["label"], "") for each in state.kinds]
        if [each[:2] for each in found] != [each[:2] for each in _shown_kinds]:
            _shown_kinds = found
    return _shown_kinds


def _declared(scene, name):
    declared = state.kind(scene.brender.job_type)
    return next((each for each in (declared or {}).get("settings", []) if each["name"] == name), None)


def _suggest(self, context, text):
    """The values that a setting may have, where these are few."""
    setting = _declared(self.id_data, self.name)
    scene = self.id_data
    if setting is None:
        return []
    if setting["kind"] == "bool":
        return ["yes", "no"]
    if self.name == "scene":
        return [each.name for each in bpy.data.scenes]
    if self.name == "camera":
        return [each.name for each in scene.objects if each.type == "CAMERA"]
    if self.name == "view_layers":
        return [each.name for each in scene.view_layers]
    return [str(each) for each in setting["choices"]]


class BRENDER_setting(bpy.types.PropertyGroup):
    """A setting of a job type, as text; "" for what the scene says. ``name`` is the farm's."""

    text: bpy.props.StringProperty(name="Value", search=_suggest, search_options={"SUGGESTION"})


class BRENDER_group(bpy.types.PropertyGroup):
    """A group of settings, and whether it is shown."""

    is_open: bpy.props.BoolProperty(name="Show")


def _changed(self, context):
    fill(self.id_data)


class BRENDER_form(bpy.types.PropertyGroup):
    """What the scene's next job is to be."""

    job_type: bpy.props.EnumProperty(name="Job type", items=_kinds, update=_changed)
    job_name: bpy.props.StringProperty(name="Name", description="The job's name; empty: the file's")
    project: bpy.props.StringProperty(name="Project", default="default")
    output: bpy.props.StringProperty(
        name="Frames go to",
        description="A folder as the farm's machines see it; empty: the frames stay at the farm until you load them",
    )
    priority: bpy.props.EnumProperty(name="Priority", items=PRIORITIES, default="50")
    paused: bpy.props.BoolProperty(name="Submit it paused")
    trust: bpy.props.EnumProperty(name="Scripts", items=_TRUST, description="Whether Python inside the file may run")
    allow_missing: bpy.props.BoolProperty(
        name="Render without missing files", description="Submit even if files that the scene uses are missing"
    )
    each_layer: bpy.props.BoolProperty(
        name="One job for each view layer", description="Each renders one view layer, in a folder of its own"
    )
    is_chosen: bpy.props.BoolProperty(name="Submit this scene", description="Ticked scenes are submitted together, a job each")
    show_scenes: bpy.props.BoolProperty(name="Show")
    show_more: bpy.props.BoolProperty(name="Show")
    settings: bpy.props.CollectionProperty(type=BRENDER_setting)
    groups: bpy.props.CollectionProperty(type=BRENDER_group)


def fill(scene):
    """Let *scene* have a value, an empty one, for each setting of its job type."""
    form = scene.brender
    declared = state.kind(form.job_type)
    for setting in (declared or {}).get("settings", []):
        if setting["name"] != "file" and setting["name"] not in form.settings:
            form.settings.add().name = setting["name"]
        if setting["group"] not in form.groups:
            form.groups.add().name = setting["group"]


def as_the_scene(scene, name):
    """Return what *scene* itself says of the setting *name*, in words, or "" if it does not."""
    render = scene.render
    step = f"x{scene.frame_step}" if scene.frame_step > 1 else ""
    return {
        "frames": f"{scene.frame_start}-{scene.frame_end}{step}",
        "frame": str(scene.frame_current),
        "scene": scene.name,
        "camera": scene.camera.name if scene.camera else "",
        "resolution": str(render.resolution_percentage),
        "samples": str(scene.cycles.samples) if render.engine == "CYCLES" and hasattr(scene, "cycles") else "",
        "engine": render.engine.replace("BLENDER_", "").replace("_", " ").title(),
        "format": render.image_settings.file_format,
    }.get(name, "")


def settings_of(scene):
    """Return the settings that are filled in, as the farm takes them. Raises `FarmError` where one makes no sense, or one that is
    asked for is left out."""
    declared = state.kind(scene.brender.job_type)
    if declared is None:
        raise FarmError("The farm's job types are not known yet: press Connect in the panel")
    found = {}
    for setting in declared["settings"]:
        name = setting["name"]
        if name == "file":
            continue
        item = scene.brender.settings.get(name)
        text = item.text.strip() if item else ""
        if text:
            found[name] = parsed(setting, text)
        elif setting["required"]:
            raise FarmError(f"{setting['label']} is not filled in: {setting['help']}")
    if "scene" not in found and any(each["name"] == "scene" for each in declared["settings"]):
        found["scene"] = scene.name
    return found


def jobs_of(context, name):
    """Return what the file *name* is to be submitted as: a job for each ticked scene, or for the scene of *context*, and for each
    of its view layers where that is asked for. Those that would share a folder get one each in it. Raises `FarmError`."""
    made, scenes = [], chosen_scenes(context)
    outputs = [scene.brender.output.strip() for scene in scenes]
    for scene, folder in zip(scenes, folder_names(each.name for each in scenes), strict=True):
        check_camera(scene)
        fill(scene)
        job = job_of(scene, name, scene != context.scene or len(scenes) > 1)
        if outputs.count(job["output"]) > 1:
            job["output"] = _inside(job["output"], folder)
        layers = [each.name for each in scene.view_layers if each.use] if scene.brender.each_layer else []
        if len(layers) < 2:
            made.append(job)
            continue
        if not any(each["name"] == "view_layers" for each in state.kind(job["job_type"])["settings"]):
            raise FarmError(f"{job['job_type']} renders all view layers together: untick One job for each view layer")
        for layer, its_folder in zip(layers, folder_names(layers), strict=True):
            own = {"name": called(job["name"], layer), "settings": job["settings"] | {"view_layers": [layer]}}
            made.append(job | own | {"output": _inside(job["output"], its_folder)})
    return made


def called(name, part):
    """Return the name of the job of one *part* of what is called *name*, as the farm takes it."""
    return f"{cut(name, NAME_MOST - len(part.encode()) - 2)}, {part}"


def _inside(output, folder):
    """Return *folder* in the folder *output*, or "" if the farm keeps the frames."""
    return f"{output.rstrip('/')}/{folder}" if output else ""


def chosen_scenes(context):
    """Return the scenes that are submitted."""
    return [each for each in bpy.data.scenes if each.brender.is_chosen] or [context.scene]


def check_camera(scene):
    """Raises `FarmError` where *scene* has no camera."""
    if scene.camera is None and not any(marker.camera for marker in scene.timeline_markers):
        raise FarmError(f"The scene {scene.name} has no camera: add one, or make one the scene's own")


def job_of(scene, name, is_one_of_several=False):
    """Return the job that *scene* of the file *name* is to be. Raises `FarmError`."""
    chosen = scene.brender
    for what, text in (("The job's name", chosen.job_name), ("The project's name", chosen.project)):
        if len(text.strip()) > NAME_MOST:
            raise FarmError(f"{what} has {len(text.strip())} letters, and may have {NAME_MOST}: shorten it")
    own = chosen.job_name.strip() or cut(name.removesuffix(".blend"), NAME_MOST)
    return {
        "job_type": chosen.job_type,
        "settings": settings_of(scene),
        "name": called(own, scene.name) if is_one_of_several and not chosen.job_name.strip() else own,
        "project": chosen.project.strip() or "default",
        "priority": int(chosen.priority),
        "output": chosen.output.strip(),
        "paused": chosen.paused,
        "allow_missing": chosen.allow_missing,
        "trusted": {"unsaid": None, "yes": True, "no": False}[chosen.trust],
    }


def parsed(setting, text):
    """Return *text* as the value of *setting*, one of a job type's declaration. Raises `FarmError`."""
    kind = setting["kind"]
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise FarmError(f"{setting['label']} is {text!r}, which is not a number: enter one") from None
    if kind == "bool":
        if text.lower() not in _YES | _NO:
            raise FarmError(f"{setting['label']} is yes or no, and not {text!r}")
        return text.lower() in _YES
    if kind == "list":
        return [each.strip() for each in text.split(",") if each.strip()]
    return text


_CLASSES = (BRENDER_setting, BRENDER_group, BRENDER_form)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)
    bpy.types.Scene.brender = bpy.props.PointerProperty(type=BRENDER_form)


def unregister():
    del bpy.types.Scene.brender
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

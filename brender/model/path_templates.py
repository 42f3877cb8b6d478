"""Path templates: what Blender puts in the place of ``{blend_name}`` in the path of its pictures. Pure.

Blender 4.5 brought them, 5.0 most of their names. In a file of an earlier version braces are plain text: a later Blender that
opens it doubles them, which is how a template says a brace.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from brender.model.cameras import camera_at, marked_cameras
from brender.model.errors import BadInput
from brender.model.job import FileFacts, SceneFacts

#: The first Blender whose paths are templates.
SINCE = (4, 5)

#: What stands for the camera of each frame in a pattern, for files of Blenders that know the name.
CAMERA = "{camera_name}"
_SINCE_CAMERA = (5, 0)
_NAMES_OF_4_5 = ("blend_name", "fps", "resolution_x", "resolution_y")
_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}:]*)(?::(?P<format>[^{}]*))?\}|[{}]")
_FORMAT = re.compile(r"(?P<whole>#+)|(?P<before>#*)\.(?P<after>#+)")
#: What Blender makes an underscore of in the names of scenes and cameras.
_UNSAFE = re.compile(r'[\x00-\x1f/\\?*:|"<>]')


def variables(
    facts: FileFacts,
    scene: SceneFacts,
    camera: str | None = None,
    percent: int | None = None,
    each_frame: bool = False,
) -> dict[str, str | int | float]:
    """Return what each name stands for in the output path of *scene*, rendered through *camera* at so many *percent*;
    ``None``: as the scene says. Names that a Blender of the file's version does not know are not there. *each_frame*: the
    path is that of its frames, so that `CAMERA` stays where their cameras differ (`for_frame`)."""
    folder, slash, name = facts.path.replace("\\", "/").rpartition("/")
    stem, where = PurePosixPath(name).stem, folder + slash
    fps = frames_a_second(scene, facts.path)
    size = percent or scene.percent
    found: dict[str, str | int | float] = {
        "blend_name": stem,
        "blend_dir": where,
        # The scene is the file's own, never a library's.
        "blend_name_lib": stem,
        "blend_dir_lib": where,
        "scene_name": safe(scene.name),
        "resolution_x": scene.width * size // 100,
        "resolution_y": scene.height * size // 100,
        "fps": fps,
    }
    marked = marked_cameras(scene) if each_frame else ()
    seen_through = camera or (marked[0] if marked else scene.camera)
    if seen_through is not None:
        found["camera_name"] = CAMERA if len(marked) > 1 and not camera else safe(seen_through)
    return {name: value for name, value in found.items() if facts.version >= _SINCE_CAMERA or name in _NAMES_OF_4_5}


def names_camera(pattern: str, facts: FileFacts) -> bool:
    """Return whether *pattern* has `CAMERA` in it, in the place of which the camera of each frame is put."""
    return CAMERA in pattern and facts.version >= _SINCE_CAMERA


def for_frame(pattern: str, facts: FileFacts, scene: SceneFacts, frame: int, camera: str | None = None) -> str:
    """Return *pattern* with the camera of *frame* in the place of `CAMERA`, if there is one; *camera*: the one that all are
    rendered through."""
    if not names_camera(pattern, facts):
        return pattern
    seen_through = camera or camera_at(scene, frame)
    return pattern if seen_through is None else pattern.replace(CAMERA, safe(seen_through))


def frames_a_second(scene: SceneFacts, path: str) -> float:
    """Return the frame rate of *scene*, unrounded. Raises `BadInput`, which names the file *path*, where it is not a rate."""
    frames, seconds = scene.rate or (scene.fps, 1.0)
    if frames > 0 and seconds > 0 and math.isfinite(frames / seconds):
        return frames / seconds
    raise BadInput(
        f"{path}: the scene {scene.name!r} has {frames:g} frames in {seconds:g} seconds, which is not a frame rate. Set one in "
        "Blender (Output properties, Frame Rate), and save the file"
    )


def check_nodes(facts: FileFacts, scene: SceneFacts, known: Mapping[str, str | int | float]) -> None:
    """Raises `BadInput` where a file-output node of *scene* has a path that Blender would not read: it writes nothing then, and
    goes on."""
    for node, path in scene.node_paths:
        own: dict[str, str | int | float] = {"node_name": safe(node)} if facts.version >= (5, 0) else {}
        expand(path, {**known, **own}, f"The path of the file-output node {node!r},")


def expand(path: str, known: Mapping[str, str | int | float], what: str = "The output path") -> str:
    """Return *path* with what is *known* in the place of its names. Raises `BadInput`, which calls the path *what*, for what
    Blender would not read.

    >>> expand("//{scene_name}_{fps:##.#}_####", {"scene_name": "Lake", "fps": 24.0})
    '//Lake_24.0_####'
    """

    how = _HOW if what.startswith("The output path") else "change it in Blender (the node's properties)"

    def value(found: re.Match[str]) -> str:
        text = found.group()
        if text in ("{{", "}}"):
            return text[0]
        if text in ("{", "}"):
            raise BadInput(f"{what} {path!r} has a single {text!r}; braces are for names such as {{blend_name}}: {how}")
        name, form = found["name"], found["format"]
        if name not in known:
            raise BadInput(f"{what} {path!r} names {{{name}}}, and {_there_is(known)}: {how}")
        try:
            return _formatted(known[name], form)
        except ValueError as error:
            raise BadInput(f"{what} {path!r} has {text}, and {error}: {how}") from error

    return _TOKEN.sub(value, path)


def escape(path: str) -> str:
    """Return *path* as a template that stands for it.

    >>> escape("/shots/{wip}/a")
    '/shots/{{wip}}/a'
    """
    return path.replace("{", "{{").replace("}", "}}")


def safe(name: str) -> str:
    """Return the *name* of a scene or a camera as it stands in a path."""
    plain = _UNSAFE.sub("_", name)
    return plain if plain.strip(".") else "_" + plain[1:]


_HOW = "change it in Blender (Output properties), or name the files with --output and --pattern"


def _there_is(known: Iterable[str]) -> str:
    return "there are only " + ", ".join(f"{{{name}}}" for name in sorted(known))


def _formatted(value: str | int | float, form: str | None) -> str:
    """Return *value* as the *form* of a template asks for it. Raises `ValueError`, which says what is wrong."""
    if form is None:
        return repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, str):
        raise ValueError("a name takes no number of digits")
    found = _FORMAT.fullmatch(form)
    if found is None:
        raise ValueError("digits are written as ###, .## or ###.##")
    if found["whole"]:
        # Half a frame a second goes away from zero, as C has it and Python has not.
        return f"{math.floor(value + 0.5):0{len(found['whole'])}d}"
    before, after = len(found["before"]), len(found["after"])
    return f"{value:0{before + 1 + after if before else 0}.{after}f}"

"""Views of a scene, as stereo has two of: which files a frame becomes, and their names."""

from brender.model.errors import BadInput
from brender.model.job import FileFacts, JobSpec, SceneFacts
from brender.model.naming import check_pattern

_WITH_VIEWS = {"OPEN_EXR", "OPEN_EXR_MULTILAYER"}
#: Since this version (seen; not in 4.2) Blender names the view in a picture's name even where it renders only one.
_NAMES_EVEN_ONE = (4, 5)


def view_suffixes(spec: JobSpec) -> tuple[str, ...]:
    """Return what the names of the pictures of one frame of the prepared job *spec* have more, one for each; () where it has one
    picture, whose name has nothing more."""
    if spec.facts is None or "format" not in spec.settings:
        return ()
    return suffixes_of(spec.facts.scene(spec.settings.get("scene")), spec.settings["format"], spec.facts.version)


def suffixes_of(scene: SceneFacts, image_format: str, version: tuple[int, int]) -> tuple[str, ...]:
    """Return the same for a *scene* that *version* saved, rendered as *image_format*."""
    if not scene.views or not _each_its_own(scene, image_format):
        return ()
    if len(scene.views) == 1 and version < _NAMES_EVEN_ONE:
        return ()
    return tuple(dict.fromkeys(scene.views))


def check_suffixes(scene: SceneFacts, image_format: str, facts: FileFacts) -> None:
    """Check what the views of *scene* add to the names of pictures. Raises `BadInput` where that leads to another folder, or
    cannot be in a file's name."""
    used = suffixes_of(scene, image_format, facts.version)
    for suffix in scene.views:
        try:
            if "/" in suffix or "\\" in suffix:
                raise BadInput("A slash leads to another folder")
            if suffix in used:
                check_pattern(f"0001{suffix}")
        except BadInput as error:
            raise BadInput(
                f"{facts.path}: a view of the scene {scene.name!r} has the file suffix {suffix!r}, which cannot be in a "
                "file's name on every platform. Change it in Blender (Output properties, Stereoscopy)"
            ) from error


def _each_its_own(scene: SceneFacts, image_format: str) -> bool:
    if len(scene.views) == 1 and scene.views_format != "MULTIVIEW":
        return True
    if scene.views_format == "MULTIVIEW":
        # Another format than the scene's own, which cannot hold several: a picture for each (inside/views.py).
        return image_format not in _WITH_VIEWS and image_format != scene.image_format
    return scene.views_format == "INDIVIDUAL" or image_format == "OPEN_EXR_MULTILAYER"


def view_name(name: str, suffix: str) -> str:
    """Return the file *name* of the view with that *suffix*, as Blender makes it.

    >>> view_name("a.b/shot_0001.png", "_L")
    'a.b/shot_0001_L.png'
    """
    base, extension = _split(name)
    return f"{base}{suffix}{extension}"


def base_of(output: str, suffixes: tuple[str, ...]) -> str:
    """Return what the names of all pictures of a frame begin with, where *output* is the one of its first view.

    >>> base_of("a.b/shot_0001_L.png", ("_L", "_R"))
    'a.b/shot_0001'
    """
    base, _ = _split(output)
    return base.removesuffix(suffixes[0]) if suffixes else base


def other_views(output: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the pictures of a frame's other views, where *output* is the one of its first.

    >>> other_views("shot_0001_L.png", ("_L", "_R"))
    ('shot_0001_R.png',)
    """
    base, (_, extension) = base_of(output, suffixes), _split(output)
    return tuple(f"{base}{suffix}{extension}" for suffix in suffixes[1:])


def _split(name: str) -> tuple[str, str]:
    """Return the path *name*, and its extension with the dot."""
    folder, slash, file = name.rpartition("/")
    stem, dot, extension = file.rpartition(".")
    return (f"{folder}{slash}{stem}", f"{dot}{extension}") if dot else (name, "")

"""Names of output files: from a pattern to the file of one frame, and what a name may not be."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from brender.model import path_templates
from brender.model.errors import BadInput
from brender.model.job import FileFacts, SceneFacts

#: The extension that Blender itself gives each image format (`Output properties`, Blender manual).
EXTENSIONS: dict[str, str] = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "JPEG2000": ".jp2",
    "BMP": ".bmp",
    "TARGA": ".tga",
    "TARGA_RAW": ".tga",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "OPEN_EXR": ".exr",
    "OPEN_EXR_MULTILAYER": ".exr",
    "HDR": ".hdr",
    "CINEON": ".cin",
    "DPX": ".dpx",
    "IRIS": ".rgb",
}

#: Further extensions that Blender leaves a name that has them, by the one that it gives.
_AS_GOOD = {".jpg": (".jpg", ".jpeg"), ".tif": (".tif", ".tiff")}
#: What Blender takes for an image's extension (imb_ext_image), and replaces by the format's own.
_IMAGES = (
    *(".png", ".tga", ".bmp", ".jpg", ".jpeg", ".sgi", ".rgb", ".rgba", ".tif", ".tiff", ".tx", ".jp2", ".j2c", ".hdr", ".dds"),
    *(".dpx", ".cin", ".exr", ".psd", ".pdd", ".psb", ".webp"),
)
_MOVIES = (
    *(".mp4", ".mkv", ".mov", ".avi", ".webm", ".ogv", ".ogg", ".mpg", ".mpeg", ".m4v", ".flv", ".dv", ".vob", ".mxf", ".wmv"),
)
#: The extensions that Blender takes for those of a movie's container; it adds the first where a name has none of them
#: (``movie_write.cc``).
MOVIE_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "MPEG1": (".mpg", ".mpeg"),
    "MPEG2": (".dvd", ".vob", ".mpg", ".mpeg"),
    "MPEG4": (".mp4", ".mpg", ".mpeg"),
    "AVI": (".avi",),
    "QUICKTIME": (".mov",),
    "DV": (".dv",),
    "H264": (".avi",),
    "XVID": (".avi",),
    "OGG": (".ogv", ".ogg"),
    "MKV": (".mkv",),
    "FLASH": (".flv",),
    "WEBM": (".webm",),
    "AV1": (".mp4", ".mkv"),
}

_HASHES = re.compile(r"#+")
#: The frame number in a file's name, as one writes it for Blender's ``-o``: a run of ``#``, or one at the end or before a suffix.
_NUMBER = re.compile(r"##|#(?:\.\w+)?$")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def frame_name(pattern: str, frame: int, extension: str) -> str:
    """Return the file name of *frame*, as Blender makes it: the last run of ``#`` in the name becomes the number, zero-padded
    to its length; without a ``#`` four digits are appended. *extension* (``.png``, or "" for none) is added unless it is there,
    and takes the place of another image's.

    >>> frame_name("shot_##", 7, ".png"), frame_name("v1.2_####.exr", 7, ".png")
    ('shot_07.png', 'v1.2_0007.png')
    """
    start, end, width = _place_of_number(pattern)
    number = f"{'-' if frame < 0 else ''}{abs(frame):0{width}d}"
    return _with_extension(f"{pattern[:start]}{number}{pattern[end:]}", extension)


def file_pattern(pattern: str, extension: str) -> str:
    """Return the names of all files of *pattern*, whole, with ``#`` for the number.

    >>> file_pattern("shot", ".png")
    'shot####.png'
    """
    start, end, width = _place_of_number(pattern)
    return _with_extension(f"{pattern[:start]}{'#' * width}{pattern[end:]}", extension)


def is_frame_name(name: str, pattern: str, extension: str) -> bool:
    """Return whether *name*, however it is spelled, is that of the file of some frame of *pattern*, or leads through it.

    >>> is_frame_name("./A/Shot_07.png", "a/shot_##", ".png"), is_frame_name("a/shot_07.mp4", "a/shot_##", ".png")
    (True, False)
    """
    plain = _plain(file_pattern(pattern, extension))
    start, end, _ = _place_of_number(plain)
    frames = re.compile(f"{re.escape(plain[:start])}-?[0-9]+{re.escape(plain[end:])}(/.*)?", re.DOTALL)
    return frames.fullmatch(_plain(name)) is not None


def is_folder_of(name: str, pattern: str) -> bool:
    """Return whether *name*, however it is spelled, is that of a folder which files of *pattern* lie in."""
    return _plain(pattern).startswith(_plain(name) + "/")


def _plain(name: str) -> str:
    """Return the relative path *name* in one spelling."""
    return unicodedata.normalize("NFC", PurePosixPath(name.replace("\\", "/")).as_posix().casefold())


def _place_of_number(pattern: str) -> tuple[int, int, int]:
    """Return where the number goes in *pattern*: from, to, its digits. In the file's name, or else in a folder's that has a
    ``#``."""
    runs = list(_HASHES.finditer(pattern, pattern.rfind("/") + 1)) or list(_HASHES.finditer(pattern))
    if not runs:
        return len(pattern), len(pattern), 4
    start, end = runs[-1].span()
    return start, end, end - start


def _with_extension(name: str, extension: str) -> str:
    """Return *name* as Blender gives it the *extension* of a format."""
    lower = name.lower()
    if not extension or lower.endswith(_AS_GOOD.get(extension, (extension,))):
        return name
    if lower.endswith(_IMAGES):
        return name[: name.rindex(".")] + extension
    return name.rstrip(".") + extension


def extension_of(image_format: str, scene: SceneFacts) -> str:
    """Return what Blender ends the names of *scene* with, in that format, or "" if the scene wants none."""
    if not scene.use_extension:
        return ""
    return ".j2c" if image_format == "JPEG2000" and scene.is_codestream else EXTENSIONS[image_format]


@dataclass(frozen=True)
class ScenePath:
    """Where a scene's own output path leads.

    ``folder`` ends in a slash, or is "" for the folder that Blender is started in. It begins with ``//`` for the .blend's own
    folder, with two backslashes for a share of Windows'. ``name`` is the pattern of the files, or "" if the path is a
    folder's."""

    folder: str
    name: str

    @property
    def is_temporary(self) -> bool:
        """Whether nobody chose the path: it is empty, or in a folder for temporary files, as Blender's default is."""
        folder = self.folder.lower().rstrip("/")
        return not (self.folder or self.name) or folder in _TEMPORARY or bool(_TEMPORARY_OF_WINDOWS.fullmatch(folder))


#: Folders of Unix whose files go by themselves; ``/tmp/`` is Blender's own default, and ``C:\\tmp\\`` on Windows.
_TEMPORARY = {"/tmp", "/var/tmp", "/usr/tmp", "/private/tmp", "/private/var/tmp"}
_TEMPORARY_OF_WINDOWS = re.compile(r"[a-z]:/(windows/)?te?mp|[a-z]:/users/[^/]+/appdata/local/temp")


def scene_path(
    facts: FileFacts, scene: SceneFacts, camera: str | None = None, percent: int | None = None, as_film: bool = False
) -> ScenePath:
    """Return where the output path of *scene* leads, its templates expanded (`brender.model.path_templates`); *as_film*: the
    name is its film's, and not its frames'. Where `CAMERA` stays in it, it is in the name, with the folders from there on.
    Raises `BadInput` where Blender could not expand them."""
    path, end_of_folders = scene.output, ""
    if facts.version >= path_templates.SINCE:
        known = path_templates.variables(facts, scene, camera, percent, each_frame=not as_film)
        path = path_templates.expand(path, known)
        if known.get("camera_name") == path_templates.CAMERA:
            end_of_folders = path_templates.CAMERA  # each frame has its own
    # Blender's own // for "beside the .blend" is no share of Windows', which begins with \\\\ .
    share = "\\\\" if path.startswith("\\\\") else ""
    path = path[len(share) :].replace("\\", "/")
    same = path.partition(end_of_folders)[0] if end_of_folders else path
    folder, slash, _ = same.rpartition("/")
    name = path[len(folder + slash) :]
    if scene.image_format not in EXTENSIONS and not as_film and name.lower().endswith(_MOVIES):
        name = name[: name.rindex(".")]  # a film's, which cannot name its frames
    elif facts.version >= (5, 3) and scene.use_extension and "#" in name and name.lower().endswith(".avif"):
        name = name[: -len(".avif")]  # which is an image's since then
    return ScenePath(share + folder + slash, name)


def scene_pattern(path: ScenePath, blend: str) -> str:
    """Return the pattern of the files of a scene of *blend* whose own *path* is that. Files that nobody named are named
    after *blend*; where a folder alone was chosen, they are numbers."""
    if path.name or not path.is_temporary:
        return path.name or "####"
    return f"{PureWindowsPath(blend).stem if chr(92) in blend else PurePosixPath(blend).stem}_####"


def movie_name(pattern: str, container: str, first: int, last: int, use_extension: bool = True, splits: bool = False) -> str:
    """Return the file name of a movie of the frames *first* to *last*, as Blender makes it of *pattern*, the name in the
    scene's output path. *splits*: it is the first of several files.

    >>> [movie_name(pattern, "MPEG4", 1, 250) for pattern in ("movie.mp4", "out_", "shot_##", "")]
    ['movie.mp4', 'out_0001-0250.mp4', 'shot_01-250.mp4', '0001-0250.mp4']
    """
    number = "_000" if splits else ""
    if not use_extension:
        return (with_range(pattern, first, last) if "#" in pattern else pattern) + number
    extensions = MOVIE_EXTENSIONS[container]
    for extension in extensions:
        if pattern.lower().endswith(extension):
            return pattern[: -len(extension)] + number + extension
    return with_range(pattern + number, first, last) + extensions[0]


def with_range(pattern: str, first: int, last: int, more: str = "") -> str:
    """Return *pattern* with the frames from *first* to *last*, and *more*, in place of its last run of ``#``, or at its end."""
    folder, slash, name = pattern.rpartition("/")
    runs = list(_HASHES.finditer(name))
    width, (start, end) = (len(runs[-1].group()), runs[-1].span()) if runs else (4, (len(name), len(name)))
    ends = "-".join(f"{'-' if frame < 0 else ''}{abs(frame):0{width}d}" for frame in (first, last))
    return f"{folder}{slash}{name[:start]}{ends}{more}{name[end:]}"


def check_pattern(pattern: str, what: str = "The output pattern", own: bool = False) -> str:
    """Return *pattern*, if every name made from it stays inside the output folder on every platform. Raises `BadInput`,
    which calls it *what*, and names the remedy where it is the scene's *own*."""
    remedy = (
        ". The scene names it so (Output properties): name the files with --pattern, such as --pattern NAME_####" if own else ""
    )
    posix, windows = PurePosixPath(pattern), PureWindowsPath(pattern)
    if not pattern.strip() or "\0" in pattern:
        raise BadInput(f"{what} is empty: give one such as shot_####{remedy}")
    if posix.is_absolute() or windows.is_absolute() or windows.drive or windows.root:
        raise BadInput(
            f"{what} {pattern!r} is an absolute path: give the folder with --output, the pattern names files in it{remedy}"
        )
    pieces = [piece for piece in re.split(r"[\\/]", pattern) if piece]
    if ".." in pieces:
        raise BadInput(f"{what} {pattern!r} climbs out of the output folder with '..'{remedy}")
    for piece in pieces:
        if (
            piece.split(".")[0].lower() in _RESERVED
            or len(piece.encode()) > 200
            or any(ord(c) < 32 or c in '<>:"|?*' for c in piece)
        ):
            raise BadInput(f"{what} {pattern!r} has a part that is not a file name on every platform: {piece!r}{remedy}")
    return pattern


def check_folder(output: str) -> None:
    """Raise `BadInput`, with the remedy, where the *output* folder of a job, which is not there yet, is named as Blender's ``-o``
    names files.

    >>> check_folder("/renders/take #3"), check_folder("/projects/C#/renders")
    (None, None)
    """
    above, slash, name = re.fullmatch(r"(.*?)([\\/]*)([^\\/]*)", output, re.DOTALL).groups()  # type: ignore[union-attr]
    if _NUMBER.search(name):
        folder = f"the folder with --output {above or slash} and the names of the files with " if above or slash else ""
        raise BadInput(f"{output} would be a folder, with no frame numbers in its name: give {folder}--pattern {name}")


def beside_blend(output: str, folder: str) -> str:
    """Return the *output* folder, with the *folder* of the .blend in place of ``//``, by which Blender means that. Raises
    `BadInput` where that is not known ("").

    >>> beside_blend("//render", "/shows/lake"), beside_blend("/render", "")
    ('/shows/lake/render', '/render')
    """
    if not output.startswith("//"):
        return output
    if not folder:
        raise BadInput(
            f"{output} is a folder beside the .blend, and the farm has that elsewhere: give a whole path in place of //"
        )
    return f"{folder.rstrip('/')}/{output.lstrip('/')}"


def temporary_name(final: str, attempt: str) -> str:
    """Return where *attempt* writes before the file *final* (a path in the output folder) is published: beside it, hidden,
    and carrying the attempt's id, so that two attempts never write one file.

    >>> temporary_name("a/shot_01.png", "f00d")
    'a/.shot_01.f00d.tmp.png'
    """
    folder, slash, name = final.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}.{stem or name}.{attempt}.tmp{dot if stem else ''}{extension if stem else ''}"

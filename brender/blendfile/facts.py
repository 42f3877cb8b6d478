"""What a .blend says of itself: who saved it, its scenes and cameras, and which of its files are missing.

Blender itself is asked where one is installed that can open the file: only it knows what a render will need. Elsewhere
blender-asset-tracer reads what it can, in every header there has been (plain, gzip, zstandard; Blender 5's too).
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from blender_asset_tracer import blendfile
from blender_asset_tracer.blendfile.exceptions import BlendFileError

from brender.blendfile import tracer, tracer_simulations
from brender.blendfile.header import explain_beginning, is_of_a_later_format, oldest_reader, saved_by
from brender.blendfile.inputs import inputs_of
from brender.blendfile.reader import CannotOpen, NoReader, Reader, reader_for
from brender.blendfile.through_blender import facts_through_blender
from brender.blendfile.tracer import quiet
from brender.blendfile.tracer_views import view_facts
from brender.model.errors import BadInput
from brender.model.job import FPS, CameraMarker, FileFacts, MissingFile, SceneFacts

#: Numbers of RenderData.im_format.imtype (DNA_scene_types.h, R_IMF_IMTYPE_*) and Blender's words for them.
_FORMATS = {
    0: "TARGA",
    1: "IRIS",
    4: "JPEG",
    14: "TARGA_RAW",
    15: "AVI_RAW",
    16: "AVI_JPEG",
    17: "PNG",
    20: "BMP",
    21: "HDR",
    22: "TIFF",
    23: "OPEN_EXR",
    24: "FFMPEG",
    26: "CINEON",
    27: "DPX",
    28: "OPEN_EXR_MULTILAYER",
    29: "DDS",
    30: "JPEG2000",
    35: "WEBP",
}
#: Numbers of RenderData.ffcodecdata.type (IMB_movie_enums / BKE_writeffmpeg.h, FFMPEG_*) and Blender's words for them.
_CONTAINERS = {
    0: "MPEG1",
    1: "MPEG2",
    2: "MPEG4",
    3: "AVI",
    4: "QUICKTIME",
    5: "DV",
    6: "H264",
    7: "XVID",
    8: "OGG",
    9: "MKV",
    10: "FLASH",
    13: "WEBM",
    14: "AV1",
}
_LOG = logging.getLogger("brender.engines")
_CAMERA_OBJECT = 11
#: RenderData.scemode bit for "the sequencer takes part" (R_DOSEQ).
_USES_SEQUENCER = 0x0001
#: RenderData.scemode bit for "names get an extension" (R_EXTENSION), RenderData.mode bits for "keep what is there"
#: (R_NO_OVERWRITE) and "put an empty file there first" (R_TOUCH), im_format.jp2_codec for a codestream (R_IMF_JP2_CODEC_J2K).
_USES_EXTENSION, _KEEPS_FILES, _USES_PLACEHOLDER, _CODESTREAM = 0x0010, 0x400000, 0x800000, 1
#: RenderData.mode bit for "render a region only" (R_BORDER).
_USES_BORDER = 0x0200
#: Object.restrictflag bit for "not in renders" (OB_HIDE_RENDER).
_HIDDEN_IN_RENDERS = 4
#: FFMpegCodecData.flags bit for "begin another file where one has grown large" (FFMPEG_AUTOSPLIT_OUTPUT).
_SPLITS_MOVIE = 2


def inspect(path: Path, within: Path | None = None) -> FileFacts:
    """Return what the .blend at *path* says of itself; files that do not lie *within* that folder count as missing.

    Raises `BadInput` where there is no such file, or it is not a .blend, or it is damaged.
    """
    path = plain_path(path)
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"The name {os.fsencode(path)!r} is not in UTF-8, so it cannot be sent to other machines. Rename it"
        ) from error
    if not path.exists():
        raise BadInput(f"There is no file {path}")
    if path.is_dir():
        raise BadInput(f"{path} is a folder: name a .blend in it")
    if not path.is_file():
        raise BadInput(f"{path} is not a file: name a .blend")
    try:
        version = saved_by(path)
        return msgspec.structs.replace(_read_facts(path, version, within), oldest_blender=oldest_reader(path))
    except PermissionError as error:
        raise BadInput(f"{path} may not be read: {error.strerror}") from error


def _read_facts(path: Path, version: tuple[int, int], within: Path | None) -> FileFacts:
    with reader_for(version, within) as reader:
        if reader is not None:
            try:
                return _through_blender(reader, path, version, within)
            except NoReader as error:
                _LOG.warning("%s; blender-asset-tracer reads %s instead", error, path)
    return _through_tracer(path, version, within)


def _through_blender(reader: Reader, path: Path, version: tuple[int, int], within: Path | None) -> FileFacts:
    try:
        facts = facts_through_blender(reader, path, version, within)
        if [scene.name for scene in facts.scenes] == ["Empty"]:
            _check_scenes(path)  # Blender makes one of that name for a file that has none
        return facts if all(scene.view for scene in facts.scenes) else _with_color_names(facts, path)
    except CannotOpen as error:
        raise BadInput(f"{path} is cut off or damaged ({error}). Save or copy it again") from error


def _with_color_names(facts: FileFacts, path: Path) -> FileFacts:
    """Return *facts* with the names of color management that stand in the file, where Blender does not know them and has put its
    own in their place; as they are where the file cannot be read like this."""
    names: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(Exception), quiet(), blendfile.BlendFile(path) as file:
        names = {_name(block): _color_names(block) for block in file.code_index.get(b"SC", [])}
    scenes = [msgspec.structs.replace(scene, **names.get(scene.name, {})) for scene in facts.scenes]
    return msgspec.structs.replace(facts, scenes=tuple(scenes))


def _through_tracer(path: Path, version: tuple[int, int], within: Path | None) -> FileFacts:
    try:
        with quiet(), blendfile.BlendFile(path) as file:
            return _read(file, path, within)
    except (BadInput, PermissionError):
        raise
    except BlendFileError as error:
        if is_of_a_later_format(path):
            dotted = ".".join(map(str, version))
            raise BadInput(
                f"{path} was saved by Blender {dotted}: only Blender itself could read it, and no Blender {dotted} or later is "
                "installed here"
            ) from error
        raise BadInput(explain_beginning(path)) from error
    except Exception as error:
        # A damaged file makes the reader stumble in ways of its own: struct errors, missing keys, wrong offsets.
        raise BadInput(
            f"{path} is damaged: it begins like a .blend, but cannot be read ({type(error).__name__}: {error})"
        ) from error


def plain_path(path: Path) -> Path:
    """Return *path* as an absolute path without ``..``; links stay as they are where it has none."""
    path = path.absolute()
    return path.parent.resolve() / path.name if ".." in path.parts else path


def _read(file: Any, path: Path, within: Path | None) -> FileFacts:
    version = int(file.header.version)
    if file.blocks[-1].code != b"ENDB" and not _ends_well(file):
        raise BadInput(f"{path} is cut off: its end is missing. Save or copy it again")
    scenes = _scenes(file, path)
    active = file.code_index[b"GLOB"][0].get_pointer(b"curscene") if b"GLOB" in file.code_index else None
    return FileFacts(
        path=str(path),
        version=(version // 100, version % 100),
        active_scene=_name(active or scenes[0]),
        scenes=tuple(_scene(file, block) for block in scenes),
        cameras=tuple(sorted(_cameras(file))),
        missing=tuple(_missing(path, within)),
        inputs=inputs_of([path, *(Path(each) for usage in tracer.usages(path) for each in usage.files())]),
        needs_trust=tracer_simulations.wanting_trust(file),
        size=path.stat().st_size,
    )


def _scenes(file: Any, path: Path) -> list[Any]:
    """Return the blocks of the scenes in *file*. Raises `BadInput` where it has none."""
    scenes: list[Any] = file.code_index.get(b"SC", [])
    if not scenes:
        raise BadInput(f"{path} has no scene of its own (a library?), so there is nothing to render")
    return scenes


def _check_scenes(path: Path) -> None:
    """Raises `BadInput` where the .blend at *path* has no scene, as far as the tracer can read it."""
    with contextlib.suppress(BlendFileError), quiet(), blendfile.BlendFile(path) as file:
        _scenes(file, path)


def _scene(file: Any, block: Any) -> SceneFacts:
    def render(*names: bytes, **kind: Any) -> Any:
        return block.get((b"r", *names), **kind)

    camera = block.get_pointer(b"camera")
    try:
        image_type = block.get((b"r", b"im_format", b"imtype"))
    except KeyError:
        image_type = render(b"imtype")  # before Blender 2.61
    markers = block.get((b"markers", b"first"))
    editing = block.get_pointer(b"ed") if render(b"scemode") & _USES_SEQUENCER else None
    sequencer = editing is not None and editing.get((b"seqbase", b"first"))
    image_format = _FORMATS.get(image_type, f"format {image_type}")
    return SceneFacts(
        name=_name(block),
        first=render(b"sfra"),
        last=render(b"efra"),
        step=max(1, render(b"frame_step")),
        width=render(b"xsch"),
        height=render(b"ysch"),
        percent=render(b"size"),
        engine=render(b"engine", as_str=True),
        # Those of Cycles are properties of an add-on, which only Blender reads.
        samples=block.get((b"eevee", b"taa_render_samples"), default=None)
        if render(b"engine").startswith(b"BLENDER_EEVEE")
        else None,
        image_format=image_format,
        container=_CONTAINERS.get(render(b"ffcodecdata", b"type"), "") if image_format == "FFMPEG" else "",
        splits_movie=image_format == "FFMPEG" and bool(render(b"ffcodecdata", b"flags") & _SPLITS_MOVIE),
        border=_border(block) if render(b"mode") & _USES_BORDER else None,
        output=_text(render(b"pic")),
        camera=_name(camera) if camera else None,
        needs_camera=not (markers or sequencer),
        camera_markers=tuple(_camera_markers(block)),
        frame_length=render(b"framelen"),
        fps=_fps(render(b"frs_sec"), render(b"frs_sec_base")),
        rate=(render(b"frs_sec"), render(b"frs_sec_base")),
        current=render(b"cfra"),
        cameras=_cameras_of(block),
        use_extension=bool(render(b"scemode") & _USES_EXTENSION),
        use_overwrite=not render(b"mode") & _KEEPS_FILES,
        use_placeholder=bool(render(b"mode") & _USES_PLACEHOLDER),
        is_codestream=block.get((b"r", b"im_format", b"jp2_codec"), default=0) == _CODESTREAM,
        **_color_names(block),
        simulations=tracer_simulations.simulations(file, block),
        **view_facts(block),
    )


def _samples(scene: Any) -> int | None:
    """Return the samples a pixel of EEVEE, or ``None``: those of Cycles are an add-on's, which only Blender reads."""
    if not scene.get((b"r", b"engine"), as_str=True).startswith("BLENDER_EEVEE"):
        return None
    return scene.get((b"eevee", b"taa_render_samples"), default=None)  # type: ignore[no-any-return]


def _border(scene: Any) -> tuple[float, float, float, float]:
    left, right, low, high = (float(scene.get((b"r", b"border", edge))) for edge in (b"xmin", b"xmax", b"ymin", b"ymax"))
    return left, right, low, high


def _color_names(scene: Any) -> dict[str, Any]:
    """Return the names of the *scene*'s color management; none in files from before there was such."""
    try:
        return {
            "display": str(scene.get((b"display_settings", b"display_device"), as_str=True)),
            "view": str(scene.get((b"view_settings", b"view_transform"), as_str=True)),
            "look": str(scene.get((b"view_settings", b"look"), as_str=True)),
        }
    except KeyError:
        return {}


def _fps(frames: int, seconds: float) -> float:
    """Frames a second, of so many in so many *seconds*.

    >>> _fps(30, 1.0010000467300415)
    29.97
    """
    return round(frames / seconds, 3) if frames > 0 and seconds > 0 else FPS


def _cameras(file: Any) -> Iterator[str]:
    for block in file.code_index.get(b"OB", []):
        if block.get(b"type") == _CAMERA_OBJECT:
            yield _name(block)
    # What is linked stands in the file as a bare name; whether it is a camera only the library knows.
    for block in file.code_index.get(b"ID", []):
        name = block.get(b"name", as_str=True)
        if name.startswith("OB"):
            yield name[2:]


def _cameras_of(scene: Any) -> tuple[str, ...] | None:
    """Return the cameras in *scene*, and what is linked there and may be one; ``None`` where a linked collection is in it,
    whose objects only Blender knows."""
    found, seen = set(), set()
    master = scene.get_pointer(b"master_collection", default=None)
    waiting = [master] if master else []
    items = [(b"object", scene.get_pointer((b"base", b"first"), default=None))]  # before Blender 2.80
    while waiting:
        collection = waiting.pop()
        if collection.code == b"ID":
            return None
        if collection.addr_old in seen:
            continue
        seen.add(collection.addr_old)
        items.append((b"ob", collection.get_pointer((b"gobject", b"first"), default=None)))
        children = _listed(collection.get_pointer((b"children", b"first"), default=None))
        waiting += [child for each in children if (child := each.get_pointer(b"collection"))]
    for field, first in items:
        for each in _listed(first):
            thing = each.get_pointer(field)
            if thing is None:
                continue
            if thing.code == b"ID":
                found.add(_text(thing.get(b"name"))[2:])
            elif thing.get(b"type") == _CAMERA_OBJECT:
                found.add(_name(thing))
    return tuple(sorted(found))


def _camera_markers(scene: Any) -> Iterator[CameraMarker]:
    """The markers of *scene* that bind a camera; what is linked is taken for one that is not hidden."""
    for marker in _listed(scene.get_pointer((b"markers", b"first"))):
        camera = marker.get_pointer(b"camera", default=None)
        if camera and camera.code == b"ID":
            yield CameraMarker(marker.get(b"frame"), _text(camera.get(b"name"))[2:])
        elif camera and not camera.get(b"restrictflag", default=0) & _HIDDEN_IN_RENDERS:
            yield CameraMarker(marker.get(b"frame"), _name(camera))


def _listed(first: Any) -> Iterator[Any]:
    """The blocks of a list, of which *first* is the first."""
    while first:
        yield first
        first = first.get_pointer(b"next")


def _missing(path: Path, within: Path | None) -> Iterator[MissingFile]:
    seen = set()
    root = within.resolve() if within is not None else None
    for usage in tracer.usages(path):
        outside = [str(file) for file in usage.files() if root is not None and not Path(file).resolve().is_relative_to(root)]
        for where in tracer.missing(usage) + outside:
            if where not in seen:
                seen.add(where)
                yield MissingFile(where, tracer.user(usage), usage.asset_path.is_blendfile_relative())


def _ends_well(file: Any) -> bool:
    """Return whether the file goes on to its end mark after the last block that was read."""
    last = file.blocks[-1]
    file.fileobj.seek(last.file_offset + last.size)
    return bool(file.fileobj.read(4) == b"ENDB")


def _name(block: Any) -> str:
    return _text(block.id_name)[2:]


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.split(b"\0")[0].decode("utf-8", "replace")

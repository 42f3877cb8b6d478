"""What a job renders, as one line for the person who is about to wait for it. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len

from brender.model.errors import BadInput
from brender.model.job import JobSpec
from brender.model.text import plural

_ENGINES = {"CYCLES": "Cycles", "EEVEE": "EEVEE", "WORKBENCH": "Workbench"}
_FORMATS = {
    "OPEN_EXR": "EXR",
    "OPEN_EXR_MULTILAYER": "multilayer EXR",
    "TARGA": "TGA",
    "TARGA_RAW": "TGA",
    "JPEG2000": "JPEG 2000",
}
#: Characters of a list of frames that the line has room for.
_FRAMES_SHOWN = 40


def shot_facts(spec: JobSpec, folder: str) -> list[str]:
    """Return the facts of the prepared job *spec* in their order: its file, scene, camera, engine, size and frames, the last with
    the *folder* that they go to."""
    settings = spec.settings
    if spec.facts is None or not settings.get("file"):
        return [spec.name]
    words = [spec.facts.path.replace("\\", "/").rpartition("/")[2]]
    try:
        scene = spec.facts.scene(settings.get("scene"))
    except BadInput:
        return words
    camera = settings.get("camera") or scene.camera
    engine = settings.get("engine") or scene.engine
    samples = settings.get("samples") or (None if settings.get("engine") else scene.samples)
    percent = settings.get("resolution") or scene.percent
    picture = (
        f"{scene.width * percent // 100}×{scene.height * percent // 100} {_format(settings.get('format') or scene.image_format)}"
    )
    words += [
        scene.name,
        *([camera] if camera else []),
        _engine(engine) + (f" {plural(samples, 'sample')}" if samples else ""),
        picture,
    ]
    film = settings.get("film") or ""
    frames = _frames(str(settings.get("frames") or settings.get("frame") or ""))
    to = f" → {folder}{film}" if folder or film else ""
    return [*words, f"{frames}{to}".strip()]


def fit(facts: Sequence[str], width: int) -> list[str]:
    """Return *facts* as lines of *width* columns, broken between two facts. One that is wider has a line of its own."""
    lines: list[str] = []
    for fact in facts:
        if lines and cell_len(lines[-1]) + 3 + cell_len(fact) <= width:
            lines[-1] += f" · {fact}"
        else:
            lines.append(fact if not lines else f"  {fact}")
    return lines


def _engine(name: str) -> str:
    short = name.upper().removeprefix("BLENDER_").removesuffix("_NEXT")
    return _ENGINES.get(short, name)


def _format(name: str) -> str:
    return _FORMATS.get(name.upper(), name.upper().replace("_", " "))


def _frames(frames: str) -> str:
    """Return *frames* in words.

    >>> _frames("1001-1048"), _frames("7")
    ('frames 1001–1048', 'frame 7')
    """
    if not frames:
        return ""
    shown = frames if len(frames) <= _FRAMES_SHOWN else frames[: _FRAMES_SHOWN - 1] + "…"
    return f"frame {shown}" if frames.lstrip("-").isdigit() else f"frames {_dashed(shown)}"


def _dashed(frames: str) -> str:
    """Return a list of frames with dashes between the ends of ranges; a minus before a frame stays."""
    return ",".join(each[:1] + each[1:].replace("-", "–", 1) for each in frames.split(","))

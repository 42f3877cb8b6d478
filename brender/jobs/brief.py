"""What a job renders, in a few words, for lists. Pure."""

from collections.abc import Mapping
from typing import Any

from brender.jobs.blender_animation import engine_word
from brender.jobs.declare import job_types, label_of


def in_brief(job_type: str, settings: Mapping[str, Any], facts: Mapping[str, Any] | None) -> list[str]:
    """Return what a prepared job renders by its *settings* and the *facts* of its file, both as plain data: such as "1001-1240",
    "Cycles 256", "1920×1080". A job without a scene has its type in place of the picture."""
    kind = job_types().get(job_type)
    frames = settings.get("frames") or ("" if settings.get("frame") is None else f"frame {settings['frame']}")
    scene = next((each for each in (facts or {}).get("scenes", ()) if each["name"] == settings.get("scene")), None)
    if scene is None:
        return [each for each in (label_of(job_type, settings), str(frames)) if each]
    word = str(settings.get("engine") or engine_word(scene["engine"]))
    named = [special for setting in (kind.settings if kind else ()) if setting.name == "engine" for special in setting.words]
    engine = dict(named).get(word, word)
    samples = settings.get("samples") or (scene.get("samples") if not settings.get("engine") else None)
    share = (settings.get("resolution") or scene["percent"]) / 100
    size = f"{round(scene['width'] * share)}×{round(scene['height'] * share)}"
    return [each for each in (str(frames), f"{engine} {samples}" if samples else engine, size) if each]

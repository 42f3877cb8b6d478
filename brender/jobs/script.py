"""The job type ``script``: Python inside Blender, with a .blend open, once or once a frame. Only of trusted jobs.

The script's text travels with the job. What it writes below its output folder becomes files of the job.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from brender.jobs.blender_settings import SETTINGS
from brender.jobs.declare import ORDER, WHAT, Setting, check_settings
from brender.jobs.placeholders import check_words
from brender.jobs.stages import Stage, one_stage
from brender.model.errors import BadInput
from brender.model.frames import chunk, chunk_count, parse_frames
from brender.model.job import JobSpec, PartPlan, Requirements, TaskPlan
from brender.model.nodes import can_open_with, dotted, read_series

_parse = lru_cache(maxsize=256)(parse_frames)
_TEXT_MOST = 4_000_000
_SHARED = {each.name: each for each in SETTINGS if each.name in ("file", "scene", "threads", "blender", "ocio")}


class Script:
    name = "script"
    label = "Script in Blender"
    engine = "blender"
    settings = (
        _SHARED["file"],
        Setting(
            "script",
            str,
            "the Python file; or the name of a text in the .blend",
            required=True,
            label="Script",
            group=WHAT,
        ),
        Setting("text", str, "the script itself", label="Text", group=WHAT, without="a text in the .blend", hidden=True),
        Setting(
            "arguments",
            list,
            "its arguments, in sys.argv after --; {frame} is the frame number, {output} the folder for its files",
            default=[],
            label="Arguments",
            group=WHAT,
        ),
        Setting(
            "frames",
            str,
            "the script runs once for each of these frames, such as 1-100",
            label="Frames",
            group=WHAT,
            without="it runs once",
        ),
        _SHARED["scene"],
        Setting(
            "chunk",
            int,
            "for how many frames one worker runs it as one task",
            default=1,
            lowest=1,
            highest=1_000_000,
            label="Frames in one task",
            unit="frames",
            group=ORDER,
        ),
        _SHARED["threads"],
        _SHARED["blender"],
        _SHARED["ocio"],
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        facts = spec.facts
        if facts is None:
            raise BadInput(
                f"The job {spec.name!r} says nothing of its .blend: submit it with brender, which reads the file first"
            )
        if not spec.trusted:
            raise BadInput(
                "A script may do all that its worker's account may: submit it with --trusted, to workers that accept that"
            )
        if not spec.output and not spec.bundle:
            raise BadInput("The job has no output folder: give one with --output")
        if len(settings["text"] or "") > _TEXT_MOST:
            raise BadInput(f"The script has more than {_TEXT_MOST // 1_000_000} MB")
        if settings["blender"] and not can_open_with(read_series(settings["blender"]), facts.version, facts.oldest_blender):
            raise BadInput(
                f"Blender {settings['blender']} cannot open {facts.path}, which Blender {dotted(facts.version)} saved: choose a "
                "later series, or none"
            )
        settings["scene"] = facts.scene(settings["scene"]).name
        if settings["frames"] is not None:
            parse_frames(settings["frames"])
        check_words(settings["arguments"])
        return msgspec.structs.replace(spec, settings=settings)

    def task_count(self, spec: JobSpec) -> int:
        return chunk_count(self.part_count(spec), spec.settings["chunk"])

    def part_count(self, spec: JobSpec) -> int:
        return len(self._frames(spec))

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        frames = chunk(self._frames(spec), spec.settings["chunk"], index)
        return TaskPlan(index=index, parts=tuple(PartPlan(frame=frame, scene=spec.settings["scene"]) for frame in frames))

    def may_repeat(self, spec: JobSpec) -> bool:
        return False  # nobody knows what it does to the world

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        return one_stage(self.task_count(spec), "scripts")

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        return 0.0

    def requirements(self, spec: JobSpec) -> Requirements:
        assert spec.facts is not None, "a prepared script has its file's facts"
        return Requirements(
            job_type=self.name,
            tags=frozenset(spec.tags),
            blender=spec.facts.version,
            oldest_blender=spec.facts.oldest_blender,
            series=read_series(spec.settings["blender"]) if spec.settings["blender"] else None,
            trusted=True,
            reads=(spec.settings["file"],),
        )

    def output_key(self, spec: JobSpec) -> str:
        return ""

    @staticmethod
    def _frames(spec: JobSpec) -> tuple[int, ...]:
        assert spec.facts is not None, "a prepared script has its file's facts"
        if spec.settings["frames"] is not None:
            return _parse(spec.settings["frames"])
        scene = spec.facts.scene(spec.settings["scene"])
        return (scene.first if scene.current is None else scene.current,)


JOB_TYPE = Script()

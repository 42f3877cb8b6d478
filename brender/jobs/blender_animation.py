"""The job type ``blender-animation``: frames of one scene of a .blend, in chunks.

Each setting that is not given is what the .blend says. Each part is one frame.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from brender.jobs.animation_stages import COPIES, FILM_COPY, FILM_STAGE, FRAMES, place_in, runs_of_frames
from brender.jobs.blender_settings import CHUNK_MOST, IN_ORDER, SETTINGS, WARM
from brender.jobs.copies import checked_target
from brender.jobs.declare import Setting, check_settings
from brender.jobs.film import FRAMES_FORMAT, as_film, check_film, name_of_asked, plan_film, writes_film
from brender.jobs.numbering import numbering_of
from brender.jobs.pieces import piece_name
from brender.jobs.stages import Run, Stage, in_a_row
from brender.jobs.view_layers import TEMPLATE, check_layers, layers_apart, named_for
from brender.model import path_templates
from brender.model.cameras import marked_cameras
from brender.model.errors import BadInput
from brender.model.frames import FIRST_FRAME, LAST_FRAME, format_frames, format_ranges, frame_ranges, parse_frames
from brender.model.job import (
    COPY,
    FILM,
    LIMIT_MINUTES,
    MINUTES_MOST,
    MISSING_FILE,
    NOISY,
    FileFacts,
    JobSpec,
    PartPlan,
    Requirements,
    SceneFacts,
    TaskPlan,
)
from brender.model.naming import (
    EXTENSIONS,
    ScenePath,
    check_pattern,
    extension_of,
    file_pattern,
    frame_name,
    scene_path,
    scene_pattern,
)
from brender.model.nodes import can_open_with, dotted, read_series
from brender.model.paths import BUILT_IN
from brender.model.ranges import Ranges
from brender.model.regions import pixels_within
from brender.model.simulations import in_order_by_many, in_order_by_one, not_baked, not_in_order, other_cautions
from brender.model.units import steps_of
from brender.model.views import check_suffixes, view_name, view_suffixes

#: Its stages, as far as it has them.

#: What Blender calls each engine, in the versions that brender renders with.
_ENGINE_WORDS = {
    "CYCLES": "cycles",
    "BLENDER_EEVEE": "eevee",
    "BLENDER_EEVEE_NEXT": "eevee",
    "BLENDER_WORKBENCH": "workbench",
    # Blender Internal was removed in 2.80; such files open as EEVEE scenes.
    "BLENDER_RENDER": "eevee",
    "BLENDER_GAME": "eevee",
}


class BlenderAnimation:
    name = "blender-animation"
    label = "Blender animation"
    engine = "blender"
    settings: tuple[Setting, ...] = SETTINGS

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        warnings = list(spec.warnings)
        if spec.facts is not None and settings["film"] != "":
            self._plan_film(spec.facts, settings, warnings)
        scene, facts = self._fill_in(spec, settings, warnings)
        settings["frames"] = self._frames(settings["frames"], scene, facts.path)
        if outside := said_of_range(frame_ranges(settings["frames"]), scene):
            _warn(warnings, outside)
        if settings["film"]:
            check_film(settings, as_film(scene, settings), facts.path)
        self._keep_order(settings, scene, warnings)
        numbering_of(settings)
        if settings["denoise_after"]:
            _denoise_after(settings, scene, facts.path)
        settings["copy_to"] = checked_target(settings["copy_to"], spec)
        limit = self._limit(spec.limit_minutes, settings)
        return msgspec.structs.replace(spec, settings=settings, warnings=tuple(warnings), limit_minutes=limit)

    def _plan_film(self, facts: FileFacts, settings: dict[str, Any], warnings: list[str]) -> None:
        """Let the job make a film where its scene writes one, unless it asks for another format, or is planned already."""
        scene = facts.scene(settings["scene"])
        film = as_film(scene, settings)
        settings["film"] = settings["film"] or ""
        if film is not scene and not writes_film(scene):
            self._plan_asked_film(film, facts, settings, warnings)
        elif settings["format"] is None and writes_film(scene):
            scene = film
            settings["frames"] = self._frames(settings["frames"], scene, facts.path)
            own = scene_pattern(own_path(facts, settings, as_film=True), facts.path)
            for told in plan_film(settings, scene, settings["pattern"] or own):
                _warn(warnings, told)
            # As Blender: neither is for movies.
            settings["keep"], settings["placeholders"] = settings["keep"] or False, settings["placeholders"] or False

    def _plan_asked_film(self, scene: SceneFacts, facts: FileFacts, settings: dict[str, Any], warnings: list[str]) -> None:
        """Let the job make a film that its *scene* does not ask for itself, of frames that are called as without it."""
        settings["frames"] = self._frames(settings["frames"], scene, facts.path)
        if settings["format"] is None:
            settings["format"] = FRAMES_FORMAT
        if not settings["film"]:
            settings["film"] = name_of_asked(scene, parse_frames(settings["frames"]), facts.path)
        _warn(warnings, f"The film {settings['film']} is made once all frames are done; they stay beside it")

    def _fill_in(self, spec: JobSpec, settings: dict[str, Any], warnings: list[str]) -> tuple[SceneFacts, FileFacts]:
        """Fill in what any render of a .blend needs to know, from its file. Raises `BadInput`."""
        facts = spec.facts
        if facts is None:
            raise BadInput(
                f"The job {spec.name!r} says nothing of its .blend: submit it with brender, which reads the file first"
            )
        if not spec.output and not spec.bundle:
            raise BadInput("The job has no output folder: give one with --output")
        if settings["blender"] and not can_open_with(read_series(settings["blender"]), facts.version, facts.oldest_blender):
            raise BadInput(
                f"Blender {settings['blender']} cannot open {facts.path}, which Blender {dotted(facts.version)} saved: choose a "
                "later series, or none"
            )
        scene = facts.scene(settings["scene"])
        settings["scene"] = scene.name
        self._check_camera(settings, scene, facts.path)
        self._check_size(settings, scene, facts.path)
        settings["format"] = self._format(settings["format"], scene, warnings)
        own = not settings["pattern"]
        pattern = scene_pattern(own_path(facts, settings), facts.path) if own else settings["pattern"]
        settings["pattern"] = check_pattern(pattern, own=own)
        check_suffixes(scene, settings["format"], facts)
        if settings.get("film") and TEMPLATE in settings["pattern"]:
            raise BadInput(
                f"A film has one picture a frame, so {TEMPLATE} cannot be in its name: give --format PNG for frames alone"
            )
        self._check_named_cameras(settings, scene, facts, own)
        for text in check_layers(settings, scene, facts.path):
            _warn(warnings, text)
        if scene.strip_outputs:
            _warn(warnings, said_of_strips(scene.name, scene.strip_outputs))
        if facts.version >= path_templates.SINCE:
            known = path_templates.variables(facts, scene, settings["camera"], settings["resolution"], each_frame=True)
            path_templates.check_nodes(facts, scene, known)
        settings["keep"] = not scene.use_overwrite if settings["keep"] is None else settings["keep"]
        settings["placeholders"] = scene.use_placeholder if settings["placeholders"] is None else settings["placeholders"]
        if not settings["camera"] and len(marked_cameras(scene)) > 1:
            for text in _said_of_cameras(facts, scene, settings):
                _warn(warnings, text)
        for missing in facts.missing:
            _warn(warnings, f"{MISSING_FILE}{missing.path} (used by {missing.used_by}); what needs it renders without it")
        return scene, facts

    def task_count(self, spec: JobSpec) -> int:
        return sum(run.tasks for run in self._runs(spec))

    def part_count(self, spec: JobSpec) -> int:
        settings, has_film = spec.settings, bool(spec.settings["film"])
        frames = numbering_of(settings).frame_count * len(layers_apart(settings))
        return frames * steps_of(settings) + has_film * (1 + bool(settings.get("copy_to")))

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        placed = place_in(self.stages(spec), index)
        return TaskPlan(index=index, parts=() if placed is None else tuple(self._parts(spec, *placed)))

    def _parts(self, spec: JobSpec, stage: str, number: int) -> Iterator[PartPlan]:
        """Yield the parts of task *number* of all that *stage* has."""
        settings = spec.settings
        if stage in (FILM_STAGE, FILM_COPY):
            piece = FILM if stage == FILM_STAGE else COPY
            yield PartPlan(frame=numbering_of(settings).bounds[1], output=settings["film"], scene=settings["scene"], piece=piece)
            return
        for frame in numbering_of(settings).of_task(number):
            for layer in layers_apart(settings):
                name, piece = self._name(spec, frame, layer), COPY if stage == COPIES else 0
                if stage == FRAMES and settings.get("denoise_after"):
                    name, piece = piece_name(name, NOISY), NOISY
                yield PartPlan(frame=frame, output=name, scene=settings["scene"], layer=layer, piece=piece)

    def may_repeat(self, spec: JobSpec) -> bool:
        # It would go through all frames again, and caches on disk are for one at a time.
        return bool(spec.settings["process"] != IN_ORDER)

    def is_elastic(self, spec: JobSpec) -> bool:
        return bool(spec.settings["chunk"] == 0)

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        return in_a_row(self._runs(spec))

    def _runs(self, spec: JobSpec) -> Iterator[Run]:
        yield from runs_of_frames(spec.settings)

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        """Return the rank of task *index*: a frame that is begun is finished, and copied, before others are begun."""
        if steps_of(spec.settings) == 1:
            return 0.0
        stages = self.stages(spec)
        title = next(each.title for each in stages if index <= each.last_task)
        return -float(next(place for place, each in enumerate(stages) if each.name == title))

    def requirements(self, spec: JobSpec) -> Requirements:
        assert spec.facts is not None, "a prepared blender-animation has its file's facts"
        tags = frozenset(spec.tags) | ({"gpu"} if spec.settings["device"] == "gpu" else set())
        ocio = spec.settings.get("ocio") or ""
        return Requirements(
            job_type=self.name,
            tags=tags,
            blender=spec.facts.version,
            oldest_blender=spec.facts.oldest_blender,
            series=read_series(spec.settings["blender"]) if spec.settings["blender"] else None,
            trusted=spec.trusted,
            reads=tuple(name for name in (spec.settings["file"], ocio) if name and not name.startswith(BUILT_IN)),
        )

    def output_key(self, spec: JobSpec) -> str:
        return file_pattern(spec.settings["pattern"], self._extension(spec))

    def _name(self, spec: JobSpec, frame: int, layer: str = "") -> str:
        """Return the file of *frame*: of its first view, where each view has its own."""
        assert spec.facts is not None, "a prepared render has its file's facts"
        scene = spec.facts.scene(spec.settings["scene"])
        pattern = path_templates.for_frame(spec.settings["pattern"], spec.facts, scene, frame, spec.settings["camera"])
        name = named_for(frame_name(pattern, frame, self._extension(spec)), layer)
        return view_name(name, next(iter(view_suffixes(spec)), ""))

    @staticmethod
    def _extension(spec: JobSpec) -> str:
        assert spec.facts is not None, "a prepared render has its file's facts"
        if spec.settings.get("film"):  # what it is made of is ours
            return EXTENSIONS[spec.settings["format"]]
        return extension_of(spec.settings["format"], spec.facts.scene(spec.settings["scene"]))

    @staticmethod
    def _keep_order(settings: dict[str, Any], scene: SceneFacts, warnings: list[str]) -> None:
        """Choose how Blender is used where the job does not say: in order, all frames as one task, where a simulation is not
        baked."""
        frames = sorted(parse_frames(settings["frames"])) if scene.simulations else []
        moving = not_baked(scene.simulations, frames)
        for caution in other_cautions(scene.simulations, frames):
            _warn(warnings, caution)
        if not moving:
            settings["process"] = settings["process"] or WARM
            return
        if settings["process"] is None or (settings["process"] == IN_ORDER and not settings["chunk"]):
            everything = {"frames": format_frames(frames), "chunk": min(len(frames), CHUNK_MOST), "order": "forward"}
            settings |= {"process": IN_ORDER, **everything}
        if settings["process"] != IN_ORDER:
            _warn(warnings, not_in_order(moving, settings["process"]))
        else:
            _warn(warnings, in_order_by_one(moving) if settings["chunk"] >= len(frames) else in_order_by_many(moving))

    @staticmethod
    def _limit(minutes: float, settings: Mapping[str, Any]) -> float:
        """Return the time limit of an attempt, for each frame of a task that is rendered in order unless the job has chosen
        one: nobody else could render a part of it."""
        if settings["process"] != IN_ORDER or minutes != LIMIT_MINUTES:
            return minutes
        return min(minutes * min(settings["chunk"] or 1, len(parse_frames(settings["frames"]))), MINUTES_MOST)

    @staticmethod
    def _check_size(settings: dict[str, Any], scene: SceneFacts, path: str) -> None:
        percent = settings["resolution"] or scene.percent
        width, height = (size * percent // 100 for size in (scene.width, scene.height))
        if min(width, height) < 1:
            raise BadInput(
                f"{path}: {percent} percent of the size of the scene {scene.name!r}, {scene.width} x {scene.height} pixels, "
                "leaves no picture. Give a higher --resolution, or change it in Blender (Output properties)"
            )
        if scene.border is not None and min(pixels_within(scene.border, width, height)) < 1:
            raise BadInput(
                f"{path}: the render region of the scene {scene.name!r} has no whole pixel of its {width} x {height}, so Blender "
                "renders nothing. Make it larger in Blender (View, View Regions), or switch it off (Output properties)"
            )

    @staticmethod
    def _check_camera(settings: dict[str, Any], scene: SceneFacts, path: str) -> None:
        if settings["camera"] is not None:
            if scene.cameras is not None and settings["camera"] not in scene.cameras:
                there = ", ".join(map(repr, scene.cameras)) or "none"
                raise BadInput(f"{path}: the scene {scene.name!r} has no camera {settings['camera']!r}; it has: {there}")
        elif scene.camera is None and scene.needs_camera:
            raise BadInput(
                f"{path}: the scene {scene.name!r} has no camera, so there is nothing to render it through. "
                "Set one in Blender (Scene properties, Camera), or name one with --camera"
            )

    @staticmethod
    def _check_named_cameras(settings: dict[str, Any], scene: SceneFacts, facts: FileFacts, own: bool) -> None:
        """Check the names of frames that are called after their cameras; *own*: by the scene itself. Raises `BadInput`."""
        pattern, name = settings["pattern"], path_templates.CAMERA
        if not path_templates.names_camera(pattern, facts):
            return
        if settings.get("film"):
            raise BadInput(f"A film has one name, so {name} cannot be in its pattern: give --format PNG for frames alone")
        for camera in (settings["camera"],) if settings["camera"] else marked_cameras(scene) or (scene.camera,):
            if camera is None:
                raise BadInput(
                    f"The output pattern {pattern!r} has {name}, and the scene {scene.name!r} has no camera. Name the files "
                    "with --pattern"
                )
            check_pattern(path_templates.for_frame(pattern, facts, scene, scene.first, camera), own=own)

    @staticmethod
    def _frames(text: str | None, scene: SceneFacts, path: str) -> str:
        if text is not None:
            frame_ranges(text)
            return text
        frames = range(scene.first, scene.last + 1, max(1, scene.step))
        if min(scene.first, scene.last) < FIRST_FRAME or max(scene.first, scene.last) > LAST_FRAME:
            raise BadInput(
                f"{path}: the scene {scene.name!r} goes from frame {scene.first} to {scene.last}, and Blender's frames go from "
                f"{FIRST_FRAME} to {LAST_FRAME}. Give --frames"
            )
        if not frames:
            raise BadInput(
                f"{path}: the scene {scene.name!r} goes from frame {scene.first} to {scene.last}, so it has none. Give --frames"
            )
        return format_frames(frames)

    @staticmethod
    def _format(given: str | None, scene: SceneFacts, warnings: list[str]) -> str:
        if given is not None:
            return given
        if scene.image_format in EXTENSIONS:
            return scene.image_format
        _warn(
            warnings,
            f"The scene {scene.name!r} is set to write {scene.image_format}, which is not a format for single frames; "
            "PNG is written instead. `brender fetch --movie`, or the job's page, makes a film of them",
        )
        return "PNG"


def _denoise_after(settings: dict[str, Any], scene: SceneFacts, path: str) -> None:
    """Set up *settings* for frames that are denoised after they are rendered. Raises `BadInput` where that cannot be."""
    why = "" if settings["view_layers"] else scene.undenoised or ""
    engine = settings["engine"] or engine_word(scene.engine)
    if engine != engine_word("CYCLES"):
        why = f"its engine is {engine}, and only Cycles renders the passes that this needs"
    if any(layers_apart(settings)):
        why = f"each view layer has files of its own, since the pattern has {TEMPLATE}"
    if settings["process"] == IN_ORDER:
        why = "it is rendered in order, by one worker"
    if why:
        raise BadInput(
            f"{path}: frames of the scene {scene.name!r} cannot be denoised after they are rendered: {why}. Leave out "
            "--denoise-after; Blender then denoises as it renders, if the scene asks for it"
        )
    if settings["chunk"] > 1:
        raise BadInput("Frames that are denoised after they are rendered are tasks of their own: leave out --chunk")
    settings["chunk"] = 1


def engine_word(blender_engine: str) -> str:
    """brender's word for what Blender calls *blender_engine*; another engine (an add-on's) keeps its own name."""
    return _ENGINE_WORDS.get(blender_engine, blender_engine)


def own_path(facts: FileFacts, settings: Mapping[str, Any], as_film: bool = False) -> ScenePath:
    """Return where the output path of the scene that *settings* name leads, rendered as they say (`scene_path`). Raises
    `BadInput`."""
    camera, percent = settings.get("camera"), settings.get("resolution")  # not checked yet
    scene = facts.scene(settings.get("scene"))
    return scene_path(
        facts, scene, camera if isinstance(camera, str) else None, percent if type(percent) is int else None, as_film
    )


def said_of_strips(scene: str, outputs: Iterable[str]) -> str:
    """Return what is done otherwise than Blender does with the file-output nodes of *outputs*, which the sequencer of
    *scene* shows."""
    return (
        f"File-output nodes of {', '.join(map(repr, outputs))}, which the sequencer of {scene!r} shows, name no place for the "
        "frame's number: Blender 5 would write the files of all frames to one name, and here they get that scene's frame number"
    )


def _said_of_cameras(facts: FileFacts, scene: SceneFacts, settings: Mapping[str, Any]) -> Iterator[str]:
    """What is done otherwise than Blender does where names have `path_templates.CAMERA` in them, and markers bind several."""
    nodes = sorted({node for node, path in scene.node_paths if path_templates.names_camera(path, facts)})
    if nodes:
        yield (
            f"Files of the file-output nodes {', '.join(map(repr, nodes))} are called after the camera of their own frame; "
            "Blender takes the camera of the frame before"
        )
    if (settings["keep"] or settings["placeholders"]) and path_templates.names_camera(settings["pattern"], facts):
        yield (
            "Frames that are there already, and placeholders, are looked for under the camera of their own frame; Blender "
            "takes the camera of the frame before"
        )


def said_of_range(frames: Ranges, scene: SceneFacts) -> str:
    """Return a sentence about those of *frames* that *scene* does not have in its own range, or "" if it has them all."""
    outside = frames.minus(Ranges([(scene.first, scene.last)] if scene.first <= scene.last else ()))
    if not outside:
        return ""
    named = f"Frame {outside.bounds[0]} is" if len(outside) == 1 else f"The frames {format_ranges(outside)} are"
    renders = "it is" if len(outside) == 1 else "they are"
    return f"{named} outside of the scene's own range, {scene.first}-{scene.last}; {renders} rendered all the same"


def _warn(warnings: list[str], text: str) -> None:
    if text not in warnings:
        warnings.append(text)


JOB_TYPE = BlenderAnimation()

"""The job type ``blender-progressive``: frames of one scene of a .blend, all of them soon with few samples, and then better.

Every frame is rendered first with a share of its samples, so that the whole shot can be watched early. Each pass over the frames
adds another share, until each picture is the one that a plain render would have made. A pass doubles the samples of its frame.
Where a frame may be done before its last pass, passes are equal, so that it ends sooner after it is good enough. A scene whose
shares do not add up to a plain render is drafted with one share, and then rendered as it is.

Task ``p * frames + f`` is pass ``p`` of frame ``f``. Frames that are added to the job follow these, numbered in the same way.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from brender.jobs.animation_stages import called, run_of_added
from brender.jobs.blender_animation import BlenderAnimation, engine_word, said_of_range
from brender.jobs.blender_settings import FILM_SETTINGS, IN_ORDER, SETTINGS, WARM
from brender.jobs.declare import MOMENT, NEXT, ORDER, PICTURE, Setting, check_settings
from brender.jobs.numbering import numbering_of
from brender.jobs.stages import Run, Stage, Wait, in_a_row
from brender.jobs.view_layers import layers_apart
from brender.model.errors import BadInput
from brender.model.frames import frame_ranges, parse_frames
from brender.model.job import JobSpec, PartPlan, SceneFacts, TaskPlan
from brender.model.passes import DOUBLING, DRAFT, SAMPLES, first_share, most_passes, passes_of
from brender.model.simulations import not_baked, not_in_order, other_cautions

#: The passes of a frame by default, equal or doubling: the first takes an eighth of the samples either way.
PASSES, DOUBLING_PASSES = 8, 4
_PASSES_MOST = 64
#: More would make the first pass a sample or two of the thousands that Cycles takes at most in practice.
_DOUBLING_MOST = 16
#: The ranks of frames that are not there yet, and of those whose noise is not known: before all others.
_FIRST, _UNMEASURED = -2e9, -1e9
AUTO = "auto"
#: Said of a noise at which frames are good enough, where they are drafted.
NOISE_OF_DRAFTS = "The noise at which a frame is good enough has no effect: that of a draft is not measured"
REFINEMENTS = (AUTO, DOUBLING, SAMPLES, DRAFT)
_NOT_PROGRESSIVE = {"chunk", "film", "denoise_after", "copy_to", *(setting.name for setting in FILM_SETTINGS)}


class BlenderProgressive(BlenderAnimation):
    name = "blender-progressive"
    label = "Blender animation, progressive"
    settings = (
        *(setting for setting in SETTINGS if setting.name not in _NOT_PROGRESSIVE),
        Setting(
            "passes",
            int,
            "in how many passes each frame gets its samples; they are equal, unless they double",
            lowest=2,
            highest=_PASSES_MOST,
            label="Passes",
            unit="passes",
            group=ORDER,
            without=f"{DOUBLING_PASSES} that double the samples, or {PASSES} equal ones with a noise or a time",
        ),
        Setting(
            "refine",
            str,
            "how a frame gets better from pass to pass",
            default=AUTO,
            choices=REFINEMENTS,
            label="Refine by",
            group=ORDER,
            words=(
                (AUTO, "samples if that is exact, else a draft"),
                (DOUBLING, "each pass doubles the samples"),
                (SAMPLES, "each pass adds the same share of the samples"),
                (DRAFT, "a draft with one share of the samples, then the whole frame"),
            ),
        ),
        Setting(
            "noise",
            float,
            "the noise at which a frame is good enough, measured as the scene's noise threshold is; 0 takes all samples",
            default=0.0,
            lowest=0,
            label="Good enough at noise",
            group=PICTURE,
            words=((0.0, "never: all samples are taken"),),
            edit=NEXT,
        ),
        Setting(
            "until",
            str,
            "when frames stay as good as they are, such as 2026-05-01T08:00+02:00",
            default="",
            label="Refine until",
            form=MOMENT,
            group=ORDER,
            words=(("", "all samples are taken"),),
            edit=NEXT,
        ),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        warnings = list(spec.warnings)
        scene, facts = self._fill_in(spec, settings, warnings)
        if settings["keep"] and not spec.overwrite:
            raise BadInput(
                f"{facts.path}: the scene {scene.name!r} is set to keep files that are there, and a progressive job replaces its "
                "own with better ones. Switch Overwrite on in Blender (Output properties), or give --overwrite"
            )
        settings["keep"] = settings["placeholders"] = False
        settings["frames"] = self._frames(settings["frames"], scene, facts.path)
        frames = sorted(parse_frames(settings["frames"]))
        told = [said_of_range(frame_ranges(settings["frames"]), scene), *self._cautions_of_order(settings, scene, frames)]
        if settings["until"]:
            read_until(settings["until"])
        told.append(self._choose_refinement(settings, scene, facts.path))
        if settings["refine"] == DRAFT and settings["noise"]:
            told.append(NOISE_OF_DRAFTS)
        numbering_of(settings)
        warnings += [each for each in told if each and each not in warnings]
        return msgspec.structs.replace(spec, settings=settings, warnings=tuple(warnings))

    @staticmethod
    def _cautions_of_order(settings: dict[str, Any], scene: SceneFacts, frames: list[int]) -> list[str]:
        """Choose how Blender is used, and return what is to be said of that. Raises `BadInput` where frames must be rendered in
        order, each once."""
        moving = not_baked(scene.simulations, frames)
        if settings["process"] == IN_ORDER or (moving and settings["process"] is None):
            raise BadInput(
                f"The scene {scene.name!r} is rendered in order, each frame once, since something in it simulates that is not "
                "baked, or --process asks for it; a progressive job goes over the frames again and again. Bake the simulations, "
                "or submit a plain job"
            )
        settings["process"] = settings["process"] or WARM
        cautions = list(other_cautions(scene.simulations, frames))
        return [*cautions, not_in_order(moving, settings["process"])] if moving else cautions

    def _choose_refinement(self, settings: dict[str, Any], scene: SceneFacts, path: str) -> str:
        """Choose how frames get better, and return what is to be said of that. Raises `BadInput` where they cannot."""
        engine = settings["engine"] or engine_word(scene.engine)
        if engine not in {"cycles", "eevee"}:
            raise BadInput(
                f"{path}: the engine of the scene {scene.name!r}, {scene.engine}, takes no samples that could be shared out to "
                "passes: submit a plain job"
            )
        samples = settings["samples"] or (scene.samples if engine == engine_word(scene.engine) else None)
        if samples == 1:
            raise BadInput(f"{path}: the scene {scene.name!r} takes one sample a pixel, which cannot be shared out to passes")
        reason = ""
        if settings["refine"] != DRAFT:
            if engine == "eevee":
                reason = "shares of EEVEE's samples do not add up to the same picture"
            else:
                reason = (scene.unshared or "") if engine_word(scene.engine) == "cycles" else ""
            if reason and settings["refine"] == DOUBLING and settings["passes"]:
                # Its first pass is what is drafted: the same share of the samples.
                settings["passes"] = min(first_share(settings), _PASSES_MOST)
            settings["refine"] = DRAFT if reason else self._shares(settings)
        doubles = settings["refine"] == DOUBLING
        passes = settings["passes"] or (DOUBLING_PASSES if doubles else PASSES)
        if doubles and passes > _DOUBLING_MOST:
            raise BadInput(f"{passes} passes, each of which doubles the samples, are more than {_DOUBLING_MOST}: give fewer")
        settings["passes"] = min(passes, most_passes(settings["refine"], samples) if samples else passes)
        return said_of_draft(first_share(settings), reason) if reason else ""

    @staticmethod
    def _shares(settings: dict[str, Any]) -> str:
        """Return how samples are shared out that may be. A frame that may be good enough early gets equal shares: the last of
        shares that double is half of all."""
        if settings["refine"] != AUTO:
            return str(settings["refine"])
        return SAMPLES if settings["passes"] or settings["noise"] or settings["until"] else DOUBLING

    def task_count(self, spec: JobSpec) -> int:
        return passes_of(spec.settings) * numbering_of(spec.settings).task_count

    def part_count(self, spec: JobSpec) -> int:
        settings = spec.settings
        return passes_of(settings) * numbering_of(settings).frame_count * len(layers_apart(settings))

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        settings, frames = spec.settings, numbering_of(spec.settings)
        number, place = _pass_of(settings, index)
        is_last = number == passes_of(settings) - 1
        return TaskPlan(
            index=index,
            parts=tuple(
                PartPlan(
                    frame=frame,
                    output=self._name(spec, frame, layer),
                    scene=settings["scene"],
                    layer=layer,
                    piece=0 if is_last else number + 1,
                )
                for frame in frames.of_task(place)
                for layer in layers_apart(settings)
            ),
        )

    def may_repeat(self, spec: JobSpec) -> bool:
        # The second attempt at a pass would find the picture of the pass before, which it must not replace.
        return False

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        return in_a_row(self._passes(spec.settings))

    @staticmethod
    def _passes(settings: dict[str, Any]) -> Iterator[Run]:
        is_draft = settings["refine"] == DRAFT
        names = ["draft", "frames"] if is_draft else [f"pass {number}" for number in range(1, passes_of(settings) + 1)]
        for number, count in enumerate(numbering_of(settings).run_tasks, start=1):
            for before, name in zip((None, *names), names, strict=False):
                waits = () if before is None else (Wait(called(before, number), by_frame=True),)
                yield run_of_added(number, name, count, *waits)

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        """Return the rank of task *index*: every frame is there first; then the noise of each is measured, by a second share of
        its samples; and then the frame that has most of it is next."""
        number, place = _pass_of(spec.settings, index)
        if number == 0:
            return _FIRST
        noise = next((measured.get(frame) for frame in numbering_of(spec.settings).of_task(place)), None)
        return _UNMEASURED if noise is None else -noise


def are_chosen(settings: Mapping[str, Any]) -> bool:
    """Return whether the passes of a prepared job with these *settings* are those that it has where nobody says which.

    >>> are_chosen({"refine": "samples", "passes": 8, "noise": 0.1, "until": ""}), are_chosen({"refine": "samples", "passes": 6})
    (True, False)
    """
    usual = (SAMPLES, PASSES) if settings.get("noise") or settings.get("until") else (DOUBLING, DOUBLING_PASSES)
    return (settings.get("refine"), settings.get("passes")) == usual


def _pass_of(settings: Mapping[str, Any], index: int) -> tuple[int, int]:
    """Return which pass the task *index* is, from 0, and the place of its frame in the job's numbering."""
    passes, before = passes_of(settings), 0
    for count in numbering_of(settings).run_tasks:
        if index < passes * count:
            number, place = divmod(index, count)
            return number, before + place
        index -= passes * count
        before += count
    raise IndexError("the job has no such task")


def said_of_draft(passes: int, reason: str) -> str:
    """Return what is done where frames cannot be refined, for this *reason*."""
    return f"Each frame is drafted with 1/{passes} of its samples, and then rendered as a whole, which replaces it: {reason}"


def read_until(text: str) -> float:
    """Return the time *text*, in seconds since the epoch. Raises `BadInput`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} is not a time: write one such as 2026-05-01T08:00+02:00") from error
    if found.tzinfo is None:
        raise BadInput(f"The time {text!r} does not say in which time zone: write one such as {text}+02:00")
    return found.timestamp()


def check_until(spec: JobSpec, wall: float) -> None:
    """Raise `BadInput` where the prepared job *spec*, submitted at *wall*, begins when its frames are not refined any more."""
    if spec.job_type != BlenderProgressive.name or not spec.settings.get("until"):
        return
    until = read_until(spec.settings["until"])
    if until <= max(wall, spec.start_at):
        named = f"{datetime.fromtimestamp(until):%Y-%m-%d %H:%M}"
        when = "which is past" if until <= wall else "which is before it starts"
        raise BadInput(
            f"Frames would be refined until {named}, {when}, so each would get its first pass alone: give a later --until, or "
            "`--set until=` for none"
        )


JOB_TYPE: Any = BlenderProgressive()

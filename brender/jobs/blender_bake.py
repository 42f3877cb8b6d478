"""The job type ``blender-bake``: the simulations of a scene are baked by one worker, then the frames are rendered by all.

The bake goes through all frames of the simulations, in order, and keeps what it finds in a copy of the .blend below the job's
output folder. All frames are rendered of that copy, in any order, and a film of them if there is to be one. Each simulation is
baked for the frames that the .blend gives it, whatever frames the job has: those that are added to it later need no other bake.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from brender.jobs.animation_stages import FRAMES
from brender.jobs.blender_animation import BlenderAnimation
from brender.jobs.blender_settings import IN_ORDER, SETTINGS, WARM
from brender.jobs.declare import FILES, Setting
from brender.jobs.numbering import numbering_of
from brender.jobs.stages import Run, Wait
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import BAKE, JobSpec, PartPlan, SceneFacts
from brender.model.simulations import not_baked, other_cautions

#: The folder, below that of the job, with copies of .blends that have their simulations in them.
BAKED = ".baked"
#: Its first stage.
BAKED_FIRST = "bake"
#: What keeps its state in files of its own, which a copy of the .blend does not hold.
_IN_FILES = {"fluid", "baked fluid"}


class BlenderBake(BlenderAnimation):
    name = "blender-bake"
    label = "Blender animation, baked first"
    first_serves_all = True
    """What its first stage makes serves all frames, those too that are added to the job later."""
    settings = (
        *SETTINGS,
        Setting(
            "baked",
            str,
            "the copy of the .blend with the bake",
            default="",
            label="Baked file",
            group=FILES,
            words=(("", "none yet"),),
            hidden=True,
        ),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        spec = super().prepare(spec)
        return replace(spec, settings=spec.settings | {"baked": f"{BAKED}/{spec.id}.blend"})

    def part_count(self, spec: JobSpec) -> int:
        return super().part_count(spec) + 1

    def _parts(self, spec: JobSpec, stage: str, number: int) -> Iterator[PartPlan]:
        if stage != BAKED_FIRST:
            yield from super()._parts(spec, stage, number)
            return
        settings, first = spec.settings, numbering_of(spec.settings).first
        yield PartPlan(frame=first, output=settings["baked"], scene=settings["scene"], piece=BAKE)

    def _runs(self, spec: JobSpec) -> Iterator[Run]:
        yield Run(BAKED_FIRST, 1, of_frames=False)
        for run in super()._runs(spec):
            yield run._replace(after=(Wait(BAKED_FIRST),)) if (run.goes_on or run.name) == FRAMES else run

    @staticmethod
    def _keep_order(settings: dict[str, Any], scene: SceneFacts, warnings: list[str]) -> None:
        """Let the frames be rendered in any order, of what is baked. Raises `BadInput` where nothing can be."""
        frames = sorted(parse_frames(settings["frames"]))
        if settings["process"] == IN_ORDER:
            raise BadInput("Frames whose simulations are baked need no order: leave out --process in-order")
        settings["process"] = settings["process"] or WARM
        if files := [each for each in scene.simulations if each.kind in _IN_FILES and each.baked is None]:
            raise BadInput(f"{files[0].words[0].upper()}{files[0].words[1:]} keeps its cache in files: bake it in Blender")
        if not not_baked(scene.simulations, frames):
            raise BadInput(
                f"The scene {scene.name!r} has no simulation that is still to bake: submit it as blender-animation (leave out "
                "--type)"
            )
        as_baked = [replace(each, baked=each.baked or (each.first, each.last)) for each in scene.simulations]
        warnings += [each for each in other_cautions(as_baked, frames) if each not in warnings]


JOB_TYPE: Any = BlenderBake()

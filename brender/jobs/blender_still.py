"""The job type ``blender-still``: one frame of one scene of a .blend, split over many workers and put together again.

Each task but the last renders one piece: a share of the samples, or a band of the picture. The last waits for them, and makes
the picture of them. How the scene can be split is seen when it is open in Blender, alike on every worker
(brender/engines/inside/split.py); where it cannot be, the last task renders the whole frame.
"""

from typing import Any

import msgspec

from brender.jobs.blender_animation import BlenderAnimation, said_of_range
from brender.jobs.blender_settings import FILM_SETTINGS, IN_ORDER, SETTINGS, WARM
from brender.jobs.copies import checked_target
from brender.jobs.declare import ORDER, WHAT, Setting, check_settings
from brender.jobs.pieces import piece_name
from brender.jobs.stages import Stage, Wait, followed_by
from brender.jobs.view_layers import TEMPLATE
from brender.model.errors import BadInput
from brender.model.job import COPY, JobSpec, PartPlan, SceneFacts, TaskPlan
from brender.model.ranges import Ranges
from brender.model.simulations import not_baked, not_in_order, other_cautions, whole_by_one

_NOT_OF_A_STILL = {"frames", "numbered", "chunk", "order", "film", "denoise_after", *(setting.name for setting in FILM_SETTINGS)}
_PIECES_MOST = 1024
PIECES = 8
SPLITS = ("auto", "samples", "tiles")


class BlenderStill(BlenderAnimation):
    name = "blender-still"
    label = "Blender still, split"
    settings = (
        *(setting for setting in SETTINGS if setting.name not in _NOT_OF_A_STILL),
        Setting(
            "frame",
            int,
            "the frame to render as a still",
            from_file=True,
            lowest=-1_048_574,
            highest=1_048_574,
            label="Frame",
            group=WHAT,
        ),
        Setting(
            "pieces",
            int,
            "how many pieces the picture is split into, each for one worker",
            default=PIECES,
            lowest=1,
            highest=_PIECES_MOST,
            label="Pieces",
            unit="pieces",
            group=ORDER,
        ),
        Setting(
            "split",
            str,
            "how the picture is split",
            default="auto",
            choices=SPLITS,
            label="Split by",
            group=ORDER,
            words=(
                ("auto", "samples if that is exact, else bands"),
                ("samples", "samples"),
                ("tiles", "bands of the picture"),
            ),
        ),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        warnings = list(spec.warnings)
        scene, _ = self._fill_in(spec, settings, warnings)
        if TEMPLATE in settings["pattern"]:
            raise BadInput(f"A still in pieces has one file, so its pattern cannot have {TEMPLATE}: leave --pieces out")
        if settings["frame"] is None:
            settings["frame"] = scene.first if scene.current is None else scene.current
        elif (outside := said_of_range(Ranges([(settings["frame"],) * 2]), scene)) and outside not in warnings:
            warnings.append(outside)
        self._whole_in_order(settings, scene, warnings)
        settings["copy_to"] = checked_target(settings["copy_to"], spec)
        return msgspec.structs.replace(spec, settings=settings, warnings=tuple(warnings))

    @staticmethod
    def _whole_in_order(settings: dict[str, Any], scene: SceneFacts, warnings: list[str]) -> None:
        """Choose how Blender is used where the job does not say: one worker renders all of it, in order, where a simulation is
        not baked."""
        moving = not_baked(scene.simulations, [settings["frame"]])
        cautions = other_cautions(scene.simulations, [settings["frame"]])
        if moving and settings["process"] in {None, IN_ORDER}:
            settings |= {"process": IN_ORDER, "pieces": 1}
            cautions.append(whole_by_one(moving, settings["frame"]))
        elif moving:
            cautions.append(not_in_order(moving, settings["process"]))
        settings["process"] = settings["process"] or WARM
        warnings += [each for each in cautions if each not in warnings]

    def task_count(self, spec: JobSpec) -> int:
        return int(spec.settings["pieces"]) + 1 + bool(spec.settings.get("copy_to"))

    def part_count(self, spec: JobSpec) -> int:
        return self.task_count(spec)

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        settings = spec.settings
        final = self._name(spec, settings["frame"])
        is_piece = index < settings["pieces"]
        part = PartPlan(
            frame=settings["frame"],
            output=piece_name(final, index + 1) if is_piece else final,
            scene=settings["scene"],
            piece=index + 1 if is_piece else COPY if index > settings["pieces"] else 0,
        )
        return TaskPlan(index=index, parts=(part,))

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        stages = followed_by(int(spec.settings["pieces"]), "pieces", "picture", of_frames=True)
        copied = Stage("copy", stages[-1].last_task + 1, 1, (Wait("picture"),))
        return (*stages, copied) if spec.settings.get("copy_to") else stages


JOB_TYPE: Any = BlenderStill()

"""Tools for tests that let the worker's own engine render, without a farm around it."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

from brender.blendfile.facts import inspect
from brender.bus.ids import new_id
from brender.engines.addon_archive import packed_addons
from brender.engines.attempt import Attempt, Courier, Place
from brender.engines.blender import BlenderEngine
from brender.engines.confine import Confinement
from brender.engines.events import AttemptEvent, Cautioned, Ended, PartFinished, Progressed
from brender.engines.life import begin
from brender.engines.publish import Lease
from brender.engines.warm import OPENS_AGAIN, Warmth
from brender.jobs.declare import job_type
from brender.model.addon import AddOn
from brender.model.devices import Device
from brender.model.failure_patterns import FailurePattern
from brender.model.grant import Grant, Order, PartGrant
from brender.model.job import JobSpec
from brender.model.nodes import Blender
from brender.model.paths import PathVariable
from brender.model.views import view_suffixes
from tests.tools import in_blender

_CYCLES = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "CYCLES"
{code}
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""
#: What `cycles_scene` has made in this process.
_made: dict[tuple[Blender, str], bytes] = {}


def cycles_scene(blender: Blender, file: Path, code: str) -> Path:
    """Let *blender* save Blender's own first scene, with Cycles and after *code* has changed ``scene``, as *file*; returns that.
    A scene that was made before is copied."""
    if (blender, code) not in _made:
        in_blender(blender, _CYCLES.format(code=code, file=str(file)), file.parent)
        _made[blender, code] = file.read_bytes()
    else:
        file.write_bytes(_made[blender, code])
    return file


@dataclass
class Outcome:
    """What came of one attempt."""

    events: list[AttemptEvent]
    log: str

    @property
    def ended(self) -> Ended:
        (ended,) = (event for event in self.events if isinstance(event, Ended))
        return ended

    @property
    def parts(self) -> list[PartFinished]:
        return [event for event in self.events if isinstance(event, PartFinished)]

    @property
    def progress(self) -> list[Progressed]:
        return [event for event in self.events if isinstance(event, Progressed)]

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Cautioned)]

    @property
    def was_warm(self) -> bool:
        return "is warm: it has the scene open" in self.log

    @property
    def why_opened(self) -> str:
        """Why it did not find its scene open, as its log says; "" if the log says nothing of that."""
        return next((line.partition(OPENS_AGAIN)[2] for line in self.log.splitlines() if OPENS_AGAIN in line), "")


class _AlwaysHeld(Lease):
    def holds(self, attempt: str) -> bool:
        return True

    def wait(self, attempt: str, seconds: float) -> bool:
        return True


class _Shelf:
    """Has the blobs in *folder*, and brings nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lay_out(self, blob: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._folder / blob, target)


@dataclass
class Studio:
    """A worker's engine with one *blender* that works in *folder*."""

    folder: Path
    blender: Blender
    engine: BlenderEngine
    devices: tuple[Device, ...] = ()
    confinement: Confinement = field(default_factory=Confinement)
    paths: tuple[PathVariable, ...] = ()
    patterns: tuple[FailurePattern, ...] = ()
    made: str = ""
    """The digest of the copy that the job made before."""

    def job(self, file: Path, output: Path, **settings: Any) -> JobSpec:
        """A job of *file* to *output*, as the server would keep it."""
        facts = inspect(file)
        overwrite, trusted = settings.pop("overwrite", False), settings.pop("trusted", False)
        addons = self.brought(settings.pop("addons", ()))
        kind = settings.pop("job_type", "blender-animation")
        spec = JobSpec(
            id=new_id(),
            name=file.stem,
            job_type=kind,
            settings={"file": str(file), **settings},
            output=str(output),
            facts=facts,
            overwrite=overwrite,
            trusted=trusted,
            addons=addons,
        )
        return job_type(kind).prepare(spec)

    def brought(self, paths: Iterable[Path]) -> tuple[AddOn, ...]:
        """The add-ons at *paths*, whose files have come to the worker."""
        with packed_addons(tuple(paths)) as packed:
            self.blobs.mkdir(parents=True, exist_ok=True)
            for each in packed:
                shutil.copyfile(each.blob, self.blobs / each.addon.digest)
            return tuple(each.addon for each in packed)

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @staticmethod
    def saved_by(spec: JobSpec, version: tuple[int, int]) -> JobSpec:
        """*spec*, as if its file had been saved by that version of Blender."""
        assert spec.facts is not None
        return msgspec.structs.replace(spec, facts=msgspec.structs.replace(spec.facts, version=version))

    def begin(self, spec: JobSpec, *tasks: int) -> tuple[Attempt, list[AttemptEvent]]:
        """Start an attempt at *tasks* of the job, all of them as one; its events are heard as they come."""
        kind = job_type(spec.job_type)
        assert spec.facts is not None
        plans = [part for task in tasks for part in kind.task(spec, task).parts]
        scene = spec.facts.scene(spec.settings["scene"])
        parts = tuple(
            PartGrant(id=number + 1, frame=p.frame, output=p.output, piece=p.piece, layer=p.layer, digest=self.made)
            for number, p in enumerate(plans)
        )
        order = Order(
            job=spec.id,
            engine=kind.engine,
            settings=spec.settings,
            output=spec.output,
            blender=spec.facts.version,
            oldest_blender=spec.facts.oldest_blender,
            trusted=spec.trusted,
            addons=spec.addons,
            scene_engine=scene.engine,
            scene_color=(scene.display, scene.view, scene.look),
            inputs=spec.facts.inputs,
            views=view_suffixes(spec),
            overwrite=spec.overwrite,
            paths=self.paths,
            patterns=self.patterns,
        )
        grant = Grant(attempt=new_id(), worker="worker", task=1, job=spec.id, parts=parts)
        events: list[AttemptEvent] = []
        place = Place(self.folder, (self.blender,), _AlwaysHeld(), devices=self.devices, confinement=self.confinement)
        place.courier = cast(Courier, _Shelf(self.blobs))
        attempt = Attempt(grant, order, place, events.append)
        self._life = begin(attempt, self.engine)
        return attempt, events

    def finish(self, attempt: Attempt, events: list[AttemptEvent]) -> Outcome:
        assert self._life.join(120), "the attempt has ended"
        return Outcome(events, attempt.log.path.read_text("utf-8", "replace"))

    def run(self, spec: JobSpec, *tasks: int) -> Outcome:
        """One attempt at *tasks* of the job, to its end."""
        return self.finish(*self.begin(spec, *(tasks or range(job_type(spec.job_type).task_count(spec)))))


@contextmanager
def studio(
    folder: Path,
    blender: Blender,
    warmth: Warmth | None = None,
    devices: tuple[Device, ...] = (),
    confinement: Confinement | None = None,
) -> Iterator[Studio]:
    """A `Studio` that is cleaned up in the end."""
    engine = BlenderEngine(warmth)
    try:
        yield Studio(folder, blender, engine, devices, confinement or Confinement())
    finally:
        engine.close()

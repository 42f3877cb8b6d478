"""What a job is made of: what was asked for, what its file says, and the tasks and parts it is cut into.

All frozen, all plain data, all able to travel (msgspec structs).
"""

from typing import Any

import msgspec

from brender.model.addon import AddOn
from brender.model.beginning import After
from brender.model.errors import BadInput
from brender.model.sharing import Sharing
from brender.model.simulations import Simulation

#: The limits of an attempt where a job names none: an hour without a sign of progress, a day in all.
STALL_MINUTES, LIMIT_MINUTES = 60.0, 1440.0
#: No limit is longer.
MINUTES_MOST = 1e6
PRIORITY_LOWEST, PRIORITY_NORMAL, PRIORITY_HIGHEST = 0, 50, 100
#: A rush job is so much more urgent than its priority: it comes before all that is not.
RUSH = 101


#: The ``piece`` of the part that is the film of all frames of its job.
FILM = -1
#: That of the part that is the .blend with its simulations baked.
BAKE = -2
#: That of the render of a frame that is denoised afterwards.
NOISY = 1
#: That of the part that copies a frame, or the film, to another folder.
COPY = -3


#: How a warning about a file begins that is not there.
MISSING_FILE = "Missing file: "
#: What the warning about a file says that a worker lacks, and that was there when its job was submitted.
MISSING_AT_WORKER = "is not there for the worker"


class MissingFile(msgspec.Struct, frozen=True):
    """A file that a scene names and that is not there. ``is_relative``: it is named by its place beside the .blend."""

    path: str
    used_by: str
    is_relative: bool = False


#: Frames a second of a scene that does not say: Blender's own default.
FPS = 24.0


class LayerFacts(msgspec.Struct, frozen=True):
    """A view layer of a scene, and whether it is rendered."""

    name: str
    use: bool = True


class CameraMarker(msgspec.Struct, frozen=True):
    """A marker of a scene that binds a camera: it is seen through that from this time on."""

    frame: int
    camera: str


class SceneFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a .blend says of one scene. Sizes in pixels, ``percent`` the resolution percentage."""

    name: str
    first: int
    last: int
    step: int = 1
    width: int
    height: int
    percent: int
    engine: str
    image_format: str
    """Blender's own word, such as ``PNG``; a movie format is kept as it is and judged by the job type."""
    output: str = ""
    """The scene's own output path, as Blender writes it."""
    camera: str | None = None
    needs_camera: bool = True
    """False where a sequencer or cameras bound to markers may stand in for the scene's camera."""
    camera_markers: tuple[CameraMarker, ...] = ()
    """Its markers that bind cameras which are rendered, in the scene's order."""
    frame_length: float = 1.0
    """The times of markers that a frame lasts: another than 1 where time is remapped."""
    fps: float = FPS
    """Frames a second."""
    rate: tuple[int, float] | None = None
    """The same, unrounded: frames in so many seconds. ``None``: not known."""
    samples: int | None = None
    """Samples a pixel by its engine's own setting; ``None``: not known."""
    unshared: str | None = None
    """Why shares of its samples do not add up to the same picture, or "" if they do; ``None``: not known. Only Blender tells,
    and of Cycles alone."""
    undenoised: str | None = None
    """Why its frames cannot be denoised after they are rendered, or "" if they can; ``None``: not known. Likewise."""
    current: int | None = None
    """The frame that the scene stood at when it was saved; ``None``: not known."""
    cameras: tuple[str, ...] | None = None
    """The cameras in the scene; ``None``: only Blender could tell."""
    use_extension: bool = True
    """File names get the extension of their format."""
    use_overwrite: bool = True
    """Frames that are there are rendered again; else they are kept as they are."""
    use_placeholder: bool = False
    """An empty file takes a frame's name while it is rendered."""
    node_paths: tuple[tuple[str, str], ...] = ()
    """Of each file that file-output nodes write: the node's name, and the path template. Only Blender tells."""
    is_codestream: bool = False
    """JPEG 2000 is written as a bare codestream, ``.j2c``."""
    display: str = ""
    """With ``view`` and ``look``: the names of its color management, as they were saved, or "" if not known."""
    view: str = ""
    look: str = ""
    container: str = ""
    """What a movie is written into, in Blender's own word, such as ``MPEG4``, or "" if it writes none, or that is not known."""
    splits_movie: bool = False
    """Blender begins another file where the movie has grown large."""
    film_problem: str = ""
    """Why the Blender that read the file cannot write its movie, as a sentence. Only Blender tells."""
    simulations: tuple[Simulation, ...] = ()
    """What simulates in it."""
    layers: tuple[LayerFacts, ...] = ()
    """Its view layers, in their order; none: not known."""
    views: tuple[str, ...] = ()
    """What the name of each view's picture has more, such as ``_L``, in the views' order; none where it is rendered once."""
    views_format: str = ""
    """How pictures have their views, in Blender's own word: ``INDIVIDUAL``, ``STEREO_3D`` or ``MULTIVIEW``."""
    composited: bool = False
    """Its pictures go through nodes of the compositor."""
    border: tuple[float, float, float, float] | None = None
    """The part of the picture that is rendered: its left, right, lower and upper edge, in shares of the picture's size.
    ``None``: all of it, or not known."""
    strip_outputs: tuple[str, ...] = ()
    """Scenes that its sequencer shows and whose file-output nodes say nowhere where the frame's number goes."""


class Inputs(msgspec.Struct, frozen=True):
    """A .blend and the files that it uses, as they were at one time."""

    digest: str = ""
    """Of their names, sizes, inodes and times of change, or "" if that is not known."""


class FileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a .blend says of itself, read without Blender."""

    path: str
    version: tuple[int, int]
    """The Blender that saved it, such as ``(5, 0)``."""
    oldest_blender: tuple[int, int, int] | None = None
    """The oldest Blender that may open it, by its own word: major, minor, file subversion. ``None``: the one that saved it."""
    active_scene: str
    scenes: tuple[SceneFacts, ...]
    cameras: tuple[str, ...] = ()
    missing: tuple[MissingFile, ...] = ()
    inputs: Inputs = Inputs()
    needs_trust: tuple[str, ...] = ()
    """The texts and drivers in it that do not run unless the job is trusted, in words for a person."""
    size: int = 0
    """Bytes on disk."""

    def scene(self, name: str | None) -> SceneFacts:
        """Return the scene called *name*, the active one for ``None``. Raises `BadInput` with the names there are."""
        wanted = name or self.active_scene
        for scene in self.scenes:
            if scene.name == wanted:
                return scene
        raise BadInput(f"{self.path} has no scene {wanted!r}; it has: {', '.join(repr(s.name) for s in self.scenes)}")


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A job as submitted. ``id`` is chosen by the submitter, so that a repeated submit is the same job."""

    id: str
    name: str
    job_type: str
    settings: dict[str, Any] = {}
    project: str = "default"
    user: str = ""
    priority: int = PRIORITY_NORMAL
    tags: tuple[str, ...] = ()
    """What a worker must have beyond what the job type itself asks for."""
    output: str = ""
    """The folder, absolute, that the job's files go to. It belongs to the job."""
    made_output: bool = False
    """That folder was made for it, or is not there yet, and goes when it is empty and nothing of the job needs it any more."""
    made_above: int = 0
    """How many of the folders that it lies in were made for it too, and go with it as long as they are empty."""
    trusted: bool = False
    """Scripts inside the .blend may run."""
    overwrite: bool = False
    """Frames that are there already are rendered again."""
    bundle: str = ""
    """Its files travel: the digest of their list (brender.model.bundle), in which the setting ``file`` is a path. "": every
    worker finds them where they are."""
    addons: tuple[AddOn, ...] = ()
    """The Blender add-ons that are enabled for it. The server adds those that the farm has for all jobs."""
    site_addons: bool = True
    """The farm's own add-ons are added when it is accepted."""
    of_render: bool = False
    """`brender render` submitted it, and waits for it."""
    paused: bool = False
    after: tuple[After, ...] = ()
    """The jobs that it waits for, by their ids; as submitted, by their names or what their ids begin with."""
    start_at: float = 0.0
    """Nothing of it starts before this time, in seconds since the epoch; 0: any time."""
    night: bool = False
    """Nothing of it starts but at night, by the hours that the farm's server has for that."""
    stall_minutes: float = STALL_MINUTES
    """An attempt that shows no sign of progress (no output of its program, no frame) for so long is ended; 0: never."""
    limit_minutes: float = LIMIT_MINUTES
    """An attempt that runs for so long is ended; 0: never."""
    sharing: Sharing = Sharing()
    """How it shares the farm with others."""
    facts: FileFacts | None = None
    warnings: tuple[str, ...] = ()


class PartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a task: a frame and the file that it becomes (relative to the job's output folder; "" for none). ``piece``
    counts the pieces of a still from 1; 0 is a whole frame, `FILM` the film of all, `BAKE` the bake of what simulates. Of a frame
    that is denoised after it was rendered, `NOISY` is the render. `COPY` is a copy of the file ``output``."""

    frame: int
    output: str = ""
    scene: str = ""
    layer: str = ""
    view: str = ""
    piece: int = 0


class TaskPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a job, before it has an id."""

    index: int
    parts: tuple[PartPlan, ...]


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker must have to run a task of a job."""

    job_type: str
    tags: frozenset[str] = frozenset()
    blender: tuple[int, int] | None = None
    """Needs a Blender that can read a file saved by this version; ``None``: needs none."""
    oldest_blender: tuple[int, int, int] | None = None
    """The oldest Blender that may open that file (major, minor, file subversion); ``None``: the one that saved it."""
    series: tuple[int, int] | None = None
    """The series of Blender that renders all of it; ``None``: none is chosen yet."""
    bounding: tuple[AddOn, ...] = ()
    """Those of its add-ons that say which Blenders may render it (`brender.model.addon.bounding`)."""
    program: str = ""
    """Needs to be let run this program, or "" if it runs Blender alone."""
    further_programs: tuple[str, ...] = ()
    """And these."""
    trusted: bool = False
    """Needs to be let run the scripts in its .blend."""
    addons: bool = False
    """Needs to be let run add-ons."""
    site_addons: bool = False
    """Some of these are the farm's own."""
    variables: frozenset[str] = frozenset()
    """The path variables whose folders it must have."""
    reads: tuple[str, ...] = ()
    """The files, with path variables, that it must be let read; none where files travel."""
    writes: tuple[str, ...] = ()
    """The folders, likewise, that it must be let write to."""
    licences: tuple[str, ...] = ()
    """The licences that each task takes one of. (Any worker has them, as long as the farm has one left.)"""
    pool: str = ""
    """The pool that the job belongs to: its workers prefer it. (Others can run it too.)"""
    cores: int = 0
    """The cores that each task reserves of a machine; 0: none."""
    gpu_memory: int = 0
    """The bytes of memory that each task reserves of a worker's GPUs, of each of them; 0: none."""

    @property
    def reserves(self) -> bool:
        """Whether tasks reserve cores or GPU memory."""
        return self.cores > 0 or self.gpu_memory > 0


def check_limits(spec: JobSpec) -> None:
    """Raises `BadInput` where the time limits of *spec* make no sense."""
    for name, minutes in (("stall", spec.stall_minutes), ("time", spec.limit_minutes)):
        if not 0 <= minutes <= MINUTES_MOST:
            raise BadInput(f"The {name} limit of {minutes:g} minutes makes no sense: give 0 (no limit) or more")


def check_priority(value: object) -> int:
    """Return *value*, if it is a priority. Raises `BadInput`."""
    if type(value) is not int or not PRIORITY_LOWEST <= value <= PRIORITY_HIGHEST:
        raise BadInput(f"The priority {value!r} is not a whole number from {PRIORITY_LOWEST} to {PRIORITY_HIGHEST}")
    return value

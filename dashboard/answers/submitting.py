"""What the JSON API answers about submitting: files, and what a .blend says of itself."""

import msgspec

from brender.model.job import FileFacts, MissingFile, SceneFacts
from dashboard.answers.farm import SettingDeclared


class Entry(msgspec.Struct):
    name: str
    path: str
    is_folder: bool
    size: int


class Folder(msgspec.Struct):
    folder: str
    files: list[Entry]


class SceneTold(SceneFacts, frozen=True, kw_only=True):
    """``engine_word``: the engine as job settings name it."""

    engine_word: str


class MissingTold(MissingFile, frozen=True, kw_only=True):
    """``path``: as Blender writes it, for a file of an upload; ``place``: where it belongs in the upload ("": nowhere there)."""

    place: str


class FileTold(FileFacts, frozen=True, kw_only=True):
    """``preview``: whether the file has a preview picture; ``formats``: what frames can be written as."""

    scenes: tuple[SceneTold, ...]
    missing: tuple[MissingTold, ...]
    formats: list[str]
    preview: bool


class TemplateTold(msgspec.Struct):
    """``settings``: the parameters of the template."""

    name: str
    settings: list[SettingDeclared]


class Uploaded(msgspec.Struct):
    upload: str
    blends: list[str]


class Room(msgspec.Struct):
    bytes: int


class Offered(msgspec.Struct):
    """``lacks``: the paths of those files that have to be uploaded."""

    upload: str
    lacks: list[str]


class Submitted(msgspec.Struct):
    """``frames``: its parts (pieces of a still, and the film, are counted too); ``what``: the same in words. ``warnings``: what
    its submitter should know, such as that no worker which is connected now can run it, and why; it is accepted all the same."""

    id: str
    name: str
    status: str
    tasks: int
    frames: int
    what: str
    output: str
    warnings: list[str]


class EstimatedTime(msgspec.Struct):
    """Seconds until a job is done where nothing else is rendered: probably ``seconds`` (``words``), mostly between ``least`` and
    ``most`` (``bounds``; "": near to it), by so many ``shots``: earlier jobs, of the ``same_file`` or like it, of ``one_frame``
    each or of more."""

    seconds: float
    least: float
    most: float
    words: str
    bounds: str
    shots: int
    same_file: bool
    one_frame: bool


class Estimated(msgspec.Struct):
    """``unit``: what the ``frames`` are (frame, piece, film or run); ``output``: the folder ("": the farm keeps the frames);
    ``time``: ``null`` where earlier jobs do not tell."""

    frames: int
    unit: str
    tasks: int
    is_elastic: bool
    output: str
    workers: int
    warnings: list[str]
    owner: str | None
    time: EstimatedTime | None

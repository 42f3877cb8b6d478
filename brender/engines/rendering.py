"""How a frame becomes a file: rendered to a plain name in scratch, then on the one way of all files (`FramePath`)."""

import contextlib
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, FolderRefused
from brender.engines.color import color_refusal, color_warnings, read_remarks
from brender.engines.directories import Signature
from brender.engines.environment import clean_environment
from brender.engines.events import Cautioned, PartFinished, Pictured
from brender.engines.frame_path import FramePath, Seen, explained
from brender.engines.further_files import Further, Gathered
from brender.engines.job_files import baked_file, check_there
from brender.engines.neighbours import Neighbours
from brender.engines.ocio import environment_of, own_configuration
from brender.engines.picture_reader import PictureReader
from brender.engines.pictures import BadPicture, Picture
from brender.engines.resume import NOTED, note_for
from brender.engines.session import Session, shader_cache
from brender.engines.thumbnails import Thumbnails
from brender.engines.views import own_picture, picture_path
from brender.engines.warm import Keeper, WarmScene
from brender.jobs.blender_animation import said_of_strips
from brender.jobs.film import film_request
from brender.model.grant import FurtherFile, PartGrant
from brender.model.job import MISSING_AT_WORKER, MISSING_FILE
from brender.model.nodes import Blender
from brender.model.paths import BUILT_IN, foreign, places, platform_of
from brender.model.views import other_views
from brender.system.removal import remove_tree

#: Further files of one frame: each is held open until all are published.
_MOST_FURTHER = 400
_STAYING = "Frames that were there already stay as they are: the scene overwrites nothing (--overwrite renders them again)"
_KEPT = "Frames that were there already, of this file with these settings, are kept (--overwrite renders them again)"


@dataclass
class Rendering:
    """An attempt and its Blender, which starts when it is first needed. A context: what fails in it ends that Blender."""

    attempt: Attempt
    keeper: Keeper
    thumbnails: Thumbnails
    reader: PictureReader
    neighbours: Neighbours
    blender: Blender
    note: str = ""
    files: FramePath = field(init=False)
    found: dict[int, Signature | None] = field(default_factory=dict, init=False)
    """What was there for each part when the attempt began (`signature`)."""
    _open: WarmScene | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.files = FramePath(self.attempt, self.reader)
        self._check_places()
        folder = Path(self.attempt.order.output)
        named = [part for part in self.attempt.grant.parts if part.output]
        self.found = {part.id: self.files.signature(folder / part.output) for part in named}
        with contextlib.suppress(OSError):
            # Where the file is not there, opening it says so better.
            order = self.attempt.order
            told = self.settings | ({"trusted": True} if order.trusted else {})  # scripts may change what is on it
            told |= {"addons": sorted(addon.digest for addon in order.addons)} if order.addons else {}
            self.note = note_for(told, self.file, order.inputs, order.bundle)

    @property
    def settings(self) -> dict[str, Any]:
        return self.attempt.order.settings

    @property
    def file(self) -> Path:
        """The .blend: of a job that bakes first, the one with the bake."""
        if baked := self.settings.get("baked"):
            order = self.attempt.order
            return baked_file(Path(self.settings["file"]), order.job) if order.bundle else Path(order.output, baked)
        return Path(self.settings.get("file") or "")

    def __enter__(self) -> "Rendering":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        scene, self._open = self._open, None
        if scene is None:
            return
        if kind is None and self.settings.get("process") == "warm":
            try:
                self.keeper.give_back(scene)
            except BaseException:
                scene.session.close(wait=True)
                raise
        else:
            scene.session.close(wait=True)

    def _check_places(self) -> None:
        """Raise `FolderRefused` where a file that the job names lies where this worker's owner allows none."""
        if self.attempt.order.bundle:
            return
        named = [
            ("The job's file", self.settings.get("file") or ""),
            ("The job's OCIO configuration", self.settings.get("ocio") or ""),
            ("The job's sound", self.settings.get("sound") or ""),
        ]
        for what, name in named:
            refusal = self.attempt.place.confinement.refusal(what, name, to_read=True)
            if name and not name.startswith(BUILT_IN) and refusal:
                raise FolderRefused(refusal)

    @contextlib.contextmanager
    def scratch(self, session: Session) -> Iterator[Path]:
        """A new folder that *session* writes to, for the length of the block."""
        folder = session.folder / f"{self.attempt.grant.attempt}.frame"
        remove_tree(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)

    def scene(self) -> WarmScene:
        """Return the session with the scene open."""
        if self._open is None:
            attempt = self.attempt
            check_there(self.file, attempt)
            process = self.settings["process"]
            fresh = "" if process == "warm" else f"the job asks for a new Blender (--process {process})"
            self._open = self.keeper.take(attempt, self.blender, self._environment(), self._request(), fresh)
            if device := self._open.opened["device"]:
                gpus = ", ".join(f"{gpu.name} ({gpu.kind})" for gpu in attempt.place.devices)
                attempt.log.say(f"rendering on {gpus if device == 'GPU' else 'the CPU'}{self._open.opened['forgets']}")
            for warning in self._open.opened["warnings"]:
                attempt.emit(Cautioned(warning, subject=warning))
            if strips := self._open.opened["strip_outputs"]:
                text = said_of_strips(self.settings["scene"], strips)
                attempt.emit(Cautioned(text, subject=text))
            for path, use in self._open.opened["missing"]:
                text = f"{MISSING_FILE}{path} ({use}) {MISSING_AT_WORKER}; what needs it renders without it"
                attempt.emit(Cautioned(text, subject=self._as_submitted(path)))
            self._check_colors(self._open)
        return self._open

    def _configuration(self) -> str:
        """Return the OCIO configuration that the job names, "" for the worker's own. Raises `AttemptFailed` where it is not
        here."""
        name = str(self.settings.get("ocio") or "")
        if name and not name.startswith(BUILT_IN) and not Path(name).is_file():
            raise AttemptFailed(
                f"The job's OCIO configuration {name} is not there for the worker: put it where all workers see it, or send it "
                "with the job (--send)"
            )
        return name

    def _check_colors(self, scene: WarmScene) -> None:
        """Tell what the Blender of *scene* does not know of its colors. Raises `AttemptFailed` where they would be wrong."""
        remarks = read_remarks(scene.opened["color_lines"])
        saved, label, name = self.attempt.order.scene_color, self.blender.label, self._configuration()
        if refusal := color_refusal(remarks, self.settings["scene"], saved, self.settings["format"], label, name):
            raise AttemptFailed(refusal)
        warnings = color_warnings(remarks, saved, scene.opened["without_color_space"], label)
        if not (name or remarks.errors) and (own := own_configuration()):
            warnings.append(f"The job names no OCIO configuration; rendered with the worker's own, {own}")
        for warning in warnings:
            self.attempt.emit(Cautioned(warning, subject=warning))

    def _frames_in_order(self) -> list[int]:
        """Return the frames that the attempt asks for, where all that comes before each must happen first; else none."""
        parts = self.attempt.grant.parts if self.settings["process"] == "in-order" else ()
        return [part.frame for part in parts if part.piece == 0]

    def _as_submitted(self, path: str) -> str:
        """Return the part of *path* that is the same where the job was submitted: of laid-out files that below their folder."""
        files = self.attempt.place.job_folder(self.attempt.order.job) / "files"
        inside = self.attempt.order.bundle and Path(path).is_relative_to(files)
        return str(Path(path).relative_to(files)) if inside else path

    def bare_session(self) -> Session:
        """Return a new session with nothing open; the caller closes it."""
        threads = self.settings["threads"] or self.attempt.place.threads
        return self.keeper.begin(self.attempt, self.blender, self._environment(), threads)

    def size(self) -> tuple[int, int] | None:
        """Width and height that frames have; ``None`` where that is not known before."""
        size = self.scene().opened["size"]
        return (size[0], size[1]) if size else None

    def verified(self, final: Path, size: tuple[int, int] | None, small: bool = False) -> Seen | None:
        """Return what the picture *final* holds, if it is there, and a good one of that *size*."""
        try:
            return self.files.look_at(final, size, small)
        except BadPicture:
            return None

    def frame_done(self) -> None:
        """A job that wants each frame cold gets a new Blender for the next one."""
        if self.settings["process"] == "cold" and self._open is not None:
            self._open.session.rest()
            self._open.session.close(wait=True)
            self._open = None

    def roots(self) -> Any:
        """Return which beginnings of paths in the .blend are others on this machine."""
        paths, site = self.attempt.order.paths, self.attempt.place.site
        return foreign(paths, places(paths, platform_of(platform.system()), site))

    def _environment(self) -> dict[str, str]:
        place = self.attempt.place
        # In a sandbox nothing is kept from one Blender to the next: it could be prepared for it.
        kept = {} if place.confinement.sandbox else shader_cache(place.folder / "cache" / "shaders")
        own = {**kept, **place.env}
        return clean_environment({**own, **environment_of(self._configuration())})

    def _request(self) -> dict[str, Any]:
        settings, order = self.settings, self.attempt.order
        same = ("file", "scene", "camera", "engine", "resolution", "samples", "format", "persistent")
        return {
            **{name: settings[name] for name in same},
            "file": str(self.file),
            "view_layers": settings.get("view_layers"),
            "layers_apart": any(part.layer for part in self.attempt.grant.parts),
            "trusted": order.trusted,
            "addons": [addon.digest for addon in order.addons],
            "denoise_after": bool(settings.get("denoise_after")),
            "wanted_engine": order.scene_engine,
            "threads": settings["threads"] or self.attempt.place.threads,
            "in_order": self._frames_in_order(),
            "note": self.note,
            "device": settings["device"],
            "ocio": self._configuration(),
            "roots": self.roots(),
            "film": film_request(settings) if settings.get("film") else None,
            "gpus": [[device.kind, device.id] for device in self.attempt.place.devices],
        }


def keep_as_it_is(rendering: Rendering, part: PartGrant, final: Path) -> bool:
    """Return whether the frame is there already and stays, whatever it is, since the scene overwrites nothing: then it is
    done. An empty file is not a frame but a placeholder."""
    attempt = rendering.attempt
    if part.piece or not _stays(rendering, final):
        return False
    others = {name: Path(attempt.order.output) / name for name in other_views(part.output, attempt.order.views)}
    if not all(map(rendering.files.holds_something, others.values())):
        return False
    seen = _as_it_is(rendering, final, small=True)
    beside = {name: _as_it_is(rendering, path) for name, path in others.items()}
    attempt.log.say(f"frame {part.frame} is there already, and the scene overwrites nothing: {final}")
    attempt.emit(Cautioned(_STAYING, subject=_STAYING))
    further_files = tuple(FurtherFile(output=name, size=each.size, digest=each.digest) for name, each in beside.items())
    strange = tuple(chain(seen.picture.warnings, *(each.picture.warnings for each in beside.values())))
    told = replace(seen, picture=replace(seen.picture, warnings=strange))
    attempt.emit(replace(finished(part, 0.0, told), kept=True, further_files=further_files))
    make_thumbnail(rendering, part, seen)
    return True


def _as_it_is(rendering: Rendering, path: Path, small: bool = False) -> Seen:
    """Return the picture at *path*, which stays; where that cannot be read, a warning says so."""
    try:
        return rendering.files.look_at(path, None, small)
    except BadPicture as error:
        warning = f"stays as it is, and is not a picture: {path} ({error}). --overwrite renders it again"
        try:
            with rendering.files.opened(path) as file:
                size, digest = os.fstat(file.descriptor).st_size, rendering.files.digest(file.descriptor)
        except BadPicture:
            size, digest = 0, ""
        return Seen(Picture(0, 0, (warning,)), size, digest, lambda: None)


def _stays(rendering: Rendering, final: Path) -> bool:
    keeps = not rendering.attempt.order.overwrite and rendering.settings.get("keep")
    return bool(keeps) and rendering.files.holds_something(final)


def stands(rendering: Rendering, final: Path) -> bool:
    """Return whether the file *final* is there already and may be kept."""
    return _stays(rendering, final) or (_is_the_same(rendering, final) and rendering.verified(final, None) is not None)


def _is_the_same(rendering: Rendering, final: Path) -> bool:
    """Return whether the file *final* was rendered by brender, of the same file with the same settings, and the job may keep
    it."""
    if rendering.attempt.order.overwrite or not rendering.note or final.suffix not in NOTED:
        return False
    try:
        with rendering.files.opened(final) as file:
            return bool(rendering.files.ask("notes", [file], note=rendering.note)["carries"][0])
    except BadPicture:
        return False


def keep_standing(rendering: Rendering, part: PartGrant, final: Path) -> bool:
    """Return whether the frame is there already, and good: then it is done."""
    attempt, there = rendering.attempt, rendering.files.signature(final)
    if there is None:
        return False
    came_meanwhile = there != rendering.found[part.id]  # by another attempt at the same task
    output = Path(attempt.order.output)
    own = [final, *(output / name for name in other_views(part.output, attempt.order.views))]
    if not (came_meanwhile or all(_is_the_same(rendering, each) for each in own)):
        return False
    size = rendering.size() if came_meanwhile else None
    seen = [rendering.verified(each, size, small=each is final) for each in own]
    good = [each for each in seen if each is not None]
    if len(good) != len(own):
        rendering.found[part.id] = there  # it is to be replaced, no matter what put it there
        return False
    attempt.log.say(f"frame {part.frame} is there already: {final}")
    if not came_meanwhile:
        attempt.emit(Cautioned(_KEPT, subject=_KEPT))
    others = zip(own[1:], good[1:], strict=True)
    further_files = tuple(
        FurtherFile(output=path.relative_to(output).as_posix(), size=each.size, digest=each.digest) for path, each in others
    )
    attempt.emit(replace(finished(part, 0.0, good[0]), kept=True, further_files=further_files))
    make_thumbnail(rendering, part, good[0])
    return True


def render_part(
    rendering: Rendering,
    part: PartGrant,
    final: Path,
    index: int,
    asked: Mapping[str, Any] | None = None,
    draft: Mapping[str, Any] | None = None,
) -> None:
    """Render the frame, verify it, publish it as *final*. *asked* is what the driver is asked to do beyond rendering it whole,
    *draft* how it is drafted.

    *index*: how many parts of the attempt came before. Raises `AttemptFailed` or `AttemptStopped`.
    """
    attempt, files, views = rendering.attempt, rendering.files, rendering.attempt.order.views
    share = 1 / len(attempt.grant.parts)
    size, session = rendering.size(), rendering.scene().session
    whole = asked is None
    placeholder = bool(rendering.settings.get("placeholders")) and whole and not files.holds_something(final)
    with contextlib.ExitStack() as undo:
        scratch = undo.enter_context(rendering.scratch(session))
        if placeholder:
            undo.enter_context(files.held(final))
        to = picture_path(scratch, final)
        to.parent.mkdir()
        wanted = {"gather": str(scratch), "layer": part.layer, **(draft or {})} if asked is None else asked
        rendered = session.render(part.frame, to, index * share, share, wanted)
        own = own_picture(to, views) if whole else to
        further: list[Further] = []
        if whole:
            gathered = Gathered(files, session.folder, part)
            for each in chain(gathered.pictures(to, own, size), gathered.of_nodes(rendered.written)):
                undo.enter_context(each.staged)
                further.append(each)
                if len(further) > _MOST_FURTHER:
                    raise AttemptFailed(f"Frame {part.frame} has more than {_MOST_FURTHER} further files", permanent=True)
        with explained(f"Frame {part.frame}"):
            staged = undo.enter_context(files.stage(own, session.folder, final))
            seen = files.look(staged, size, whole and rendering.scene().opened["filled"], small=whole)
        if whole and not seen.picture.warnings:
            strange = rendering.neighbours.warning(attempt.order.job, part.layer, part.frame, seen.picture.empty)
            seen = replace(seen, picture=replace(seen.picture, warnings=(strange,) if strange else ()))
        for each in further:
            files.publish(each.staged, each.staged.directory.signature(each.staged.name))
        files.publish(staged, rendering.found[part.id])
    rendering.frame_done()
    attempt.log.say(f"frame {part.frame} in {rendered.seconds:.2f} seconds: {final}")
    for each in further:
        attempt.log.say(f"with it: {each.staged.path}")
    done = finished(part, rendered.seconds, seen, rendered.memory)
    attempt.emit(replace(done, further_files=tuple(each.file for each in further)))
    if whole:
        make_thumbnail(rendering, part, seen)


def finished(part: PartGrant, seconds: float, seen: Seen, memory: int = 0) -> PartFinished:
    """Return the event that the part is done, with what is to be known of its file."""
    picture = seen.picture
    return PartFinished(
        part=part.id,
        seconds=seconds,
        output=part.output,
        size=seen.size,
        width=picture.width,
        height=picture.height,
        warnings=() if part.piece else tuple(f"Frame {part.frame} {text}" for text in picture.warnings),
        memory=memory,
        digest=seen.digest,
    )


def make_thumbnail(rendering: Rendering, part: PartGrant, seen: Seen) -> None:
    """Let there be a small picture of the part, where there is one of what was *seen*."""
    attempt = rendering.attempt
    path = attempt.place.folder / "thumbnails" / f"{attempt.grant.attempt}-{part.id}.jpg"
    rendering.thumbnails.make(seen.small, path, lambda made: attempt.emit(Pictured(part.id, made)))

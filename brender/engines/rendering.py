"""How a frame becomes a file: rendered under a temporary name, verified, flushed, published under its own."""

import contextlib
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, AttemptStopped
from brender.engines.color import color_refusal, color_warnings, read_remarks
from brender.engines.environment import clean_environment
from brender.engines.events import Cautioned, PartFinished, Pictured
from brender.engines.further_files import Further, extras_of_nodes, gathering_folder, move
from brender.engines.ocio import BUILT_IN, environment_of, own_configuration
from brender.engines.pictures import BadPicture, Picture, verify
from brender.engines.publish import Published, flush, publish, signature
from brender.engines.resume import carries, note_for, verified
from brender.engines.session import Session, shader_cache
from brender.engines.thumbnails import Thumbnails
from brender.engines.views import further_pictures, own_picture, picture_path, standing_views
from brender.engines.warm import Keeper, WarmScene
from brender.jobs.blender_animation import said_of_strips
from brender.model.grant import Extra, PartGrant
from brender.model.naming import temporary_name
from brender.model.nodes import Blender
from brender.model.paths import foreign, places, platform_of
from brender.model.views import other_views

_LEASE_LOOK_SECONDS = 0.5
_STAYING = "Frames that were there already stay as they are: the scene overwrites nothing (--overwrite renders them anew)"
_KEPT = "Frames that were there already, of this file with these settings, are kept (--overwrite renders them anew)"


@dataclass
class Rendering:
    """An attempt and its Blender, which starts when it is first needed. A context: what fails in it ends that Blender."""

    attempt: Attempt
    keeper: Keeper
    thumbnails: Thumbnails
    blender: Blender
    note: str = ""
    found: dict[int, tuple[int, int, int] | None] = field(default_factory=dict, init=False)
    """What was there for each part when the attempt began (`signature`)."""
    _open: WarmScene | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        folder = Path(self.attempt.order.output)
        self.found = {part.id: signature(folder / part.output) for part in self.attempt.grant.parts}
        with contextlib.suppress(OSError):
            # Where the file is not there, opening it says so better.
            order = self.attempt.order
            told = self.settings | ({"trusted": True} if order.trusted else {})  # scripts may change what is on it
            self.note = note_for(told, self.file, order.inputs, order.bundle)

    @property
    def settings(self) -> dict[str, Any]:
        return self.attempt.order.settings

    @property
    def file(self) -> Path:
        return Path(self.settings["file"])

    def __enter__(self) -> "Rendering":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        scene, self._open = self._open, None
        if scene is None:
            return
        if kind is None and self.settings["process"] == "warm":
            try:
                self.keeper.give_back(scene)
            except BaseException:
                scene.session.close(wait=True)
                raise
        else:
            scene.session.close(wait=True)

    def scene(self) -> WarmScene:
        """The session with the scene open."""
        if self._open is None:
            attempt = self.attempt
            self._open = self.keeper.take(
                attempt, self.blender, self._environment(), self._request(), fresh=self.settings["process"] != "warm"
            )
            for warning in self._open.opened["warnings"]:
                attempt.emit(Cautioned(warning, subject=warning))
            if strips := self._open.opened["strip_outputs"]:
                text = said_of_strips(self.settings["scene"], strips)
                attempt.emit(Cautioned(text, subject=text))
            for path, use in self._open.opened["missing"]:
                text = f"Missing file: {path} ({use}) is not there for the worker; what needs it renders without it"
                attempt.emit(Cautioned(text, subject=self._as_submitted(path)))
            self._check_colors(self._open)
        return self._open

    def _configuration(self) -> str:
        """The OCIO configuration that the job names, "" for the worker's own. Raises `AttemptFailed` where it is not here."""
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
        """The frames that the attempt asks for, where all that comes before each must happen first; else none."""
        parts = self.attempt.grant.parts if self.settings["process"] == "in-order" else ()
        return [part.frame for part in parts if part.piece == 0]

    def _as_submitted(self, path: str) -> str:
        """Return the part of *path* that is the same where the job was submitted: of laid-out files that below their folder."""
        files = self.attempt.place.job_folder(self.attempt.order.job) / "files"
        inside = self.attempt.order.bundle and Path(path).is_relative_to(files)
        return str(Path(path).relative_to(files)) if inside else path

    def bare_session(self) -> Session:
        """A new session with nothing open; whoever asks for it closes it."""
        threads = self.settings["threads"] or self.attempt.place.threads
        return self.keeper.begin(self.attempt, self.blender, self._environment(), threads)

    def size(self) -> tuple[int, int] | None:
        """Width and height that frames have; ``None`` where that is not known before."""
        size = self.scene().opened["size"]
        return (size[0], size[1]) if size else None

    def frame_done(self) -> None:
        """A job that wants each frame cold gets a new Blender for the next one."""
        if self.settings["process"] == "cold" and self._open is not None:
            self._open.session.rest()
            self._open.session.close(wait=True)
            self._open = None

    def roots(self) -> Any:
        """Which beginnings of paths in the .blend are others on this machine."""
        paths, site = self.attempt.order.paths, self.attempt.place.site
        return foreign(paths, places(paths, platform_of(platform.system()), site))

    def _environment(self) -> dict[str, str]:
        place = self.attempt.place
        own = {**shader_cache(place.folder / "cache" / "shaders"), **place.env}
        return clean_environment({**own, **environment_of(self._configuration())})

    def _request(self) -> dict[str, Any]:
        settings, order = self.settings, self.attempt.order
        same = ("file", "scene", "camera", "engine", "resolution", "samples", "format", "persistent")
        return {
            **{name: settings[name] for name in same},
            "view_layers": settings.get("view_layers"),
            "trusted": order.trusted,
            "wanted_engine": order.scene_engine,
            "threads": settings["threads"] or self.attempt.place.threads,
            "in_order": self._frames_in_order(),
            "note": self.note,
            "device": settings["device"],
            "ocio": self._configuration(),
            "roots": self.roots(),
            "film": bool(settings.get("film")),
            "gpus": [[device.kind, device.id] for device in self.attempt.place.devices],
        }


def keep_as_it_is(rendering: Rendering, part: PartGrant, final: Path) -> bool:
    """Whether the frame is there already and stays, whatever it is, since the scene overwrites nothing: then it is done. An empty
    file is not a frame but a placeholder."""
    attempt = rendering.attempt
    if part.piece or not _stays(rendering, final):
        return False
    others = {name: Path(attempt.order.output) / name for name in other_views(part.output, attempt.order.views)}
    if not all(map(_holds_something, others.values())):
        return False
    picture = _as_it_is(final)
    strange = chain(picture.warnings, *(_as_it_is(path).warnings for path in others.values()))
    attempt.log.say(f"frame {part.frame} is there already, and the scene overwrites nothing: {final}")
    attempt.emit(Cautioned(_STAYING, subject=_STAYING))
    extras = tuple(Extra(output=name, size=path.stat().st_size) for name, path in others.items())
    told = replace(picture, warnings=tuple(strange))
    attempt.emit(replace(finished(part, 0.0, final.stat().st_size, told, 0), kept=True, extras=extras))
    make_thumbnail(rendering, part, picture.image)
    return True


def _as_it_is(path: Path) -> Picture:
    """The picture at *path*, which stays; where that is none, a warning says so."""
    try:
        return verify(path, None)
    except BadPicture as error:
        return Picture(0, 0, (f"stays as it is, and is no picture: {path} ({error}). --overwrite renders it anew",))


def _stays(rendering: Rendering, final: Path) -> bool:
    keeps = not rendering.attempt.order.overwrite and rendering.settings.get("keep")
    return bool(keeps) and _holds_something(final)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def stands(rendering: Rendering, final: Path) -> bool:
    """Whether the file *final* is there already and may be kept."""
    if _stays(rendering, final):
        return True
    return final.exists() and _is_the_same(rendering, final) and verified(final, None) is not None


def _is_the_same(rendering: Rendering, final: Path) -> bool:
    """Whether the file *final* was rendered by brender, of the same file with the same settings, and the job may keep it."""
    return not rendering.attempt.order.overwrite and carries(final, rendering.note)


def keep_standing(rendering: Rendering, part: PartGrant, final: Path) -> bool:
    """Whether the frame is there already, and good: then it is done."""
    attempt = rendering.attempt
    if not final.exists():
        return False
    came_meanwhile = signature(final) != rendering.found[part.id]  # by another attempt at the same task
    output = Path(attempt.order.output)
    own = [final, *(output / name for name in other_views(part.output, attempt.order.views))]
    if not (came_meanwhile or all(_is_the_same(rendering, each) for each in own)):
        return False
    size = rendering.size() if came_meanwhile else None
    picture = verified(final, size)
    others = standing_views(output, part, attempt.order.views, size)
    if picture is None or others is None:
        rendering.found[part.id] = signature(final)  # it is to be replaced, whoever put it there
        return False
    attempt.log.say(f"frame {part.frame} is there already: {final}")
    if not came_meanwhile:
        attempt.emit(Cautioned(_KEPT, subject=_KEPT))
    attempt.emit(replace(finished(part, 0.0, final.stat().st_size, picture, 0), kept=True, extras=others))
    make_thumbnail(rendering, part, picture.image)
    return True


def render_part(
    rendering: Rendering, part: PartGrant, final: Path, index: int, asked: Mapping[str, Any] | None = None
) -> Picture:
    """Render the frame, verify it, publish it as *final*. *asked* is what the driver is asked to do beyond rendering it whole.

    *index*: how many parts of the attempt came before. Raises `AttemptFailed` or `AttemptStopped`.
    """
    attempt = rendering.attempt
    temporary = temporary_for(rendering, final)
    gathering = gathering_folder(attempt)
    further: list[Further] = []
    share = 1 / len(attempt.grant.parts)
    placeholder = bool(rendering.settings.get("placeholders")) and asked is None and not _holds_something(final)
    try:
        size = rendering.size()
        final.parent.mkdir(parents=True, exist_ok=True)
        attempt.will_leave(temporary)
        attempt.will_leave(gathering)
        if placeholder:
            attempt.will_hold(final)
            final.touch()
        to = temporary if asked is not None else picture_path(gathering, final)
        to.parent.mkdir(parents=True, exist_ok=True)
        wanted = {"gather": str(gathering), "layer": part.layer} if asked is None else asked
        rendered = rendering.scene().session.render(part.frame, to, index * share, share, wanted)
        own = temporary if asked is not None else own_picture(to, attempt.order.views)
        try:
            picture = verify(own, size, asked is None and rendering.scene().opened["filled"])
        except BadPicture as error:
            raise AttemptFailed(f"Frame {part.frame}: {error}") from error
        if asked is None:
            for each in chain(
                further_pictures(attempt, part, to, own, size), extras_of_nodes(attempt, part.frame, rendered.written)
            ):
                further.append(each)
            move(own, temporary)
        flush(temporary)
        length = temporary.stat().st_size
        for waiting, place, _ in further:
            publish_when_leased(attempt, waiting, place, signature(place))
        publish_when_leased(attempt, temporary, final, rendering.found[part.id])
    finally:
        for each_temporary in (temporary, *(waiting for waiting, _, _ in further)):
            each_temporary.unlink(missing_ok=True)
        if placeholder and not _holds_something(final):
            final.unlink(missing_ok=True)
        shutil.rmtree(gathering, ignore_errors=True)
    rendering.frame_done()
    attempt.log.say(f"frame {part.frame} in {rendered.seconds:.2f} seconds: {final}")
    for _, place, _ in further:
        attempt.log.say(f"with it: {place}")
    done = finished(part, rendered.seconds, length, picture, rendered.memory)
    attempt.emit(replace(done, extras=tuple(extra for _, _, extra in further)))
    if asked is None:
        make_thumbnail(rendering, part, picture.image)
    return picture


def temporary_for(rendering: Rendering, final: Path) -> Path:
    """Where the attempt writes what becomes *final*."""
    return final.parent / temporary_name(final.name, rendering.attempt.grant.attempt)


def finished(part: PartGrant, seconds: float, length: int, picture: Picture, memory: int) -> PartFinished:
    """The event that the part is done, with what is to be known of its file."""
    return PartFinished(
        part=part.id,
        seconds=seconds,
        output=part.output,
        size=length,
        width=picture.width,
        height=picture.height,
        warnings=() if part.piece else tuple(f"Frame {part.frame} {text}" for text in picture.warnings),
        memory=memory,
    )


def make_thumbnail(rendering: Rendering, part: PartGrant, image: Any) -> None:
    """Let there be a small picture of *image*, decoded, for the part; where it is ``None``, there is none."""
    if image is not None:
        attempt = rendering.attempt
        path = attempt.place.folder / "thumbnails" / f"{attempt.grant.attempt}-{part.id}.jpg"
        rendering.thumbnails.make(image, path, lambda made: attempt.emit(Pictured(part.id, made)))


def publish_when_leased(attempt: Attempt, temporary: Path, final: Path, before: tuple[int, int, int] | None) -> None:
    """Give the frame its name, when the worker holds its lease; until then the frame waits under its temporary one. *before*:
    what was there when its rendering began (`signature`)."""
    waited = time.monotonic()
    lease, own = attempt.place.lease, attempt.grant.attempt
    while True:
        held = lease.wait(own, _LEASE_LOOK_SECONDS)
        attempt.check()
        if held:
            published = publish(temporary, final, lambda: lease.holds(own), before, attempt.grant.repeats)
            if published is Published.THERE:
                attempt.log.say(f"{final.name} has come there meanwhile, by another attempt, and stays")
            if published is Published.NOT_OURS:
                raise AttemptStopped
            if published is not Published.NOT_HELD:
                return
        if time.monotonic() - waited > 10.0:
            waited = time.monotonic()
            attempt.log.say(f"waiting for the server before {final.name} is published")

"""The engine for Blender tasks: renders each part, verifies its file, publishes it.

Cold: one Blender process for the length of one task. (Keeping it is the session's keeper's matter: see `Session`.)
"""

import time
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, clean_environment
from brender.engines.events import Cautioned, PartFinished
from brender.engines.pictures import BadPicture, verify
from brender.engines.publish import flush, publish
from brender.engines.session import Session, shader_cache
from brender.model.grant import PartGrant
from brender.model.naming import temporary_name
from brender.model.nodes import Blender, choose_blender

_LEASE_LOOK_SECONDS = 0.5


class BlenderEngine:
    """Renders the frames of a grant with one of the worker's Blenders."""

    def run(self, attempt: Attempt) -> None:
        blender = self._blender(attempt)
        folder = self._output_folder(attempt)
        env = clean_environment({**shader_cache(attempt.place.folder / "cache" / "shaders"), **attempt.place.env})
        with Session(attempt, blender, env) as session:
            opened = session.open(**self._setup(attempt))
            for path, use in opened["missing"]:
                text = f"Missing file: {path} ({use}) is not there for the worker; what needs it renders without it"
                attempt.emit(Cautioned(text, subject=path))
            size = (opened["size"][0], opened["size"][1]) if opened["size"] else None
            for index, part in enumerate(attempt.grant.parts):
                self._part(attempt, session, part, folder, size, index / len(attempt.grant.parts))

    def _part(
        self,
        attempt: Attempt,
        session: Session,
        part: PartGrant,
        folder: Path,
        size: tuple[int, int] | None,
        fraction: float,
    ) -> None:
        attempt.check()
        final = folder / part.output
        temporary = folder / temporary_name(part.output, attempt.grant.attempt)
        thumbnail = attempt.place.folder / "thumbnails" / f"{attempt.grant.attempt}-{part.id}.jpg"
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            attempt.will_leave(temporary)
            seconds = session.render(part.frame, temporary, fraction)
            try:
                picture = verify(temporary, size, thumbnail)
            except BadPicture as error:
                raise AttemptFailed(f"Frame {part.frame}: {error}") from error
            flush(temporary)
            length = temporary.stat().st_size
            self._publish(attempt, temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        attempt.log.say(f"frame {part.frame} in {seconds:.2f} seconds: {final}")
        attempt.emit(
            PartFinished(
                part=part.id,
                seconds=seconds,
                output=part.output,
                size=length,
                width=picture.width,
                height=picture.height,
                warnings=tuple(f"Frame {part.frame} {text}" for text in picture.warnings),
                thumbnail=thumbnail if thumbnail.exists() else None,
            )
        )

    @staticmethod
    def _publish(attempt: Attempt, temporary: Path, final: Path) -> None:
        """Give the frame its name, when the worker holds its lease; until then the frame waits under its temporary one."""
        waited = time.monotonic()
        lease, own = attempt.place.lease, attempt.grant.attempt
        while True:
            held = lease.wait(own, _LEASE_LOOK_SECONDS)
            attempt.check()
            if held and publish(temporary, final, lambda: lease.holds(own)):
                return
            if time.monotonic() - waited > 10.0:
                waited = time.monotonic()
                attempt.log.say(f"waiting for the server before {final.name} is published")

    @staticmethod
    def _blender(attempt: Attempt) -> Blender:
        saved_by = attempt.order.blender or (0, 0)
        blender = choose_blender(attempt.place.blenders, saved_by)
        if blender is None:
            have = ", ".join(each.label for each in attempt.place.blenders) or "no Blender"
            raise AttemptFailed(f"The file was saved by Blender {saved_by[0]}.{saved_by[1]}; this worker has {have}")
        return blender

    @staticmethod
    def _output_folder(attempt: Attempt) -> Path:
        folder = Path(attempt.order.output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AttemptFailed(f"The output folder {folder} cannot be made: {error.strerror}", permanent=True) from error
        return folder

    @staticmethod
    def _setup(attempt: Attempt) -> dict[str, Any]:
        settings = attempt.order.settings
        return {
            "file": settings["file"],
            "trusted": attempt.order.trusted,
            "scene": settings["scene"],
            "camera": settings["camera"],
            "engine": settings["engine"],
            "resolution": settings["resolution"],
            "samples": settings["samples"],
            "format": settings["format"],
            "threads": settings["threads"] or attempt.place.threads,
        }

"""A script in Blender, of a job whose worker lets it run such; and the bake of a scene, which is a script of brender's own.

What either writes comes out of scratch as frames do: staged, and published under the worker's lease.
"""

import os
import time
from pathlib import Path

from brender.engines.attempt import AttemptFailed
from brender.engines.events import PartFinished
from brender.engines.frame_path import explained
from brender.engines.rendering import Rendering
from brender.engines.session import Session
from brender.jobs.placeholders import fill_words
from brender.model.bundle import check_path
from brender.model.errors import BadInput
from brender.model.grant import FurtherFile, PartGrant

_FILES_MOST = 400


def run_script(rendering: Rendering, part: PartGrant, folder: Path, index: int) -> None:
    """Run the job's script for the frame of *part*; what it writes becomes files in *folder*. *index*: how many parts of the
    attempt came before. Raises `AttemptFailed` or `AttemptStopped`."""
    attempt, settings = rendering.attempt, rendering.settings
    began = time.monotonic()
    session = rendering.bare_session()
    try:
        with rendering.scratch(session) as scratch:
            written = scratch / "output"
            written.mkdir()
            try:
                arguments = fill_words(settings["arguments"], {"frame": part.frame, "output": str(written)})
            except BadInput as error:
                raise AttemptFailed(str(error), permanent=True) from error
            session.run_script(
                part.frame,
                index / len(attempt.grant.parts),
                file=str(rendering.file),
                scene=settings["scene"],
                roots=rendering.roots(),
                name=settings["script"],
                text=settings.get("text"),
                arguments=arguments,
                output=str(written),
            )
            files = _published(rendering, session, written, folder)
    finally:
        session.close(wait=True)
    attempt.emit(PartFinished(part.id, time.monotonic() - began, further_files=files))


def bake(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Bake the simulations of the scene, and publish the file with them as *part* in *folder*. Raises `AttemptFailed` or
    `AttemptStopped`."""
    attempt, files = rendering.attempt, rendering.files
    began = time.monotonic()
    session = rendering.bare_session()
    try:
        with rendering.scratch(session) as scratch:
            made = scratch / "baked.blend"
            told = session.bake(
                part.frame,
                file=rendering.settings["file"],
                trusted=attempt.order.trusted,
                scene=rendering.settings["scene"],
                roots=rendering.roots(),
                path=str(made),
                moves=not attempt.order.bundle,
            )
            final = folder / part.output
            with explained("The baked file"), files.stage(made, session.folder, final) as staged:
                size, digest = staged.size, files.digest(staged.descriptor)
                files.publish(staged, rendering.found.get(part.id))
    finally:
        session.close(wait=True)
    attempt.log.say(f"baked {', '.join(told['baked'])}: {final}")
    attempt.emit(PartFinished(part.id, time.monotonic() - began, output=part.output, size=size, digest=digest))


def _published(rendering: Rendering, session: Session, written: Path, folder: Path) -> tuple[FurtherFile, ...]:
    """Publish all files that were *written*, each below *folder* as it lies there. Raises `AttemptFailed`."""
    found = sorted(Path(at) / name for at, _, names in os.walk(written) for name in names)
    if len(found) > _FILES_MOST:
        raise AttemptFailed(f"The script has written {len(found):,} files; {_FILES_MOST} are the most", permanent=True)
    published = []
    for source in found:
        name = source.relative_to(written).as_posix()
        try:
            check_path(name)
        except BadInput as error:
            raise AttemptFailed(f"The script has written {name!r}: {error}", permanent=True) from error
        with explained(f"The script's file {name}"), rendering.files.stage(source, session.folder, folder / name) as staged:
            digest = rendering.files.digest(staged.descriptor)
            published.append(FurtherFile(output=name, size=staged.size, digest=digest))
            rendering.files.publish(staged, staged.directory.signature(staged.name))
    return tuple(published)

"""The engine for Blender tasks.

Warm, unless the job asks for another way: its Blender keeps the scene open from one attempt to the next (`Keeper`).
"""

import socket
import threading
from pathlib import Path, PurePosixPath, PureWindowsPath

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.copy_task import copy_files
from brender.engines.denoise_task import do_step
from brender.engines.events import Cautioned
from brender.engines.film_task import make_scene_film
from brender.engines.job_files import make_output_folder, travel
from brender.engines.neighbours import Neighbours
from brender.engines.picture_reader import ChildReader, PictureReader
from brender.engines.progressive_task import do_pass
from brender.engines.rendering import Rendering, keep_as_it_is, keep_standing, render_part
from brender.engines.script_task import bake, run_script
from brender.engines.still_task import do_part_of_still
from brender.engines.thumbnails import Thumbnails
from brender.engines.warm import Keeper, Warmth
from brender.model.failure_patterns import Follows
from brender.model.job import BAKE, COPY, FILM
from brender.model.nodes import Blender, choose_blender, reads_all
from brender.model.passes import passes_of


class BlenderEngine:
    """Renders the frames of a grant with one of the worker's Blenders, and keeps that as *warmth* says."""

    def __init__(self, warmth: Warmth | None = None) -> None:
        self._keeper = Keeper(warmth or Warmth())
        self._thumbnails = Thumbnails()
        self._reader: PictureReader | None = None
        self._neighbours = Neighbours()

    def run(self, attempt: Attempt) -> None:
        if attempt.order.bundle:
            travel(attempt)
        folder = make_output_folder(attempt)
        reader = self._reading(attempt)
        with Rendering(attempt, self._keeper, self._thumbnails, reader, self._neighbours, _blender(attempt)) as rendering:
            for index, part in enumerate(attempt.grant.parts):
                attempt.check()
                if "script" in rendering.settings:
                    run_script(rendering, part, folder, index)
                    continue
                final = _within(folder, part.output, attempt.order.views)
                if part.piece == COPY:
                    copy_files(rendering, part, folder)
                    continue
                if part.piece == BAKE:
                    bake(rendering, part, folder)
                    continue
                if keep_as_it_is(rendering, part, final):
                    continue
                if part.piece == FILM:
                    make_scene_film(rendering, part, folder)
                elif passes_of(rendering.settings):
                    do_pass(rendering, part, folder, index)
                elif rendering.settings.get("denoise_after"):
                    do_step(rendering, part, folder, index)
                elif "pieces" in rendering.settings:
                    do_part_of_still(rendering, part, folder)
                elif not keep_standing(rendering, part, final):
                    render_part(rendering, part, final, index)

    @property
    def pid(self) -> int | None:
        return self._keeper.pid

    def look(self) -> None:
        self._keeper.look()

    def close(self) -> None:
        self._keeper.close()
        self._thumbnails.close()
        if self._reader is not None:
            self._reader.close()

    def _reading(self, attempt: Attempt) -> PictureReader:
        """Return what reads this worker's pictures. One that waits for a drive of an attempt before, which was left behind, is
        left behind too, and ends when the drive answers."""
        if self._reader is not None and self._reader.is_stuck():
            threading.Thread(target=self._reader.close, name="brender-reader-end", daemon=True).start()
            self._reader = None
        if self._reader is None:
            kept = attempt.place.confinement
            in_child = hasattr(socket, "send_fds")
            self._reader = ChildReader(kept.sandbox, kept.data) if in_child else PictureReader()
        self._reader.warm_up()
        return self._reader


def _blender(attempt: Attempt) -> Blender:
    saved_by = attempt.order.blender or (0, 0)
    series = attempt.order.series
    wanted = saved_by, attempt.order.oldest_blender, series
    # (Where all that it has are not for an add-on, that is said where the add-on would be enabled.)
    blender = choose_blender(attempt.place.blenders, *wanted, attempt.order.addons) or choose_blender(
        attempt.place.blenders, *wanted
    )
    if blender is None:
        have = ", ".join(each.label for each in attempt.place.blenders) or "no Blender"
        if series is not None:
            said = f"The job is rendered with Blender {series[0]}.{series[1]}; this worker has {have}"
        else:
            said = f"The file was saved by Blender {saved_by[0]}.{saved_by[1]}; this worker has {have}"
        raise AttemptFailed(said, follows=Follows.ELSEWHERE)
    if not reads_all(blender, saved_by):
        subject = f"The file was saved by Blender {saved_by[0]}.{saved_by[1]}, which is newer than"
        text = f"{subject} the {blender.label} that renders it. Data that this Blender does not know is lost, as it warns itself"
        attempt.emit(Cautioned(text, subject=subject))
    return blender


def _within(folder: Path, output: str, views: tuple[str, ...]) -> Path:
    """Return the file *output* of *folder*, whose names may have *views* more. Raises `AttemptFailed` where it is not below
    it."""
    path = PureWindowsPath(output) if "\\" in output else PurePosixPath(output)
    leaves = path.is_absolute() or path.anchor or ".." in path.parts or not path.name
    if leaves or any("/" in view or "\\" in view for view in views):
        raise AttemptFailed(f"The file {output!r} of this task does not lie in its job's folder", permanent=True)
    return folder / output

"""One pass of a frame that gets better from pass to pass: a share of its samples, added to those that it has.

What a frame has is one float OpenEXR, *accumulated* in a hidden folder beside its picture. It says in its metadata which passes
are in it, and a pass adds what comes after those: so no share is counted twice, and none is left out, whatever became of the
attempts before. The picture that is made of it has the frame's own name and format, and says how many samples it has.
"""

import contextlib
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from brender.engines.attempt import AttemptFailed
from brender.engines.directories import Directory
from brender.engines.events import Cautioned
from brender.engines.exr_merge import CannotMerge
from brender.engines.frame_path import Seen
from brender.engines.pictures import BadPicture, Picture
from brender.engines.publish import BadSource
from brender.engines.rendering import Rendering, finished, keep_standing, make_thumbnail, render_part, stands
from brender.engines.still_task import made_file, source_of, written_file
from brender.jobs.blender_progressive import read_until, said_of_draft
from brender.jobs.pieces import piece_name
from brender.model.grant import FurtherFile, PartGrant
from brender.model.passes import DOUBLING, DRAFT, first_share, passes_of, samples_upto
from brender.system.removal import remove_tree

#: What an accumulated file says of itself.
_NOTE = re.compile(r"passes 1-(\d+) of (\d+( that double)?), (\d+) samples, (.*)", re.DOTALL)


def said_of_noise(noise: float) -> str:
    """Return what the job's owner is told of frames that came down to this *noise*."""
    return f"Frames whose noise came down to {noise:g} have fewer samples; those with metadata say how many"


def said_of_until(until: str) -> str:
    """Return what the job's owner is told of frames that are left as they were at the time *until*."""
    return f"It is past {until}: frames stay as they are, and those with metadata say how many samples they have"


@dataclass(frozen=True)
class _Accumulated:
    """What a frame has: file, how many *passes* are in it, of how many samples in all, and its noise (``None``: not known)."""

    file: Path
    passes: int
    samples: int
    noise: float | None


def do_pass(rendering: Rendering, part: PartGrant, folder: Path, index: int) -> None:
    """Do the pass of the frame that *part* is; *index*: how many parts of the attempt came before. Raises `AttemptFailed` or
    `AttemptStopped`."""
    settings, final = rendering.settings, folder / part.output
    number = part.piece or passes_of(settings)
    frame = _Frame(rendering, part, final, number, passes_of(settings))
    if part.piece and stands(rendering, final):
        _leave(rendering, part, "it is there already")
        return
    if not part.piece and keep_standing(rendering, part, final):
        frame.clear()
        return
    if number == 1 and rendering.attempt.order.overwrite and rendering.attempt.place.lease.holds(rendering.attempt.grant.attempt):
        frame.clear()
    if number > 1 and (told := _why_enough(frame)):
        rendering.attempt.emit(Cautioned(told, subject=told))
        _leave(rendering, part, "it stays as it is")
        if not part.piece:
            frame.clear()
        return
    if settings["refine"] == DRAFT:
        _draft(rendering, part, final, index, settings["passes"])
        return
    share = first_share(settings)
    way = rendering.scene().session.ask("refined", do="refined", least=share)
    if way["why"]:  # which nobody could tell when the job was submitted
        told = said_of_draft(share, way["why"])
        rendering.attempt.emit(Cautioned(told, subject=told))
        if 1 < number < frame.passes:
            _leave(rendering, part, "it is drafted, and will be rendered as a whole")
        else:
            _draft(rendering, part, final, index, share)
        return
    base = frame.accumulated()
    if base is not None and base.samples != way["samples"]:
        base = None
    try:
        frame.refine(base, index, way["samples"], denoises=way["denoises"], shows=way["shows"])
    except AttemptFailed:
        if base is None or frame.is_whole(base):
            raise
        rendering.attempt.log.say(f"frame {part.frame}: {base.file} is damaged, and its samples are rendered again")
        frame.clear()
        frame.refine(None, index, way["samples"], denoises=way["denoises"], shows=way["shows"])


def _why_enough(frame: "_Frame") -> str:
    """Return why the frame stays as the pass before has left it, or "" if it does not."""
    settings = frame.rendering.settings
    if settings["until"] and time.time() >= read_until(settings["until"]):
        return said_of_until(settings["until"])
    if settings["noise"] and (found := frame.accumulated()) and found.noise is not None and found.noise <= settings["noise"]:
        return said_of_noise(settings["noise"])
    return ""


def _leave(rendering: Rendering, part: PartGrant, why: str) -> None:
    """Have nothing to do for *part*, and say *why*."""
    rendering.attempt.log.say(f"frame {part.frame}: {why}")
    nothing = Seen(Picture(0, 0, ()), 0, "", lambda: None)
    rendering.attempt.emit(replace(finished(part, 0.0, nothing), output="", kept=True))


def _draft(rendering: Rendering, part: PartGrant, final: Path, index: int, share: int) -> None:
    """Render the frame: in its first pass with one of *share* shares of its samples, in its last as it is."""
    draft = {"draft": share, "note": f"brender: a draft with 1/{share} of its samples"} if part.piece else None
    render_part(rendering, part, final, index, draft=draft)


@dataclass(frozen=True)
class _Frame:
    """A frame in its pass *number* of so many *passes*."""

    rendering: Rendering
    part: PartGrant
    final: Path
    number: int
    passes: int

    @property
    def folder(self) -> Path:
        """The hidden folder of what it has."""
        return self._file(1).parent

    def _file(self, number: int) -> Path:
        return self.final.parent / PurePath(piece_name(self.final.name, number))

    def clear(self) -> None:
        """Remove what it has accumulated."""
        remove_tree(self.folder)

    def accumulated(self) -> _Accumulated | None:
        """Return the file with most passes that was rendered from the same scene, by the same series of Blender; ``None`` if
        there is no such file."""
        files, found = self.rendering.files, list[_Accumulated]()
        for number in range(1, self.passes):
            with contextlib.suppress(BadPicture, CannotMerge), files.opened(self._file(number)) as opened:
                ((note, noise),) = files.ask("notes_of_accumulated", [opened])["told"]
                match = _NOTE.fullmatch(note)
                if match and match[2] == self._of_all and match[5] == source_of(self.rendering):
                    found.append(_Accumulated(self._file(number), int(match[1]), int(match[4]), noise))
        return max(found, key=lambda each: each.passes, default=None)

    def is_whole(self, base: _Accumulated) -> bool:
        """Return whether all of *base* can be read."""
        try:
            self.rendering.files.look_at(base.file, None)
        except BadPicture:
            return False
        return True

    def refine(self, base: _Accumulated | None, index: int, samples: int, *, denoises: bool, shows: bool) -> None:
        """Add the samples up to this pass, of *samples* in all, to those in *base*, and publish the picture that they make.
        Raises `AttemptFailed`."""
        attempt, files, part = self.rendering.attempt, self.rendering.files, self.part
        reached = max(self.number, base.passes if base else 0)
        before = {number: files.signature(self._file(number)) for number in range(1, self.passes)}
        note = f"passes 1-{reached} of {self._of_all}, {samples} samples, {source_of(self.rendering)}"
        session, seconds, memory = self.rendering.scene().session, 0.0, 0
        with contextlib.ExitStack() as undo:
            scratch = undo.enter_context(self.rendering.scratch(session))
            sources, counts = [], []
            if base is not None:
                sources.append(undo.enter_context(files.opened(base.file)))
                counts.append(self._upto(base.passes, samples))
            if (first := sum(counts)) < (end := self._upto(reached, samples)):
                share = scratch / "share" / "share.exr"
                share.parent.mkdir()
                note_of_share = f"samples {first}-{end}"
                asked = {"do": "piece", "samples": (first, end - first), "rows": None, "note": note_of_share, "codec": "NONE"}
                done_before = index / len(attempt.grant.parts)
                rendered = session.render(part.frame, share, done_before, 1 / len(attempt.grant.parts), asked)
                seconds, memory = rendered.seconds, rendered.memory
                try:
                    sources.append(undo.enter_context(written_file(share, session.folder)))
                except BadSource as error:
                    raise AttemptFailed(f"Frame {part.frame}: {error}") from error
                counts.append(end - first)
            names = [scratch / "merged.exr"] + ([scratch / "kept.exr"] if self.number < self.passes else [])
            made = [undo.enter_context(made_file(name, session.folder)) for name in names]
            try:
                told = files.ask("accumulated", [*sources, *made], counts=counts, note=note)
                noise = told["noise"] if told["noise"] is not None else (base.noise if base else None)
                attempt.check()
                further = []
                if len(names) > 1:
                    kept = undo.enter_context(files.stage(names[1], session.folder, self._file(reached)))
                    output = str(PurePath(piece_name(part.output, reached)))
                    further.append(FurtherFile(output=output, size=kept.size, digest=files.digest(kept.descriptor)))
                    files.publish(kept, before[reached])
                picture = made[0]
                if denoises:
                    attempt.log.say("denoising the picture")
                    denoised = scratch / "denoised.exr"
                    session.ask("denoised", do="denoise", merged=str(names[0]), path=str(denoised))
                    picture = undo.enter_context(written_file(denoised, session.folder))
                whole, is_last = scratch / f"whole{self.final.suffix}", end == samples
                said = "" if is_last else f"brender: {end} of {samples} samples"
                if shows and not is_last:
                    shown = undo.enter_context(made_file(scratch / "shown.exr", session.folder))
                    files.ask("shown", [picture, shown], stamps=told["stamps"], note=said)
                    session.ask("shown", do="show", picture=str(shown.path), path=str(whole))
                else:
                    if denoises:
                        files.ask("denoised", [made[0], picture])
                    what = {"frame": part.frame, "path": str(whole), "merged": str(names[0]), "stamps": told["stamps"]}
                    session.ask("merged", do="merged", **what, note=said)
                staged = undo.enter_context(files.stage(whole, session.folder, self.final))
                seen = files.look(staged, self.rendering.size(), small=True)
            except (BadPicture, BadSource, CannotMerge) as error:
                raise AttemptFailed(f"Frame {part.frame}: {error}") from error
            if self._is_outdone(reached):
                attempt.log.say(f"frame {part.frame} has more samples by now, from another attempt, and stays")
            else:
                files.publish(staged, self.rendering.found[part.id])
        self.rendering.frame_done()
        attempt.log.say(f"frame {part.frame}: samples {first} to {end} of {samples} in {seconds:.2f} seconds: {self.final}")
        attempt.emit(replace(finished(part, seconds, seen, memory), noise=noise, further_files=tuple(further)))
        make_thumbnail(self.rendering, part, seen)
        if part.piece:
            self._remove(range(1, reached))
        else:
            self.clear()

    def _upto(self, number: int, samples: int) -> int:
        """Return how many of *samples* the frame has after pass *number*."""
        return samples_upto(self.rendering.settings, number, samples)

    @property
    def _of_all(self) -> str:
        """All passes, as a file's note has them: files of passes with other shares of the samples are not taken for its own."""
        return f"{self.passes} that double" if self.rendering.settings["refine"] == DOUBLING else f"{self.passes}"

    def _is_outdone(self, reached: int) -> bool:
        """Return whether a later pass than the one *reached* has been here: its picture is the better one."""
        found = self.accumulated()
        return found is not None and found.passes > reached

    def _remove(self, numbers: range) -> None:
        """Remove the accumulated files of these passes: a later one has what is in them."""
        root, relative = self.rendering.attempt.where(self._file(1))
        with contextlib.suppress(OSError), Directory.open(root, PurePath(relative).parent) as directory:
            for number in numbers:
                directory.remove(self._file(number).name)

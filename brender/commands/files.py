"""Commands about files: packing a .blend, sending what a job needs, fetching frames."""

import time
from pathlib import Path

import click

from brender.api.connection import Bytes
from brender.api.finished import JobFile
from brender.blendfile.facts import inspect
from brender.blendfile.packing import packed, write_folder, write_zip
from brender.commands.completion import job_argument
from brender.commands.config import Configured
from brender.commands.options import NamedPath, common, farm, server_option
from brender.commands.output import say
from brender.commands.sending import transfer_bar
from brender.engines.ffmpeg import make_film
from brender.model.errors import Conflict
from brender.model.job import MISSING_FILE
from brender.model.path_templates import safe
from brender.model.text import harmless, plural

_LOOK_SECONDS = 1.0


@click.command(cls=Configured, section="pack", short_help="Pack a .blend and the files that it uses.")
@common
@click.argument("file", type=NamedPath())
@click.argument("target", type=NamedPath())
def pack(data: Path, config: Path | None, verbose: bool, file: Path, target: Path) -> None:
    """Pack FILE, a .blend, and the files that it uses into TARGET: a zip if its name ends with .zip, otherwise a folder. These
    are the files that `brender submit --send` sends."""
    facts = inspect(file)
    for missing in facts.missing:
        say(f"Warning: {MISSING_FILE}{missing.path} (used by {missing.used_by})", err=True)
    with packed(file) as found:
        if target.suffix.lower() == ".zip":
            write_zip(found, target)
        else:
            write_folder(found, target)
        say(f"{plural(len(found.files), 'file')} in {target}; open {found.main}")


@click.command(cls=Configured, section="fetch", short_help="Fetch the finished frames of a job to this machine.")
@common
@server_option
@job_argument
@click.option("--to", "folder", type=NamedPath(), help="The folder for the frames. [default: NAME_frames, here]")
@click.option("--watch", is_flag=True, help="Fetch frames as they are finished, until the job has ended.")
@click.option("--movie", type=NamedPath(), help="Then make a film of the frames, such as shot.mp4. Needs ffmpeg on this machine.")
@click.option("--fps", type=float, help="Frames per second of the film. [default: what the .blend says]")
@click.option("--replace", is_flag=True, help="Replace files here that have the same names and other content.")
def fetch(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    id: str,
    folder: Path | None,
    watch: bool,
    movie: Path | None,
    fps: float | None,
    replace: bool,
) -> None:
    """Fetch the finished frames of the job ID to this machine. Frames that are here already are not fetched again, and a transfer
    that was cut off continues. If files of the same names with other content are here, nothing is fetched, unless you give
    --replace."""
    frames: dict[tuple[str, int], Path] = {}
    if movie is not None and not replace:
        _check_new(movie)
    with farm(server, data) as its, transfer_bar() as bar:
        job = its.job(id, of_several="exact")
        fetching = job.fetching(folder or Path(f"{job.name}_frames"), replace=replace)
        task = bar.add_task("fetching", total=None)

        def begin(file: JobFile) -> Bytes:
            bar.update(task, description=harmless(file.output))
            return lambda have, total: bar.update(task, completed=have, total=total)

        while True:
            has_ended = job.refresh().has_ended
            frames |= {
                (each.layer, each.frame): path for each, path in fetching.look(begin) if not each.file and each.frame is not None
            }
            if has_ended or not watch:
                break
            time.sleep(_LOOK_SECONDS)
    say(f"{plural(fetching.fetched, 'file')} fetched to {fetching.folder}")
    fetching.check_rendered()
    if movie is not None:
        speed = fps if fps is not None else float(job.record["fps"])
        for layer, target in _movies(movie, {layer for layer, _ in frames}).items():
            if not replace:
                _check_new(target)
            count = make_film((path for (own, _), path in sorted(frames.items()) if own == layer), speed, target.absolute())
            say(f"{plural(count, 'frame')}, {speed:g} a second: {target}")


def _check_new(movie: Path) -> None:
    if movie.exists():
        raise Conflict(f"{movie} is there already. Name another, or replace it with --replace")


def _movies(movie: Path, layers: set[str]) -> dict[str, Path]:
    """Return the film of each of the view *layers* that have frames of their own: *movie*, or one with the layer in its name."""
    if len(layers) <= 1:
        return dict.fromkeys(layers or {""}, movie)
    return {layer: movie.with_stem(f"{movie.stem}_{safe(layer)}") for layer in sorted(layers)}


@click.command(cls=Configured, section="archive", short_help="Write all of a job into one zip.")
@common
@server_option
@job_argument
@click.argument("target", type=NamedPath())
@click.option("--frames/--no-frames", "with_frames", default=True, show_default=True, help="Include its frames.")
def archive(data: Path, config: Path | None, verbose: bool, server: str | None, id: str, target: Path, with_frames: bool) -> None:
    """Write the job ID into the zip TARGET: its settings and results (job.json), the end of each attempt's log (logs/), and its
    finished frames (frames/)."""
    with farm(server, data) as its:
        job = its.job(id, of_several="exact")
        found = job.archive(target, frames=with_frames)
    say(f"{job.name}: {plural(found.files, 'file')} and {plural(found.logs, 'log')} in {target}")

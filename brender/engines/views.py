"""The pictures of one frame: one, or one for each view of the scene, which together are the frame.

Blender writes them into a folder of the attempt's, each under the name that it gives it; the first view's becomes the part's own,
the others its further files, as does a preview that Blender writes beside an EXR.
"""

from collections.abc import Iterator
from pathlib import Path

from brender.engines.attempt import Attempt
from brender.engines.further_files import Further, further_file
from brender.engines.resume import verified
from brender.model.grant import Extra, PartGrant
from brender.model.views import base_of, other_views, view_name

_STEM = "frame"


def picture_path(gathering: Path, final: Path) -> Path:
    """The path that Blender is told to render *final* to."""
    return gathering / "picture" / f"{_STEM}{final.suffix}"


def own_picture(path: Path, views: tuple[str, ...]) -> Path:
    """The part's own picture, of those that Blender has written for *path* (`picture_path`), whose names have *views* more."""
    own = path.with_name(view_name(path.name, views[0]) if views else path.name)
    there = _files(path)
    # Whether the name of a view that is rendered alone has it depends on Blender's version.
    return there[0] if len(views) < 2 and not own.exists() and len(there) == 1 else own


def further_pictures(attempt: Attempt, part: PartGrant, path: Path, own: Path, size: tuple[int, int] | None) -> Iterator[Further]:
    """Yield the other files that Blender has written for *path*. Raises `AttemptFailed`."""
    output, views = Path(attempt.order.output), attempt.order.views
    seen = {path.with_name(view_name(path.name, suffix)): f", of the view {suffix}" for suffix in views[1:]}
    for source in [*seen, *(each for each in _files(path) if each != own and each not in seen)]:
        name = base_of(part.output, views) + source.name.removeprefix(_STEM)
        what = f"Frame {part.frame}{seen.get(source, '')}"
        yield further_file(attempt, source, output / name, what, size if source in seen else None)


def standing_views(
    output: Path, part: PartGrant, views: tuple[str, ...], size: tuple[int, int] | None
) -> tuple[Extra, ...] | None:
    """The pictures of the other *views* of the frame, if all are there, and good."""
    names = other_views(part.output, views)
    if any(verified(output / name, size) is None for name in names):
        return None
    return tuple(Extra(output=name, size=(output / name).stat().st_size) for name in names)


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.iterdir()) if path.parent.is_dir() else []

"""The pictures of one frame: one, or one for each view of the scene, which together are the frame.

Blender writes them into a folder of its scratch, each under the name that it gives it; the first view's becomes the part's own,
the others its further files, as does a preview that Blender writes beside an EXR.
"""

from collections.abc import Iterator
from pathlib import Path

from brender.model.views import view_name

_STEM = "frame"


def picture_path(scratch: Path, final: Path) -> Path:
    """Return the path that Blender is told to render *final* to."""
    return scratch / "picture" / f"{_STEM}{final.suffix}"


def own_picture(path: Path, views: tuple[str, ...]) -> Path:
    """Return the part's own picture, of those that Blender has written for *path* (`picture_path`), whose names have *views*
    more."""
    own = path.with_name(view_name(path.name, views[0]) if views else path.name)
    there = _files(path)
    # Whether the name of a view that is rendered alone has it depends on Blender's version.
    return there[0] if len(views) < 2 and own not in there and len(there) == 1 else own


def other_pictures(path: Path, own: Path, base: str, views: tuple[str, ...]) -> Iterator[tuple[Path, str, str]]:
    """Yield the other pictures than its *own* that Blender has written for *path*: the file, the suffix of its view ("": it shows
    none), and the name that it is to have, which begins with *base*."""
    seen = {path.with_name(view_name(path.name, suffix)): suffix for suffix in views[1:]}
    for source in [*seen, *(each for each in _files(path) if each != own and each not in seen)]:
        yield source, seen.get(source, ""), base + source.name.removeprefix(_STEM)


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.iterdir()) if path.parent.is_dir() else []

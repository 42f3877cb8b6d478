"""What is read of picture files that a render has left: each reading by its name, plain values in and out.

They run in this process or in a confined one (`brender.engines.picture_reader`), which may be taken over by a prepared file. So
nothing here touches any file but those that it is given, and what comes out is plain JSON.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from brender.engines.exr_merge import (
    Cut,
    accumulate,
    check_cut,
    combined,
    merge,
    read_accumulated,
    replace_combined,
    stamps,
    write_shown,
)
from brender.engines.pictures import small_jpeg, verify
from brender.engines.resume import carries

#: Open files that one message carries to a confined process (Linux takes 253).
MOST_AT_ONCE = 200
Answer = dict[str, Any]
Reading = Callable[..., Iterator[Answer | bytes]]
"""Takes files and plain values; yields one answer, and after it perhaps a small JPEG. Raises `BadPicture` or `CannotMerge`."""


def look(
    files: list[Path], size: list[int] | None, filled: bool = False, small: bool = False, digest: bool = False, length: int = 0
) -> Iterator[Answer | bytes]:
    """Verify the picture; with *digest*, say its SHA-256, with *small* make a small one of it."""
    (file,) = files
    picture = verify(file, (size[0], size[1]) if size else None, filled)
    found = ""
    if digest:
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    warnings = list(picture.warnings)
    yield {"width": picture.width, "height": picture.height, "warnings": warnings, "digest": found, "empty": picture.empty}
    if small and picture.image is not None:
        yield small_jpeg(picture.image)


def notes(files: list[Path], note: str) -> Iterator[Answer | bytes]:
    """Whether each file carries the *note* of a picture that need not be rendered again."""
    yield {"carries": [carries(file, note) for file in files]}


def sizes(files: list[Path]) -> Iterator[Answer | bytes]:
    """Width and height of each file by its header; ``None`` for one that does not open."""
    found: list[list[int] | None] = []
    for file in files:
        opened = oiio.ImageInput.open(str(file))
        if opened is None:
            oiio.geterror()
            found.append(None)
            continue
        spec = opened.spec()
        found.append([spec.width, spec.height])
        opened.close()
    yield {"sizes": found}


def cuts(files: list[Path], notes: list[str]) -> Iterator[Answer | bytes]:
    """Check that each piece of a still says its note of itself."""
    for file, note in zip(files, notes, strict=True):
        check_cut(file, note)
    yield {}


def merged(files: list[Path], how: str, pieces: int, samples: int) -> Iterator[Answer | bytes]:
    """Write the picture that all files but the last make to the last; say what metadata it has."""
    cut = Cut(how, pieces, samples)
    merge(files[:-1], cut, files[-1])
    yield {"stamps": [list(each) for each in stamps(files[:-1], cut)]}


def accumulated(files: list[Path], counts: list[int], note: str) -> Iterator[Answer | bytes]:
    """Write the average of the first files, of so many samples each (*counts*), to all others; say what metadata the picture of
    it has, and its noise."""
    found = accumulate(files[: len(counts)], counts, note, files[len(counts) :])
    yield {"stamps": [list(each) for each in found.stamps], "noise": found.noise}


def shown(files: list[Path], stamps: list[list[str]], note: str) -> Iterator[Answer | bytes]:
    """Write the combined pass of the first file to the second, with this metadata."""
    write_shown(files[0], [(name, value) for name, value in stamps], note, files[1])
    yield {}


def notes_of_accumulated(files: list[Path]) -> Iterator[Answer | bytes]:
    """The note of each accumulated file, and its noise."""
    yield {"told": [list(read_accumulated(file)) for file in files]}


def denoised(files: list[Path]) -> Iterator[Answer | bytes]:
    """Put the combined pass of the second file into the first."""
    replace_combined(files[0], files[1])
    yield {}


def preview(files: list[Path], numbers: list[int], how: str, pieces: int, samples: int) -> Iterator[Answer | bytes]:
    """Make a small picture of what the pieces with these *numbers* show together."""
    image = combined(dict(zip(numbers, files, strict=True)), Cut(how, pieces, samples))
    yield {}
    yield small_jpeg(image)


_ALL: tuple[Reading, ...] = (look, notes, sizes, cuts, merged, denoised, preview)
_ALL += (accumulated, shown, notes_of_accumulated)
READINGS: dict[str, Reading] = {each.__name__: each for each in _ALL}

"""Further files of a frame, such as file-output nodes of the compositor write: gathered in a folder of the attempt's, verified,
and published like the frame.

Where nothing is shared, and in a sandbox, those of nodes go below the job's output folder, into a folder that is called as the
node's own; else to the folder that the node names.
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.pictures import BadPicture, verify
from brender.engines.publish import flush
from brender.model.bundle import check_path
from brender.model.errors import BadInput
from brender.model.grant import Extra
from brender.model.naming import temporary_name

Further = tuple[Path, Path, Extra]
"""A further file, ready under a temporary name beside its place; the place; and what is to be known of it."""


def gathering_folder(attempt: Attempt) -> Path:
    """Where Blender writes them first: below the job's output folder, which every Blender of the job may write to."""
    return Path(attempt.order.output) / f".{attempt.grant.attempt}.frame"


def extras_of_nodes(attempt: Attempt, frame: int, written: Iterable[Any]) -> Iterator[Further]:
    """The files of *written*, as the driver tells of it. Raises `AttemptFailed`."""
    output = Path(attempt.order.output)
    for node in written:
        below = _target(attempt, output, node["directory"])
        for name in node["files"]:
            yield further_file(attempt, Path(node["folder"]) / name, below / name, f"Frame {frame}, of the node {node['node']}")


def further_file(attempt: Attempt, source: Path, final: Path, what: str, size: tuple[int, int] | None = None) -> Further:
    """Make *source*, which is *what* and of that *size*, ready to become *final*. Raises `AttemptFailed`."""
    try:
        verify(source, size)
    except BadPicture as error:
        raise AttemptFailed(f"{what}: {error}") from error
    output = Path(attempt.order.output)
    inside = final.is_relative_to(output)
    told = final.relative_to(output).as_posix() if inside else str(final)
    if inside:
        try:
            check_path(told)
        except BadInput as error:
            raise AttemptFailed(f"{what} is written to {told!r}: {error}", permanent=True) from error
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / temporary_name(final.name, attempt.grant.attempt)
    attempt.will_leave(temporary)
    move(source, temporary)
    flush(temporary)
    return temporary, final, Extra(output=told, size=temporary.stat().st_size)


def _target(attempt: Attempt, output: Path, directory: str) -> Path:
    """The folder for what a node writes to *directory*."""
    if not attempt.order.bundle and not attempt.place.confinement.sandbox and directory:
        return Path(directory)
    pure = PureWindowsPath(directory) if "\\" in directory else PurePosixPath(directory)
    name = pure.name.lstrip(".")
    return output / name if name else output


def move(source: Path, target: Path) -> None:
    """Let *target* be *source*, on whatever disk."""
    try:
        source.replace(target)
    except OSError:
        shutil.copyfile(source, target)
        source.unlink()

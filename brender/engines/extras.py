"""Further files of a frame, which file-output nodes of the compositor write: gathered in a folder of the attempt's, verified, and
published like the frame.

Where nothing is shared, and in a sandbox, they go below the job's output folder, into a folder that is called as the node's own;
else to the folder that the node names.
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


def gathering_folder(attempt: Attempt) -> Path:
    """Where Blender writes them first: below the job's output folder, which every Blender of the job may write to."""
    return Path(attempt.order.output) / f".{attempt.grant.attempt}.nodes"


def extras(attempt: Attempt, frame: int, written: Iterable[Any]) -> Iterator[tuple[Path, Path, Extra]]:
    """For each file of *written*, as the driver tells of it: the file, ready under a temporary name beside its place, the
    place, and what is to be known of it. Raises `AttemptFailed`."""
    output = Path(attempt.order.output)
    for node in written:
        below = _target(attempt, output, node["directory"])
        for name in node["files"]:
            source = Path(node["folder"]) / name
            final = below / name
            try:
                picture = verify(source, None)
            except BadPicture as error:
                raise AttemptFailed(f"Frame {frame}, of the node {node['node']}: {error}") from error
            del picture
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = final.parent / temporary_name(final.name, attempt.grant.attempt)
            attempt.will_leave(temporary)
            _move(source, temporary)
            flush(temporary)
            inside = final.is_relative_to(output)
            told = final.relative_to(output).as_posix() if inside else str(final)
            if inside:
                try:
                    check_path(told)
                except BadInput as error:
                    temporary.unlink()
                    raise AttemptFailed(f"The node {node['node']} writes {told!r}: {error}", permanent=True) from error
            yield temporary, final, Extra(output=told, size=temporary.stat().st_size)


def _target(attempt: Attempt, output: Path, directory: str) -> Path:
    """The folder for what a node writes to *directory*."""
    if not attempt.order.bundle and not attempt.place.confinement.sandbox and directory:
        return Path(directory)
    pure = PureWindowsPath(directory) if "\\" in directory else PurePosixPath(directory)
    name = pure.name.lstrip(".")
    return output / name if name else output


def _move(source: Path, target: Path) -> None:
    """Let *target* be *source*, on whatever disk."""
    try:
        source.replace(target)
    except OSError:
        shutil.copyfile(source, target)
        source.unlink()

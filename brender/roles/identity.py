"""A node's identity: made at its first start, kept in its folder, the same ever after; and how often it was started."""

from pathlib import Path

from brender.bus.ids import new_id
from brender.model.errors import BadInput


def node_id(folder: Path) -> str:
    """Return the id kept in *folder*, made now if there is none. Raises `BadInput` where the folder cannot be used."""
    path = folder / "node"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and (known := path.read_text().strip()):
            return known
        fresh = new_id()
        path.write_text(fresh + "\n")
    except OSError as error:
        raise BadInput(f"The folder {folder} cannot be used: {error.strerror}. Give another data folder with --data") from error
    return fresh


def next_incarnation(folder: Path) -> int:
    """Return the number of this start of the node in *folder*: one more than the last time. Raises `BadInput`."""
    path = folder / "starts"
    try:
        number = int(path.read_text()) + 1 if path.exists() else 1
        temporary = path.with_suffix(".new")
        temporary.write_text(str(number))
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"The file {path} cannot be used ({error}). Remove it, or give another data folder with --data") from error
    return number

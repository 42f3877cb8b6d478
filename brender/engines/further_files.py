"""Further files of a frame: pictures of its other views, previews, and what file-output nodes of the compositor write. They are
gathered in scratch, verified, and published like the frame.

Where nothing is shared, those of nodes go below the job's output folder, into a folder that is called as the node's own; so do
those that name a folder which this worker's owner does not allow. Else they go to the folder that the node names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from brender.engines.attempt import AttemptFailed
from brender.engines.events import Cautioned
from brender.engines.frame_path import FramePath, explained
from brender.engines.publish import Staged
from brender.engines.views import other_pictures
from brender.model.bundle import check_path
from brender.model.errors import BadInput
from brender.model.grant import FurtherFile, PartGrant
from brender.model.text import some_of
from brender.model.views import base_of


@dataclass(frozen=True)
class Further:
    """A further file, *staged*, and what is to be known of it."""

    staged: Staged
    file: FurtherFile


@dataclass(frozen=True)
class Gathered:
    """What a Blender, which writes below *scratch*, has written of the frame of *part*. Every method raises `AttemptFailed`."""

    files: FramePath
    scratch: Path
    part: PartGrant

    def pictures(self, path: Path, own: Path, size: tuple[int, int] | None) -> Iterator[Further]:
        """Yield the other pictures than its *own* that were written for *path*; those of views have that *size*."""
        order = self.files.attempt.order
        for source, view, name in other_pictures(path, own, base_of(self.part.output, order.views), order.views):
            what = f"Frame {self.part.frame}" + (f", of the view {view}" if view else "")
            yield self._further(source, Path(order.output) / name, what, size if view else None)

    def of_nodes(self, written: Iterable[Any]) -> Iterator[Further]:
        """Yield the files of *written*, as the driver tells of it. Of several nodes that write one file, the last one's stays."""
        found: dict[Path, list[tuple[int, str, Path]]] = {}
        for node in written:
            below = self._target(str(node["directory"]))
            for name in node["files"]:
                source = Path(node["folder"]) / name
                found.setdefault(below / name, []).append((source.lstat().st_mtime_ns, str(node["node"]), source))
        for final, each in found.items():
            _, last, source = max(each, key=lambda made: made[0])
            if others := sorted(node for _, node, _ in each if node != last):
                names = some_of([repr(node) for node in others])
                text = f"The file-output nodes {last!r} and {names} write files of the same name, and those of {last!r} stay, "
                text += "which come last. Give each node names of its own"
                self.files.attempt.emit(Cautioned(text, subject=text))
            yield self._further(source, final, f"Frame {self.part.frame}, of the node {last}", None)

    def _further(self, source: Path, final: Path, what: str, size: tuple[int, int] | None) -> Further:
        output = Path(self.files.attempt.order.output)
        inside = final.is_relative_to(output)
        told = final.relative_to(output).as_posix() if inside else str(final)
        if inside:
            try:
                check_path(told)
            except BadInput as error:
                raise AttemptFailed(f"{what} is written to {told!r}: {error}", permanent=True) from error
        with explained(what):
            staged = self.files.stage(source, self.scratch, final)
            try:
                seen = self.files.look(staged, size)
            except BaseException:
                staged.close()
                raise
        return Further(staged, FurtherFile(output=told, size=seen.size, digest=seen.digest))

    def _target(self, directory: str) -> Path:
        """Return the folder for what a node writes to *directory*."""
        attempt = self.files.attempt
        output, confinement = Path(attempt.order.output), attempt.place.confinement
        if directory and not attempt.order.bundle:
            allowed = confinement.place(Path(directory)) if confinement.roots else not confinement.sandbox
            if allowed:
                return Path(directory)
        pure = PureWindowsPath(directory) if "\\" in directory else PurePosixPath(directory)
        name = pure.name.lstrip(".")
        return output / name if name else output

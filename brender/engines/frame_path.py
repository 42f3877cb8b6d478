"""The one way of a file from a render to its place: staged, looked at, published; and the look at what is there already.

Everything of a job's folders is reached below the roots that this worker's owner allows, without following links, and read by the
worker's `PictureReader`.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed, AttemptStopped
from brender.engines.directories import Directory, Signature, read, signature
from brender.engines.leftovers import PLACEHOLDER, TEMPORARY
from brender.engines.picture_reader import OpenFile, PictureReader
from brender.engines.pictures import BadPicture, Picture
from brender.engines.publish import BadSource, Published, Staged, stage
from brender.model.naming import temporary_name

_LEASE_LOOK_SECONDS = 0.5
_SAID_SECONDS = 10.0


@dataclass(frozen=True)
class Seen:
    """A picture that was looked at: what it holds, its bytes, its SHA-256 where it is to travel, and what gives a small JPEG of
    it (``None`` if there is no such file)."""

    picture: Picture
    size: int
    digest: str
    small: Callable[[], bytes | None]


@dataclass(frozen=True)
class FramePath:
    """What an *attempt* publishes, and has published, through the worker's *reader*."""

    attempt: Attempt
    reader: PictureReader

    def stage(self, source: Path, below: Path, final: Path) -> Staged:
        """Bring the file *source*, that a render has written below the folder *below*, to where it is to be *final*, under a
        temporary name. Raises `BadSource` or `OSError`."""
        attempt = self.attempt
        root, relative = attempt.where(final)
        name = temporary_name(final.name, attempt.grant.attempt)
        attempt.leftovers.note(TEMPORARY, root, (PurePath(relative).parent / name).as_posix())
        kept = attempt.place.confinement.sandbox
        most = shutil.disk_usage(root).free - attempt.place.least_free if kept else None
        with attempt.step("stage"):
            return stage(root, relative, source, name, below, copies=kept, most=most, progress=attempt.check)

    def look(self, staged: Staged, size: tuple[int, int] | None, filled: bool = False, small: bool = False) -> Seen:
        """Verify the picture *staged*. Raises `BadPicture`."""
        return self._look(OpenFile(staged.descriptor, staged.waiting), size, filled, small)

    def look_at(self, final: Path, size: tuple[int, int] | None, small: bool = False) -> Seen:
        """Verify the picture *final*, which is there. Raises `BadPicture`, also where there is no file."""
        with self.opened(final) as file:
            return self._look(file, size, False, small)

    def ask(self, do: str, files: Sequence[OpenFile], **values: Any) -> dict[str, Any]:
        """Have another reading done (`brender.engines.readings`). Raises `BadPicture` or `CannotMerge`."""
        return self.reader.ask(do, files, self.attempt.check, **values).answer

    @contextlib.contextmanager
    def opened(self, final: Path) -> Iterator[OpenFile]:
        """Open the file *final* for the length of the block. Raises `BadPicture` where that is not a regular file."""
        root, relative = self.attempt.where(final)
        try:
            descriptor = read(root, relative)
        except OSError as error:
            raise BadPicture(f"{final}: {error.strerror}") from error
        try:
            yield OpenFile(descriptor, final)
        finally:
            os.close(descriptor)

    def digest(self, descriptor: int) -> str:
        """Return the SHA-256 of the open file, where it is to travel; else ""."""
        if not self.attempt.order.bundle:
            return ""
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()

    def signature(self, final: Path) -> Signature | None:
        """Return what tells the file *final* from one that takes its place; ``None`` if *final* is missing."""
        return signature(*self.attempt.where(final))

    def holds_something(self, final: Path) -> bool:
        """Return whether there is a file *final* that is not empty."""
        root, relative = self.attempt.where(final)
        with contextlib.suppress(OSError), Directory.open(root, PurePath(relative).parent) as directory:
            found = directory.stat(final.name)
            return found is not None and stat.S_ISREG(found.st_mode) and found.st_size > 0
        return False

    @contextlib.contextmanager
    def held(self, final: Path) -> Iterator[None]:
        """Let an empty file hold the name *final* for the length of the block."""
        root, relative = self.attempt.where(final)
        self.attempt.leftovers.note(PLACEHOLDER, root, relative)
        with Directory.open(root, PurePath(relative).parent, make=True) as directory:
            with contextlib.suppress(FileExistsError):
                os.close(directory.create(final.name))
            try:
                yield
            finally:
                directory.remove_empty(final.name)

    def publish(self, staged: Staged, before: Signature | None) -> None:
        """Give the file its name, when the worker holds its lease; until then it waits under its temporary one. *before*: what
        was there when its rendering began (`signature`). Raises `AttemptStopped`."""
        with self.attempt.step("publish"):
            self._publish(staged, before)

    def _publish(self, staged: Staged, before: Signature | None) -> None:
        attempt, waited = self.attempt, time.monotonic()
        lease, own = attempt.place.lease, attempt.grant.attempt
        staged.flush()
        while True:
            held = lease.wait(own, _LEASE_LOOK_SECONDS)
            attempt.check()
            if held:
                published = staged.publish(lambda: lease.holds(own), before, attempt.grant.repeats)
                if published is Published.THERE:
                    attempt.log.say(f"{staged.name} has come there meanwhile, by another attempt, and stays")
                if published is Published.NOT_OURS:
                    raise AttemptStopped
                if published is not Published.NOT_HELD:
                    return
            if time.monotonic() - waited > _SAID_SECONDS:
                waited = time.monotonic()
                attempt.log.say(f"waiting for the server before {staged.name} is published")

    def _look(self, file: OpenFile, size: tuple[int, int] | None, filled: bool, small: bool) -> Seen:
        length = os.fstat(file.descriptor).st_size
        if length == 0:
            raise BadPicture("the file that was written is empty")
        digest = bool(self.attempt.order.bundle)
        with self.attempt.step("read"):
            read = self.reader.ask(
                "look",
                [file],
                self.attempt.check,
                size=list(size) if size else None,
                filled=filled,
                digest=digest,
                **({"small": True} if small else {}),
            )
        try:
            said = read.answer
            picture = Picture(
                int(said["width"]), int(said["height"]), tuple(map(str, said["warnings"])), None, str(said["empty"])
            )
            return Seen(picture, length, str(said["digest"]), read.small)
        except (KeyError, TypeError, ValueError) as error:  # from a process that a picture has taken over
            raise BadPicture("reading it ended in an answer that makes no sense") from error


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Have what is wrong with a file, which is *what*, be why the attempt failed. Raises `AttemptFailed`."""
    try:
        yield
    except (BadPicture, BadSource) as error:
        raise AttemptFailed(f"{what}: {error}") from error

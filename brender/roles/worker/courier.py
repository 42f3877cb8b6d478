"""The worker's courier: its connection for files and its cache of blobs, as engines need them."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from brender.engines.job_files import delete_unused
from brender.model.frame_file import FrameFile
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from brender.transfer.worker import FileSender


class FileCourier:
    """Brings blobs into *store*, which is *sender*'s, and frames to the server."""

    def __init__(self, sender: FileSender, store: BlobStore) -> None:
        self._sender = sender
        self._store = store

    def fetch(self, blob: str, targets: Sequence[Path], ended: Callable[[str], None]) -> None:
        self._sender.fetch(blob, ended, targets)

    def lay_out(self, blob: str, target: Path) -> None:
        self._store.lay_out(blob, target)

    def make_room(self, needed: int, blobs: Collection[str], free: int) -> tuple[int, int]:
        return self._store.make_room(needed, blobs, free)

    def moved(self) -> int:
        return self._sender.moved

    def refused(self) -> str:
        return self._sender.refused

    def deliver(self, file: FrameFile, ended: Callable[[str], None]) -> None:
        self._sender.send_frame(file, ended)


def delete_jobs_of_others(folder: DataFolder, own: Path) -> None:
    """Delete the files of jobs that workers of *folder* which do not run have laid out, but those of the last week.

    They count in the limit of the cache that all of them share. *own* is the caller's folder.
    """
    for other in own.parent.iterdir():
        if other != own and not folder.is_locked(f"worker-{other.name}"):
            delete_unused(other / "jobs", time.time())

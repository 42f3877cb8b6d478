"""The worker's courier: its connection for files and its cache of blobs, as engines need them."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from brender.model.frame_file import FrameFile
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

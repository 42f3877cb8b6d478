"""The worker's courier: its connection for files and its cache of blobs, as engines need them."""

from collections.abc import Callable
from pathlib import Path

from brender.model.frame_file import FrameFile
from brender.transfer.blob_store import BlobStore
from brender.transfer.worker import FileSender


class FileCourier:
    """Brings blobs into *store*, which is *sender*'s, and frames to the server."""

    def __init__(self, sender: FileSender, store: BlobStore) -> None:
        self._sender = sender
        self._store = store

    def has(self, blob: str) -> bool:
        return self._store.has(blob)

    def fetch(self, blob: str, ended: Callable[[str], None]) -> None:
        self._sender.fetch(blob, ended)

    def read(self, blob: str) -> bytes:
        return self._store.path(blob).read_bytes()

    def lay_out(self, blob: str, target: Path) -> None:
        self._store.lay_out(blob, target)

    def deliver(self, file: FrameFile, arrived: Callable[[], None]) -> None:
        self._sender.send_frame(file, arrived)

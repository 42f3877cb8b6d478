"""A worker's end of a transfer as a process of its own, to be killed: ``python -m tests.pulling SERVER FOLDER BLOB``.

Joins the farm whose server's data folder is SERVER as the worker w of the data folder FOLDER, if it has not, and has the blob
come into FOLDER/blobs; its exit code is 0 once it is there."""

import sys
import threading
from pathlib import Path

from brender.bus.keys import Credentials, kept_pair
from brender.bus.membership import Membership
from brender.commands.joining import join_as_node
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder
from brender.transfer.blob_store import BlobStore
from brender.transfer.worker import FileSender
from tests.tools import invite, until


def pull(server: Path, folder: Path, blob: str) -> str:
    """Have *blob* come; "" once it is there, or why it cannot."""

    def joined() -> Membership | None:
        membership = join_as_node(DataFolder(folder), KeyRole.WORKER, "w", invite("worker", server), None)
        return membership if membership.managers else None

    (place,) = until(joined).manager_addresses()
    sender = FileSender(BlobStore(folder / "blobs", 10**11))
    sender.start()
    sender.turn_to(place.files, Credentials(kept_pair(folder / "workers" / "w" / "key"), place.key))
    over, reasons = threading.Event(), []

    def ended(reason: str) -> None:
        reasons.append(reason)
        over.set()

    sender.fetch(blob, ended)
    over.wait()
    sender.stop()
    return str(reasons[0])


if __name__ == "__main__":
    sys.exit(pull(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]) or 0)

"""Sending what a job needs to the farm."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from brender.blendfile.packing import Packed, digest_of_file, packed
from brender.bus.keys import Credentials
from brender.commands.options import as_commands
from brender.commands.output import say
from brender.commands.output import size as in_words
from brender.engines.ocio import configuration_to_send
from brender.model.bundle import as_bytes
from brender.model.text import plural
from brender.transfer.client import Exchange


def send_files(file: Path, server: str | None, data: Path, ocio: str = "") -> dict[str, Any]:
    """Send *file* and all that it needs to the farm, the OCIO configuration *ocio* too; returns what its job has of that
    (``bundle``, ``main`` and ``ocio``). Only what the farm does not have yet is sent. Raises `BadInput` or `Unreachable`."""
    with packed(file, configuration=ocio) as pack, exchange(server, data) as connection, tempfile.TemporaryDirectory() as folder:
        configuration, added = configuration_to_send(ocio, Path(folder))
        bundle, blobs = Packed(pack.main, pack.files | added).bundle()
        listed = Path(folder) / "bundle"
        listed.write_bytes(as_bytes(bundle))
        digest, _ = digest_of_file(listed)
        with transfer_bar() as bar:
            task = bar.add_task("sending", total=None)
            sent = connection.send(blobs | {digest: listed}, lambda done, total: bar.update(task, completed=done, total=total))
        total = in_words(sum(each.size for each in bundle.files))
        new = len(set(sent) - {digest})
        say(f"{plural(len(bundle.files), 'file')}, {total}; {new} of them new to the farm", err=True)
        return {"bundle": digest, "main": bundle.main, "ocio": configuration}


def exchange(server: str | None, data: Path) -> Exchange:
    """Return a connection for files to the server that the options name."""
    addresses, pair = as_commands(server, data)
    return Exchange(addresses.files, Credentials(pair, addresses.key))


def transfer_bar() -> Progress:
    """Return a progress bar for files on their way, which goes when it is done. Nothing is shown where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, transient=True, disable=not sys.stdout.isatty())

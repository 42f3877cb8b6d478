"""Sending what a job needs to the farm, over the bus: its files, and its Blender add-ons."""

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from brender.api.connection import Bytes, Notify
from brender.api.place import Place
from brender.blendfile.packing import Packed, digest_of_file, packed
from brender.engines.addon_archive import PackedAddOn, packed_addons
from brender.engines.ocio import configuration_to_send
from brender.model.addon import AddOn
from brender.model.bundle import as_bytes
from brender.model.job import FileFacts
from brender.model.text import plural, size_in_words


class Showing(Protocol):
    """Shows how far something is, such as ``sending``, for the length of the block."""

    def __call__(self, what: str, /) -> AbstractContextManager[Bytes]: ...


def send_files(
    file: Path, facts: FileFacts, place: Place, ocio: str, notify: Notify, showing: Showing
) -> tuple[FileFacts, dict[str, Any]]:
    """Send *file* and all that it needs to the farm, the OCIO configuration *ocio* too; returns the *facts* of what was sent, and
    what its job has of that (``bundle``, ``main`` and ``ocio``). Only what the farm does not have yet is sent. Raises `BadInput`
    or `Unreachable`."""
    with packed(file, configuration=ocio) as pack:
        if why := pack.why_newer(facts):
            notify(why)
        return pack.facts(facts), send_pack(pack, place, ocio, notify, showing)


def send_pack(pack: Packed, place: Place, ocio: str, notify: Notify, showing: Showing) -> dict[str, Any]:
    """Send the files of *pack*, and the OCIO configuration *ocio*, likewise."""
    with place.exchange() as connection, tempfile.TemporaryDirectory() as folder:
        configuration, added = configuration_to_send(ocio, Path(folder))
        bundle, blobs = Packed(pack.main, pack.files | added).bundle()
        listed = Path(folder) / "bundle"
        listed.write_bytes(as_bytes(bundle))
        digest, _ = digest_of_file(listed)
        with showing("sending") as progress:
            sent = connection.send(blobs | {digest: listed}, progress)
        total = size_in_words(sum(each.size for each in bundle.files))
        new = len(set(sent) - {digest})
        notify(f"{plural(len(bundle.files), 'file')}, {total}; {new} of them new to the farm")
        return {"bundle": digest, "main": bundle.main, "ocio": configuration}


def send_packed(packed: Sequence[PackedAddOn], place: Place, showing: Showing) -> None:
    """Send the add-ons *packed* to the farm, as far as it does not have them. Raises `BadInput` or `Unreachable`."""
    if not packed:
        return
    with place.exchange() as connection, showing("sending add-ons") as progress:
        connection.send({each.addon.digest: each.blob for each in packed}, progress)


def send_addons(paths: Sequence[Path], place: Place, showing: Showing) -> tuple[AddOn, ...]:
    """Send the add-ons at *paths* to the farm; return what its jobs have of them. Raises `BadInput` or `Unreachable`."""
    with packed_addons(paths) as packed:
        send_packed(packed, place, showing)
        return tuple(each.addon for each in packed)

"""The devices that Cycles renders on, and what a worker's choice of them means. Pure."""

from collections.abc import Iterable, Sequence

import msgspec

from brender.model.errors import BadInput
from brender.model.field_types import Count

#: The kinds of GPU devices, the faster of two that drive the same card first.
GPU_KINDS = ("optix", "cuda", "hip", "oneapi", "metal")
CPU = "cpu"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device of Cycles. ``index`` counts those of one kind, ``id`` is Blender's own."""

    kind: str
    index: Count = 0
    name: str = ""
    id: str = ""

    @property
    def card(self) -> str:
        """What is the same of two devices that drive one card: Blender gives the OptiX device the id of the CUDA device, with an
        end of its own (Cycles' ``device/optix/device.cpp``)."""
        return self.id.removesuffix("_OptiX") or self.name

    @property
    def label(self) -> str:
        return self.kind if self.kind == CPU else f"{self.kind}:{self.index}"


def best(found: Iterable[Device]) -> tuple[Device, ...]:
    """Of *found* each card once: as an OptiX device where it is a CUDA device too."""
    devices = list(found)
    by_optix = {device.card for device in devices if device.kind == "optix"}
    return tuple(device for device in devices if device.kind != "cuda" or device.card not in by_optix)


def choose_devices(named: Sequence[str], found: Iterable[Device]) -> tuple[Device, ...]:
    """Return what a worker is bound to: the devices *named* (``auto``, ``cpu``, ``optix``, ``cuda:1``…; none is ``auto``) of
    those that were *found*. Empty means the CPU. All must be of one kind, since Blender renders with one kind at a time.

    Raises `BadInput` where one is named that is not there.
    """
    found = list(found)
    if not named or list(named) == ["auto"]:
        chosen = best(found)
        return tuple(device for device in chosen if device.kind == chosen[0].kind)
    chosen_by_name: list[Device] = []
    for name in named:
        kind, colon, index = name.lower().partition(":")
        if kind == CPU and not colon:
            continue
        if kind not in GPU_KINDS or (colon and not index.isdecimal()):
            raise BadInput(f"--device {name!r} is not a device: write auto, cpu, {', '.join(GPU_KINDS)}, or such as optix:0")
        here = [device for device in found if device.kind == kind and (not colon or device.index == int(index))]
        if not here:
            have = ", ".join(f"{device.label} ({device.name})" for device in found) or "no GPU that Cycles can use"
            raise BadInput(f"There is no device {name!r} here. Blender finds: {have}")
        chosen_by_name += here
    if len({device.kind for device in chosen_by_name} | ({CPU} & set(named))) > 1:
        raise BadInput(f"--device {', '.join(named)}: Blender renders with one kind of device at a time, so name one kind")
    return tuple(dict.fromkeys(chosen_by_name))


def device_tags(devices: Iterable[Device]) -> frozenset[str]:
    """Return the tags that a worker has by its *devices*: ``gpu`` and their kinds, or ``cpu``."""
    kinds = {device.kind for device in devices}
    return frozenset({"gpu", *kinds} if kinds else {CPU})


def share_out(wanted: str, found: Iterable[Device], cores: int) -> list[tuple[str, int]]:
    """Return the slots that ``--slots`` *wanted* (a number, or ``auto``) makes of a machine: the device and CPU threads of each.

    ``auto``: one slot for each GPU; on a machine without one, a single slot with all *cores*. A number: so many slots that
    share the CPU's threads. Raises `BadInput`.

    >>> share_out("auto", [Device(kind="optix", index=0), Device(kind="optix", index=1)], 16)
    [('optix:0', 8), ('optix:1', 8)]
    """
    if wanted == "auto":
        labels = [device.label for device in best(found)] or [CPU]
    elif wanted.isdecimal() and 1 <= int(wanted) <= 256:
        labels = [CPU] * int(wanted)
    else:
        raise BadInput(f"--slots {wanted!r} is neither a number from 1 to 256 nor auto")
    return [(label, max(1, cores // len(labels))) for label in labels]

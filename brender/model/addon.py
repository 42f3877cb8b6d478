"""Blender add-ons that jobs bring, or that the farm has for all jobs. Pure."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from brender.model.errors import BadInput
from brender.model.field_types import Count, Text

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_Module = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$")]
_Version = tuple[Count, ...]

#: The first Blender that knows extensions.
EXTENSIONS_SINCE = (4, 2)
#: Add-ons of one job.
_MOST = 50


class AddOn(msgspec.Struct, frozen=True, kw_only=True):
    """A Blender add-on, pinned by its content. ``name`` and ``version`` are its own words, for people."""

    name: Text
    module: _Module
    """What Blender imports it as, or, of an extension, its id."""
    version: Text = ""
    digest: _Digest
    """The blob that has its files (brender.engines.addon_archive)."""
    size: Count
    """Bytes of that."""
    is_extension: bool = False
    """It has a ``blender_manifest.toml``."""
    oldest: _Version = ()
    """The oldest Blender that takes it, such as ``(4, 2, 0)``; empty: any."""
    before: _Version = ()
    """It is for Blenders before this version; empty: all."""
    of_site: bool = False
    """The farm has it for all jobs."""

    @property
    def label(self) -> str:
        """Its name and version, for people."""
        return f"{self.name} {self.version}" if self.version else self.name

    @property
    def subject(self) -> str:
        """Whose it is, its name and its version, for the middle of a sentence."""
        whose = "the farm's" if self.of_site else "the"
        return f"{whose} add-on {self.label}"

    @property
    def remedy(self) -> str:
        """How to do without it, as a clause."""
        if self.of_site:
            return f"`brender addon remove {self.module}` takes it from the farm, `--no-site-addons` leaves it out of a job"
        return "submit the job without it, or with another version"


def check_addons(addons: Iterable[AddOn]) -> None:
    """Raises `BadInput` where *addons* cannot be those of one job."""
    seen: dict[str, AddOn] = {}
    for addon in addons:
        if addon.module.casefold() in seen:
            other = seen[addon.module.casefold()]
            raise BadInput(
                f"The add-ons {other.label} and {addon.label} are both called {addon.module} in Blender: leave one of them out"
            )
        seen[addon.module.casefold()] = addon
    if len(seen) > _MOST:
        raise BadInput(f"The job has {len(seen)} add-ons, and may have {_MOST}")


def with_those_of_site(own: Iterable[AddOn], of_site: Iterable[AddOn]) -> tuple[AddOn, ...]:
    """Return the add-ons of a job that brings its *own*: those, and *of_site* the ones of which it brings no other version."""
    brought = tuple(msgspec.structs.replace(addon, of_site=False) for addon in own)
    modules = {addon.module.casefold() for addon in brought}
    added = (msgspec.structs.replace(addon, of_site=True) for addon in of_site if addon.module.casefold() not in modules)
    return (*added, *brought)


def oldest_series(addons: Iterable[AddOn]) -> tuple[int, int] | None:
    """Return the oldest series of Blender that takes all *addons*; ``None``: any does."""
    return max(((addon.oldest[0], addon.oldest[1]) for addon in addons if len(addon.oldest) > 1), default=None)

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
#: How a line begins that says which add-on is being enabled.
ENABLING = "enabling"
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
    def bounds(self) -> str:
        """Which Blenders take it, as a clause, or "" if all do."""
        said = [f"needs Blender {_dotted(self.oldest)} or later"] if self.oldest else []
        return " and ".join([*said, f"is for Blenders before {_dotted(self.before)}"] if self.before else said)

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

    def takes(self, version: _Version) -> bool:
        """Return whether the Blender of that *version*, or, where it has two numbers, the first of that series, takes it."""
        return not self.why_not(version)

    def why_not(self, version: _Version) -> str:
        """Return why it does not take the Blender of *version*, as a clause, or "" if it does."""
        if self.oldest and version < _short(self.oldest):
            return f"needs Blender {_dotted(self.oldest)} or later"
        if self.before and version >= _short(self.before):
            return f"is for Blenders before {_dotted(self.before)}"
        return ""


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
    bounds = bounding(seen.values())
    if len(bounds) == 2 and _short(bounds[0].oldest) >= _short(bounds[1].before):
        (newest, oldest), remedies = bounds, "; ".join(dict.fromkeys(each.remedy for each in bounds))
        raise BadInput(
            f"No Blender takes two add-ons together: {newest.subject} needs Blender {_dotted(newest.oldest)} or later, and "
            f"{oldest.subject} is for Blenders before {_dotted(oldest.before)}: {remedies}"
        )


def with_those_of_site(own: Iterable[AddOn], of_site: Iterable[AddOn]) -> tuple[AddOn, ...]:
    """Return the add-ons of a job that brings its *own*: those, and *of_site* the ones of which it brings no other version."""
    brought = tuple(msgspec.structs.replace(addon, of_site=False) for addon in own)
    modules = {addon.module.casefold() for addon in brought}
    added = (msgspec.structs.replace(addon, of_site=True) for addon in of_site if addon.module.casefold() not in modules)
    return (*added, *brought)


def bounding(addons: Iterable[AddOn]) -> tuple[AddOn, ...]:
    """Return those of *addons* that say which Blenders take all of them: first the one that needs the newest Blender, then the
    one that is for the oldest, as far as there are such."""
    known = tuple(addons)
    newest = max((addon for addon in known if addon.oldest), key=lambda addon: _short(addon.oldest), default=None)
    oldest = min((addon for addon in known if addon.before), key=lambda addon: _short(addon.before), default=None)
    return tuple(dict.fromkeys(addon for addon in (newest, oldest) if addon is not None))


def _short(version: _Version) -> _Version:
    """Return *version* without the zero at its end: 4.2.0 is where the series 4.2 begins."""
    return version[:2] if version[2:] == (0,) else version


def _dotted(version: _Version) -> str:
    return ".".join(map(str, _short(version)))

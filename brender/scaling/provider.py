"""What starts workers somewhere: the protocol of providers, and which there are.

A provider is a class. It is found by the name that `brender scale --provider` takes: among the built-in ones, or, of others that
are installed, by an entry point of the group ``brender.providers``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

from brender.model.errors import BadInput, BrenderError
from brender.scaling.fleet import Allocation

_BUILT_IN = {
    "local": ("brender.scaling.local", "Local"),
    "slurm": ("brender.scaling.slurm", "Slurm"),
    "kubernetes": ("brender.scaling.kubernetes", "Kubernetes"),
}
_GROUP = "brender.providers"


class ProviderRefused(BrenderError):
    """A provider did not do what it was asked, and says why."""

    exit_code = 2


@dataclass(frozen=True)
class FleetSettings:
    """What a provider is made with.

    ``farm`` is a short mark of the farm, ``name`` the fleet's; workers' names begin with it, and what is started is labeled with
    both, so that it is found again. ``folder``: the data folder of this machine. ``command``: the words that start a worker
    ("": the provider's own choice), ``options`` those that it gets besides. ``data``: the data folder of the workers, where they
    are not to have the provider's own choice. ``notice``: seconds before it is ended that a worker is asked to leave. ``own``:
    the options that are the provider's own, by name.
    """

    farm: str
    name: str
    folder: Path
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    data: str = ""
    notice: float = 120.0
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The tag that each of the workers has."""
        return tag_of(self.name)

    def own_option(self, name: str) -> str | None:
        """Return the last value of a provider's *own* option; ``None`` where it was not given."""
        given = self.own.get(name) or (None,)
        return given[-1]

    def worker_words(self, name: str, data: str | None) -> list[str]:
        """Return the words that a worker called *name* is started with, after its command; *data*: its data folder, ``None``
        where that is given later."""
        words = ["--name", name, "--tag", self.tag, *self.options]
        return [*words, "--data", data] if data is not None else words


class Provider(Protocol):
    """Starts workers, lists them, and ends them. What it is asked and does not do, it says why: `ProviderRefused`."""

    def __init__(self, settings: FleetSettings) -> None: ...

    def check(self) -> None:
        """Raise `BadInput` or `ProviderRefused` where starts could not work. Starts nothing."""

    def start(self, name: str, join: str) -> None:
        """Have a worker called *name* started, that joins by the token *join*, which only its owner may see."""

    def allocations(self) -> list[Allocation]:
        """Return all workers of this fleet, also those for which an earlier process of `brender scale` asked."""

    def withdraw(self, name: str, at_once: bool) -> None:
        """End the worker *name*, which renders nothing. *at_once*: it was asked before, and is there still."""

    def tidy(self, name: str) -> None:
        """Remove what the worker *name*, which is gone, has left behind."""

    def trace(self, name: str) -> str:
        """Return what the worker *name* said last, or where that is found, for a sentence, or "" if nobody knows."""


def tag_of(fleet: str) -> str:
    """Return the tag of workers of *fleet*."""
    return f"fleet-{fleet}"


def provider_class(name: str) -> type[Provider]:
    """Return the provider called *name*. Raises `BadInput` with the names there are."""
    others = {entry.name: entry for entry in entry_points(group=_GROUP)}
    try:
        if name in _BUILT_IN:
            module, attribute = _BUILT_IN[name]
            return cast("type[Provider]", getattr(import_module(module), attribute))
        if name in others:
            return cast("type[Provider]", others[name].load())
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"The provider {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    raise BadInput(f"There is no provider {name!r}; there are: {', '.join(sorted({*_BUILT_IN, *others}))}")

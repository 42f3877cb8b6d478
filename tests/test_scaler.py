"""What `brender scale` does with a provider that refuses, with workers that never join, and where the farm is away."""

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import cast

import pytest

from brender.model.errors import BadInput, Unreachable
from brender.scaling.decisions import Limits, Work
from brender.scaling.farm import FarmLink, FarmView
from brender.scaling.fleet import Allocation
from brender.scaling.provider import Provider, ProviderRefused, provider_class
from brender.scaling.scaler import Scaler

LIMITS = Limits(least=2, most=4, join=600.0)


@dataclass
class Cluster:
    """A provider and a farm, of which a test says how they stand; ``done`` is what was done, in order."""

    now: float = 0.0
    running: dict[str, bool] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    hides: str = ""
    away: str = ""
    done: list[str] = field(default_factory=list)

    # as a provider
    def start(self, name: str, join: str) -> None:
        if self.refuses:
            raise ProviderRefused(self.refuses)
        self.running[name] = True
        self.done.append("start")

    def allocations(self) -> list[Allocation]:
        if self.hides:
            raise ProviderRefused(self.hides)
        return [Allocation(name, runs) for name, runs in self.running.items()]

    def withdraw(self, name: str, at_once: bool) -> None:
        self.done.append("kill" if at_once else "end")

    def tidy(self, name: str) -> None:
        self.done.append("tidy")

    def trace(self, name: str) -> str:
        return "no such farm"

    # as a farm
    def look(self, now: float) -> FarmView:
        if self.away:
            raise Unreachable(self.away)
        rows = [{"name": name, "id": f"id-{name}", "status": status} for name, status in self.workers.items()]
        return FarmView(rows, Work())

    def token(self, uses: int, seconds: float) -> tuple[str, str]:
        self.done.append(f"token for {uses}")
        return "brender-token", "id"

    def revoke_token(self, id: str) -> None:
        self.done.append("revoke token")

    def revoke_key(self, name: str) -> None:
        self.done.append("revoke key")

    def drain(self, name: str) -> None:
        self.done.append("drain")

    def forget(self, id: str, name: str) -> bool:
        self.done.append("forget")
        del self.workers[name]
        return True


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def scaler(cluster: Cluster) -> Scaler:
    return Scaler("p", cast(Provider, cluster), cast(FarmLink, cluster), LIMITS, lambda: cluster.now)


def after(cluster: Cluster, scaler: Scaler, seconds: float) -> list[str]:
    """What is done at the look so many seconds later."""
    cluster.done.clear()
    cluster.now += seconds
    scaler.step()
    return cluster.done


def test_a_provider_that_refuses_is_asked_later_and_later_and_its_token_is_revoked(cluster: Cluster, scaler: Scaler) -> None:
    cluster.refuses = "Slurm is down"
    assert after(cluster, scaler, 0) == ["token for 2", "revoke token"]
    assert scaler.refused == "Slurm is down"
    assert after(cluster, scaler, 14) == []
    assert after(cluster, scaler, 2) == ["token for 1", "revoke token"], "with a single worker"
    assert after(cluster, scaler, 29) == []
    cluster.refuses = ""
    assert after(cluster, scaler, 2) == ["token for 1", "start"]
    assert after(cluster, scaler, 5) == [], "the others wait for that one to join"
    cluster.workers = dict.fromkeys(cluster.running, "idle")
    assert after(cluster, scaler, 5) == ["token for 1", "start"]


def test_where_the_farm_is_away_nothing_is_started_or_ended(cluster: Cluster, scaler: Scaler) -> None:
    cluster.away = "The server did not answer"
    with pytest.raises(Unreachable):
        after(cluster, scaler, 0)
    with pytest.raises(Unreachable):
        after(cluster, scaler, 3600)
    assert cluster.done == [] and not cluster.running


def test_where_the_provider_lists_nothing_nothing_is_started(cluster: Cluster, scaler: Scaler) -> None:
    cluster.hides = "Slurm did not list its jobs"
    with pytest.raises(ProviderRefused):
        after(cluster, scaler, 0)
    assert cluster.done == []


def test_one_that_never_joins_is_asked_to_end_and_then_killed(cluster: Cluster, scaler: Scaler) -> None:
    assert after(cluster, scaler, 0) == ["token for 2", "start", "start"]
    assert after(cluster, scaler, 5) == []
    assert after(cluster, scaler, 599) == []
    assert after(cluster, scaler, 1) == ["revoke key", "revoke key", "end", "end"]
    assert "did not join within 10 min: no such farm" in scaler.refused
    assert after(cluster, scaler, 1) == [], "it has a minute for it, and the next is tried after a while, and with one"
    assert after(cluster, scaler, 59) == ["kill", "kill", "token for 1", "start"]
    cluster.running = dict(list(cluster.running.items())[-1:])
    assert after(cluster, scaler, 1) == []


def test_one_that_ends_before_it_joins_is_a_failed_start(cluster: Cluster, scaler: Scaler) -> None:
    after(cluster, scaler, 0)
    after(cluster, scaler, 1)
    cluster.running.clear()
    assert after(cluster, scaler, 5) == ["revoke key", "tidy", "revoke key", "tidy"]
    assert scaler.refused.endswith("ended before it joined: no such farm")
    assert after(cluster, scaler, 10) == []
    assert after(cluster, scaler, 5) == ["token for 1", "start"]


def test_one_that_has_left_is_forgotten(cluster: Cluster, scaler: Scaler) -> None:
    after(cluster, scaler, 0)
    cluster.workers = dict.fromkeys(cluster.running, "idle")
    assert after(cluster, scaler, 5) == []
    name = next(iter(cluster.running))
    cluster.workers[name] = "offline"
    assert after(cluster, scaler, 5) == ["token for 1", "start"], "its process may still be there"
    del cluster.running[name]
    assert after(cluster, scaler, 5) == ["forget", "tidy"]


def test_started_again_it_starts_nothing_twice(cluster: Cluster, scaler: Scaler) -> None:
    after(cluster, scaler, 0)
    other = Scaler("p", cast(Provider, cluster), cast(FarmLink, cluster), LIMITS, lambda: cluster.now)
    assert after(cluster, other, 1) == []


def test_others_may_bring_providers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"cloud": "tests.test_scaler:Cluster", "broken": "nothing:X"}
    found = [EntryPoint(name, value, "brender.providers") for name, value in named.items()]
    monkeypatch.setattr("brender.scaling.provider.entry_points", lambda group: found)
    assert provider_class("cloud") is Cluster
    with pytest.raises(BadInput, match="The provider 'broken' cannot be loaded: ModuleNotFoundError"):
        provider_class("broken")
    with pytest.raises(BadInput, match="there are: broken, cloud, kubernetes, local, slurm"):
        provider_class("clouds")

"""Leases: who may publish frames, and who may not although it was heard again."""

import pytest

from brender.bus.messages import Hello, Joined, Left, Moved, Renew, Renewed, Welcome, WhoAreYou
from brender.roles.effects import Now, Peer, Reply
from brender.roles.manager.core import ManagerCore
from tests.world import World, animation


def test_a_manager_that_the_server_does_not_know_has_no_lease_for_its_workers_before_it_is_welcome() -> None:
    """The server may have given their attempts to others: under their old registration they must not publish."""
    world = World()
    world.add_worker("one")
    manager, now = world.managers["m"], Now(world.now + 5.0, 0.0)
    lease, term = manager.lease_until, manager.workers[world.workers["one"].core.info.id].term
    manager.from_above(WhoAreYou(), now)
    manager.from_above(Renewed(sent=now.mono, seconds=30.0), now)
    assert manager.lease_until == lease
    manager.from_above(Welcome(node="5e" * 8, name="server", software="3", heartbeat_seconds=1.0, lease_seconds=30.0), now)
    manager.from_above(Renewed(sent=now.mono, seconds=30.0), now)
    assert manager.lease_until == now.mono + 30.0
    assert manager.workers[world.workers["one"].core.info.id].term != term


def test_a_manager_with_a_worker_that_the_server_has_given_up_gets_no_lease_before_it_introduces_both_again() -> None:
    world = World()
    world.add_worker("one")
    peer = Peer("local", b"m", world.managers["m"].hello.node, "manager")
    known = world.workers["one"].core.info.id
    answers = world.server.handle(peer, Renew(sent=world.now, workers=(known, "given-up")), Now(world.now, 0.0))
    assert [type(each.message) for each in answers if isinstance(each, Reply)] == [WhoAreYou]
    answers = world.server.handle(peer, Renew(sent=world.now, workers=(known,)), Now(world.now, 0.0))
    assert [type(each.message) for each in answers if isinstance(each, Reply)] == [Renewed]


def test_the_late_word_that_a_worker_is_gone_does_not_take_its_work_once_it_is_there_again() -> None:
    world = World()
    worker = world.add_worker("one")
    job = world.submit(animation("1"))["id"]
    peer = Peer("local", b"m", world.managers["m"].hello.node, "manager")
    known = world.server.farm.workers[worker.core.info.id]
    for number, is_there in ((0, True), (1, False)):
        manager, incarnation, terms = known.term.split(".")
        term = f"{manager}.{incarnation}.{int(terms) - 1 + number:010d}"
        world.server.handle(peer, Left(worker=known.info.id, reason="was not heard", term=term), Now(world.now, 0.0))
        assert (known.info.id in world.server.farm.workers) is is_there
    world.run(1.0)
    assert {row["outcome"] for row in world.ask("attempts", job=job)} >= {"lost"}


def test_a_worker_that_the_server_counts_under_an_earlier_registration_gets_its_work_all_the_same() -> None:
    """The word of the later one came first, and the word that an earlier one had ended between the two."""
    world = World()
    worker = world.add_worker("one")
    peer = Peer("local", b"m", world.managers["m"].hello.node, "manager")
    known = world.server.farm.workers[worker.core.info.id]
    manager, incarnation, _ = known.term.split(".")
    world.server.handle(peer, Left(worker=known.info.id, reason="is not there"), Now(world.now, 0.0))
    earlier = Joined(worker=worker.core.info, term=f"{manager}.{incarnation}.{0:010d}")
    world.server.handle(peer, earlier, Now(world.now, 0.0))
    job = world.submit(animation("1-2"))["id"]
    world.run(10.0)
    assert sorted(world.finish_everything()) == [1, 2]
    assert world.status(job) == "completed"


def test_late_word_that_a_worker_has_moved_does_not_take_its_work_once_it_has_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The word was so long on its way that the worker was registered with its first manager again when it arrived."""
    world = World()
    worker = world.add_worker("one", manager="m n")
    job = world.submit(animation("1"))["id"]
    late: list[Moved] = []
    deliver = world._to_manager
    keep = lambda name, message: late.append(message) if isinstance(message, Moved) else deliver(name, message)  # noqa: E731
    monkeypatch.setattr(world, "_to_manager", keep)
    for silent, other in (("m", "n"), ("n", "m")):
        world.dead = {silent}
        world.run(world.policy.lease)
        assert worker.manager == other
    manager, first = world.managers["m"], late[0]
    world._manage("m", manager.from_above(first, world._at()))
    other_job = world.submit(animation("2"))["id"]
    assert [row["outcome"] for each in (job, other_job) for row in world.ask("attempts", job=each)] == ["live", "live"]
    manager.from_above(Moved(worker=first.worker, term=manager.workers[first.worker].term), world._at())
    assert not manager.workers


def restart_manager(world: World, name: str = "m") -> None:
    """The manager's process ends, and another is started; its workers have not found it again yet."""
    old = world.managers[name].hello
    hello = Hello(node=old.node, incarnation=old.incarnation + 1, role="manager", name=name, host="host", software="3")
    world.managers[name] = ManagerCore(hello, world.policy)


def test_a_manager_that_starts_again_gives_up_no_worker_that_is_on_its_way_to_it() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1"))["id"]
    world.cut.add("one")
    restart_manager(world)
    world.run(1.0)
    other = world.submit(animation("2"))["id"]
    world.run(5.0)
    world.cut.clear()
    world.run(3.0)
    assert sorted(world.finish_everything()) == [1, 2]
    assert [row["outcome"] for each in (job, other) for row in world.ask("attempts", job=each)] == ["completed", "completed"]


def test_a_worker_that_does_not_come_back_to_its_restarted_manager_is_given_up_after_a_lease() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1"))["id"]
    world.run(1.0)
    world.cut.add("one")
    restart_manager(world)
    world.run(world.policy.lease / 2)
    assert [row["outcome"] for row in world.ask("attempts", job=job)] == ["live"]
    world.run(world.policy.lease * 1.5)
    assert [row["outcome"] for row in world.ask("attempts", job=job)] == ["lost"]
    assert {row["name"]: row["status"] for row in world.ask("workers")} == {"one": "offline"}

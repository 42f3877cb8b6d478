"""What roles tell of their part of the bus: counts by type, how ZeroMQ says a link is, rounds, round trips."""

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import zmq

from brender.bus.address import Address
from brender.bus.codec import decode, encode
from brender.bus.keys import Credentials, Guard, Keyring, Zap, new_pair
from brender.bus.loop import Loop
from brender.bus.messages import Beat, Beats, Bye, Event, Ping
from brender.bus.messages.base import Message
from brender.bus.rights import Door
from brender.bus.traffic import Meter
from brender.bus.transport import Socket
from brender.farm.record import Row
from brender.model.bus_figures import BusFigures, Link, LinkState, unpacked
from brender.model.field_types import Count, Id
from brender.model.keys import KeyRole, Principal
from brender.model.nodes import Stats
from brender.roles.effects import Now
from brender.roles.server.events import Listening
from tests.tools import until
from tests.world import World

ANY = Address("127.0.0.1", 0)


class Ends:
    """A manager's door that admits one worker's key, and sockets that connect to it."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.pair, self.known = new_pair(), new_pair()
        worker = Principal(id="a" * 16, public=self.known.public, role=KeyRole.WORKER, name="w", node="b" * 16)
        self.keyring = Keyring([worker])
        self.zap = Zap(self.context, self.keyring)
        self.router = Socket(self.context, zmq.ROUTER, "manager control", Guard(self.pair, self.keyring, Door.MANAGER))
        self.router.connections()
        self.address = self.router.bind(ANY, "It")
        self.connecting: list[Socket] = []

    def connect(self, pair=None, parent: str = "", address: Address | None = None) -> Socket:  # type: ignore[no-untyped-def]
        made = Socket(self.context, zmq.DEALER, "worker", Credentials(pair or self.known, parent or self.pair.public))
        made.connections()
        made.connect(address or self.address)
        self.connecting.append(made)
        return made

    def await_link(self, socket: Socket, what: Callable[[Link], bool]) -> Link:
        def look() -> Link | None:
            self.zap.answer()
            link = socket.link()
            return link if what(link) else None

        found = until(look, 10)
        assert isinstance(found, Link)
        return found


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.context.destroy(linger=0)


def test_a_link_counts_messages_by_type_and_direction_with_their_bytes(ends: Ends) -> None:
    dealer = ends.connect()
    ends.await_link(dealer, lambda link: link.state is LinkState.CONNECTED)
    for message in (Ping(), Ping(), Bye(reason="x")):
        assert dealer.send(message)
    heard = []
    until(lambda: heard.extend(ends.router.drain()) or len(heard) == 1)  # (a Ping is not a worker's to send)
    above, below = dealer.link(), ends.router.link()
    assert above.sent == {"Ping": 2, "Bye": 1} == below.received
    assert above.bytes_sent == below.bytes_received == sum(len(encode(each)[0]) for each in (Ping(), Ping(), Bye(reason="x")))
    assert below.waiting >= 1 and ends.router.link().waiting == 0, "what waited is counted again after each look"
    assert (above.send_limit, below.receive_limit) == (1000, 1000)


def test_a_link_says_how_zeromq_stands_at_both_ends(ends: Ends) -> None:
    good, stranger, mistaken = ends.connect(), ends.connect(pair=new_pair()), ends.connect(parent=new_pair().public)
    nobody = ends.connect(address=Address("127.0.0.1", 1))
    ends.await_link(good, lambda link: link.state is LinkState.CONNECTED)
    ends.await_link(stranger, lambda link: link.state is LinkState.REFUSED)
    ends.await_link(mistaken, lambda link: link.state is LinkState.FAILED)
    assert nobody.link().state is LinkState.CONNECTING
    below = ends.await_link(ends.router, lambda link: link.refused >= 1 and link.failed >= 1)
    assert below.state is LinkState.LISTENING and below.address == str(ends.address) and below.connected == 1
    good.close()
    ends.await_link(ends.router, lambda link: link.lost >= 1)
    other = ends.connect()
    ends.await_link(other, lambda link: link.state is LinkState.CONNECTED)
    ends.router.close()
    ends.await_link(other, lambda link: link.state is LinkState.DISCONNECTED)


def test_what_zeromq_does_not_take_and_what_is_no_message_is_counted(ends: Ends) -> None:
    dealer = ends.connect()
    ends.await_link(dealer, lambda link: link.state is LinkState.CONNECTED)
    assert not ends.router.send(Ping(), b"nobody")
    dealer.raw.send(b"rubbish")
    until(lambda: list(ends.router.drain()) or ends.router.link().malformed)
    below = ends.router.link()
    assert (below.unsent, below.malformed, below.sent) == (1, 1, {})


class BeatOfBefore(Message, frozen=True, kw_only=True, tag="beat"):
    """A `Beat` as the previous version declares it."""

    node: Id
    incarnation: Count
    sequence: Count
    stats: Stats | None = None


def test_heartbeats_are_understood_by_peers_of_the_previous_version_and_theirs_here() -> None:
    given = {"node": "a" * 16, "incarnation": 1, "sequence": 2}
    (new,) = encode(Beat(**given, bus=b"\x80"))
    (old,) = encode(BeatOfBefore(**given))
    assert msgspec.msgpack.decode(new, type=BeatOfBefore) == BeatOfBefore(**given)
    assert decode([old])[0] == Beat(**given)
    assert decode(encode(Event(change=1, wall=1.0, kind="job", key="k", fields={})))[0].number == 0


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x91" * 5000, msgspec.msgpack.encode({"up": -1}), b"\xa1x"])
def test_figures_that_are_none_are_left_out(data: bytes) -> None:
    assert unpacked(data) is None


def test_a_meter_tells_of_rounds_of_the_last_round_trip_and_of_what_is_not_delivered() -> None:
    loop = Loop()
    meter = Meter(loop)
    ticks = iter((lambda: time.sleep(0.03), lambda: None, loop.stop))
    loop.run(lambda: next(ticks, lambda: None)(), 0.001)
    meter.answered(0.0, 5.0)
    assert unpacked(meter.figures(())).round_trip is None, "a word that nobody asked for has no round trip"  # type: ignore[union-attr]
    meter.answered(5.0, 5.25)
    figures = unpacked(meter.figures((Link(name="x"),), held=2, outbox=3, resent=4, refusals={"server: x": 5}, commits=6, rows=7))
    assert isinstance(figures, BusFigures) and figures.rounds is not None
    assert (figures.round_trip, figures.held, figures.outbox, figures.resent) == (0.25, 2, 3, 4)
    assert figures.refusals == {"server: x": 5} and (figures.rounds.commits, figures.rounds.rows) == (6, 7)
    assert figures.rounds.count >= 3 and figures.rounds.seconds >= 0.03 and figures.rounds.longest == 0.0


def test_the_server_passes_on_what_nodes_tell_and_how_they_stand() -> None:
    world = World()
    world.add_worker("w1")
    world.run(5)
    core = world.server
    manager = next(iter(core.farm.managers.values()))
    (worker,) = manager.workers
    beat = Beat(node=worker, incarnation=1, sequence=900, bus=b"of the worker")
    beats = Beats(manager=manager.id, incarnation=manager.incarnation, sequence=901, workers=(beat,), bus=b"of the manager")
    told = {effect.key: effect.fields for effect in core.beats(beats, Now(world.now, 1.0)) if type(effect).__name__ == "Publish"}
    assert told[worker]["bus"] == b"of the worker" and told[manager.id]["bus"] == b"of the manager"
    assert (told[worker]["status"], told[worker]["manager"], told[manager.id]["status"]) == ("idle", manager.id, "online")


def test_a_manager_passes_heartbeats_on_between_its_own_so_that_a_dead_worker_is_missed_soon() -> None:
    world = World()
    world.add_worker("w1")
    world.run(5)
    (core,) = world.managers.values()

    def at(seconds: float) -> Now:
        return Now(world.now + seconds, 1.0)

    assert core.beats_due(Stats, 0, at(10.0)) is not None and core.beats_to_pass_on(0, at(10.9)) is None
    core.beat_heard(Beat(node=next(iter(core.workers)), incarnation=1, sequence=900), at(11.0))
    assert core.beats_to_pass_on(0, at(10.4)) is None
    passed = core.beats_to_pass_on(0, at(11.0))
    assert passed is not None and passed.stats is None and [beat.sequence for beat in passed.workers] == [900]
    assert core.beats_to_pass_on(0, at(11.9)) is None, "there is nothing to pass on"
    own = core.beats_due(Stats, 0, at(12.0))
    assert own is not None and own.stats is not None and own.sequence == passed.sequence + 1


def test_events_are_made_for_topics_that_somebody_listens_to_and_details_up_to_a_number_a_second() -> None:
    listening = Listening(details_a_second=3)
    rows = [Row("insert", kind, number) for number in range(4) for kind in ("part", "attempt", "job")]
    assert not listening
    listening.heard(b"\1part")
    assert listening and listening.wants("part") and not listening.wants("attempt")
    assert [row.kind for row in listening.of(rows, 1.0)] == ["part", "job", "part", "job", "part", "job", "job"]
    assert listening.left_out == 1 and [row.kind for row in listening.of(rows[:3], 1.5)] == ["job"]
    assert [row.kind for row in listening.of(rows[:3], 2.1)] == ["part", "job"], "in the next second"
    listening.heard(b"\1")
    assert listening.wants("attempt") and listening.left_out == 2
    listening.heard(b"\0part")
    listening.heard(b"\0")
    assert not listening

"""A round of the server: what arrived is applied to the farm, written in one transaction, and only then answered.

The same class runs in production, in the tests' world and in the simulation, over a store (brender.roles.server.farm_store) and
links, which are sockets or stand for them. It is crash-only: where anything raises, nothing of the round is written or sent. The
farm is read again from the record, what else had arrived is applied again, and the message that did it is set aside: kept whole
in the record for those who look into it, and refused when it comes again.
"""

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec
from peewee import InterfaceError, OperationalError

from brender.bus.messages import (
    Act,
    Ask,
    Done,
    Look,
    Manage,
    Message,
    Pong,
    Renew,
    Reports,
    Sorry,
    Submit,
    WhoAreYou,
)
from brender.bus.rights import action_of
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed
from brender.farm.record import Row
from brender.model.beginning import Beginning
from brender.model.errors import BadInput, BrenderError, Conflict, Forbidden, Paused
from brender.roles.effects import Accepted, Bind, Effect, LoadSlice, LoadTasks, Now, Peer, Refuse, Reply, Send, Unbind
from brender.roles.server.core import NODE_ACTIONS, ServerCore
from brender.roles.server.farm_store import FarmStore, Unrecordable
from brender.roles.server.permission import permitted
from brender.roles.server.receipts import receipt_of
from brender.roles.server.set_aside import REFUSED_FOR_EVER, digest, without_secrets
from brender.roles.server.strays import strays_in

log = logging.getLogger("brender.server")

#: What is kept of a message that was set aside, and of why: bytes.
_KEPT = 20_000
#: Seconds that something rests at most that failed by itself.
_REST_MOST = 30.0
#: Seconds until that is tried again which a node says.
_AGAIN_SECONDS = 60.0
AT_A_REPORT = "the server failed at a report of it"
FAILED = "The server failed at this {what}, and has done nothing of it: its log and `brender doctor` say why"
REFUSED = "The server failed at this {what} before, and does not try it again: its log and `brender doctor` say why"

Run = Callable[[ServerCore, Now], list[Effect]]


class Links(Protocol):
    """What leads out of a round."""

    def bind(self, effect: Bind | Unbind | Refuse) -> None:
        """Carry out at once what concerns the connections themselves."""

    def route_to(self, node: str) -> bytes | None:
        """Return the present route to *node*, or ``None`` if it is not connected."""

    def carry_out(self, effects: list[Effect]) -> None:
        """Carry out *effects*, all of which the record has; what is sent is among them as a `Reply` by its route."""

    def committed(self, rows: list[Row]) -> None:
        """Tell all listeners that these *rows* were written."""

    def renewed(self, core: ServerCore) -> list[Effect]:
        """Take the new *core*, since the farm was read again; return what follows from what is known outside of the record."""


@dataclass(eq=False)
class _Input:
    """Something that was applied in the present round, and the message that it came in."""

    run: Run
    peer: Peer | None = None
    message: Message | None = None
    loads: str = ""
    """The job whose tasks it brings into memory."""
    is_of_time: bool = False
    """It is what time brings."""


class Round:
    """Rounds of the server on *store*, one after another. *make_core* makes a core for a farm, *now* tells the time."""

    def __init__(self, store: FarmStore, links: Links, make_core: Callable[[Farm], ServerCore], now: Callable[[], Now]) -> None:
        self.store = store
        self._links = links
        self._make_core = make_core
        self._now = now
        self._held: list[Effect] = []
        self._inputs: list[_Input] = []
        self._accepted: list[Accepted] = []
        """Submissions that are written, and not answered yet."""
        self._postponed: list[_Input] = []
        """What is to be applied once the farm could be read again."""
        self._refused = dict.fromkeys(store.set_aside_digests(), float("inf"))
        """Messages that the server failed at, by their digests, and until when they are not tried again."""
        self._must_read_again = False
        self._read_after = float("-inf")
        self._failures = 0
        """How often what time brings has failed in a row."""
        self._tick_again = float("-inf")
        """Until when it is not tried again."""
        self._not_before: dict[str, float] = {}
        """Jobs whose tasks could not be brought into memory, and until when that is not tried again."""
        self.commits = self.rows = 0
        """How many commits there were, and rows that they wrote."""
        self._since = now().wall
        """When the server started: it knows all attempts since then."""
        self.core = make_core(store.restore(now()))

    def start(self) -> None:
        """Begin the first round."""
        self._apply(_Input(lambda core, now: core.restored(now)))
        self._hold(self._links.renewed(self.core))

    @property
    def paused(self) -> bool:
        """Whether nothing can be accepted now, since the record cannot be written or read."""
        return bool(self.store.trouble) or self._must_read_again

    # --- what arrives -------------------------------------------------------------------------------------------------

    def receive(self, peer: Peer, message: Message) -> None:
        """Apply *message* of *peer*, if they may ask for that. It is answered after the commit (`settle`)."""
        with self.reading(peer, message):
            if (allowed := self.allowed(peer, message)) is not None:
                self.take(*allowed)

    @contextmanager
    def reading(self, peer: Peer, message: Message) -> Iterator[None]:
        """While *message* of *peer* is looked at, which nothing is applied of yet: where the database does not answer, they are
        asked to try again, and the farm is read from it when it does."""
        try:
            yield
        except (OperationalError, InterfaceError):
            log.exception("the database did not answer")
            self._abandon(_Input(lambda core, now: []), "")
            self._while_paused(peer, message)

    def allowed(self, peer: Peer, message: Message) -> tuple[Peer, Message] | None:
        """Return *peer* as the one who asks, and *message*, for `take`; ``None`` where that was answered already: they may not
        have it done. No message is taken that was not asked about here."""
        is_new = isinstance(message, Submit) and message.job.id not in self.core.farm.jobs
        if is_new or isinstance(message, Act | Manage):
            self.settle()  # what it is about may be new
            if self.paused:
                self._while_paused(peer, message)
                return None
        try:
            return permitted(self.core.farm, self.store, peer, message)
        except BrenderError as error:
            if isinstance(error, Forbidden):
                self._links.bind(Refuse(f"{action_of(message)!r}, which its sender may not do"))
            self._answer(peer, message, error.code, str(error))
            return None

    def take(self, peer: Peer, message: Message) -> None:
        """Apply *message* of *peer*, who may ask for it (`allowed`)."""
        if self.paused:
            self._while_paused(peer, message)
        elif isinstance(message, Act):
            self._act(peer, message)
        elif isinstance(message, Submit) and (known := self._submitted(message.job.id)) is not None:
            self.answer(peer.route, Done(id=message.id, data=known))
        elif self.paused:
            self._while_paused(peer, message)  # as the look for what was submitted before has shown
        elif isinstance(message, Submit) and message.job.after and message.job.id not in self.core.farm.jobs:
            self._submit_waiting(peer, message)
        elif isinstance(message, Reports) and strays_in(self.core.farm, message.reports):
            self._adopt(peer, message)
        else:
            self.apply(lambda core, now: core.handle(peer, message, now), peer, message)  # type: ignore[arg-type]

    def _submit_waiting(self, peer: Peer, message: Submit) -> None:
        """Take a job that is to wait for others, whose names are looked up."""
        self.settle()  # these may be new
        if self.paused:
            self._while_paused(peer, message)
            return
        try:
            after = self.store.named_after(message.job.id, message.job.after)
        except BrenderError as error:
            self.answer(peer.route, Sorry(id=message.id, code=error.code, message=str(error)))
            return
        known = msgspec.structs.replace(message, job=msgspec.structs.replace(message.job, after=after))

        def run(core: ServerCore, now: Now) -> list[Effect]:
            self.store.bring_awaited(core.farm, after)
            return core.handle(peer, known, now)

        self.apply(run, peer, message)

    def _adopt(self, peer: Peer, message: Reports) -> None:
        """Take reports some of which may be of attempts that the record, restored from a backup, does not know."""

        def run(core: ServerCore, now: Now) -> list[Effect]:
            core.adopt(peer, message, self.store.strays(core.farm, strays_in(core.farm, message.reports), self._since), now)
            return core.handle(peer, message, now)

        self.apply(run, peer, message)

    def apply(self, run: Run, peer: Peer | None = None, message: Message | None = None) -> None:
        """Let *run* change the farm, for the *message* of *peer* where it is for one; one that was set aside is refused."""
        if self._refused and peer is not None and message is not None and self._is_refused(peer, message):
            if isinstance(message, Reports):
                # What they are of is given up by then, so that they are acknowledged like all that is not known.
                self._apply(_give_up(message))
                self._apply(_Input(lambda core, now: core.handle(peer, message, now)))
            else:
                self._answer(peer, message, BrenderError.code, REFUSED)
        else:
            self._apply(_Input(run, peer, message))

    def _is_refused(self, peer: Peer, message: Message) -> bool:
        return self._now().mono < self._refused.get(digest(peer, message), float("-inf"))

    def _act(self, peer: Peer, message: Act) -> None:
        """Carry out what a person asks of a job by its id, or of a worker or manager by the name that they gave."""
        store, value = self.store, message.value
        begins: Beginning | None = None
        try:
            if message.action in NODE_ACTIONS:
                kind, id, name = store.node(message.target)
                known = msgspec.structs.replace(message, target=id)
                is_absent = message.action == "wake" and kind == "worker" and id not in self.core.farm.workers
                absent = store.worker(id) if is_absent else None
                self.apply(lambda core, now: core.act_on_node(peer, known, kind, name, now, absent), peer, message)
                return
            target = message.target
            if why := store.why_not(target):
                raise Conflict(why)
            if message.action == "readmit" and value is not None:
                value = store.node(str(value))[1]
            selection = store.select_for_requeue(target, value) if message.action == "requeue" else None
            if message.action == "when":
                begins = _beginning(value)
                begins = msgspec.structs.replace(begins, after=store.named_after(target, begins.after))
        except BrenderError as error:
            self.answer(peer.route, Sorry(id=message.id, code=error.code, message=str(error)))
            return
        on_job = msgspec.structs.replace(message, target=target, value=value)

        def run(core: ServerCore, now: Now) -> list[Effect]:
            if target not in core.farm.jobs:
                store.adopt(core.farm, target)
            if begins is not None:
                store.bring_awaited(core.farm, begins.after)
            if message.action in ("requeue", "edit"):
                store.bring_awaited(core.farm, core.farm.jobs[target].spec.after)
            return core.act(peer, on_job, selection, now, begins, partial(store.count_rendered, target))

        self.apply(run, peer, message)

    def _submitted(self, job: str) -> dict[str, object] | None:
        """Return what the submitter of *job* was told, where it was accepted before and has left memory since."""
        if job in self.core.farm.jobs:
            return None
        self.settle()
        return self.store.receipt(job)

    def _while_paused(self, peer: Peer, message: Message) -> None:
        """Leases need no record, so that renders go on; clients are told; what else comes will come again."""
        if isinstance(message, Renew | Pong):
            self._links.carry_out(self.core.keep_alive(peer, message, self._now()))
        elif isinstance(message, Submit | Act | Manage):
            sorry = Sorry(id=message.id, code=Paused.code, message=self.store.trouble or "The server reads its record: ask again")
            self._links.carry_out([Reply(peer.route, sorry)])

    def answer(self, route: bytes, message: Message) -> None:
        """Send *message* by *route* once all that was applied is written."""
        self._apply(_Input(lambda core, now: [Reply(route, message)]))

    def has_taken(self, job: str) -> bool:
        """Return whether *job* was accepted before."""
        return job in self.core.farm.jobs or self.store.has_job(job)

    @property
    def has_more_to_do(self) -> bool:
        """Whether the next round is to begin at once."""
        if self.paused or self._now().mono < self._tick_again:
            return False
        waiting = self._not_before.keys()
        return self.core.dispatch.behind or any(job.sweeps and job.id not in waiting for job in self.core.farm.jobs.values())

    # --- the end of a round -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """End a round: do what time brings, write all of it, answer, and bring into memory what is next."""
        mono = self._now().mono
        if self._must_read_again and not self._read_again():
            return
        self._not_before = {job: until for job, until in self._not_before.items() if until > mono}
        if not self.store.trouble and mono >= self._tick_again:
            self._apply(_Input(lambda core, now: core.tick(now), is_of_time=True))
        was_paused = bool(self.store.trouble)
        self.settle()
        if was_paused and not self.store.trouble:
            self._apply(_Input(lambda core, now: core.restored(now)))
            self.settle()
        if self._accepted and not self.paused:
            accepted, self._accepted = self._accepted, []
            for each in accepted:
                self.answer(each.route, Done(id=each.id, data=self._receipt(each.job)))
            self.settle()

    def _receipt(self, job: str) -> dict[str, object] | None:
        """Return what the submitter of *job* is told, by what is known of it now."""
        known = self.core.farm.jobs.get(job)
        return receipt_of(known) if known is not None else self.store.receipt(job)

    def settle(self) -> None:
        """Write what was applied, and then carry out what follows from it; nothing of that while it cannot be written."""
        if self._must_read_again:
            return
        try:
            rows = self.store.commit(self.core.farm.ledger, self._now().mono)
        except Unrecordable as error:
            self._one_by_one(error)
            return
        if self.store.trouble:
            return
        self._inputs = []
        if rows:
            self._committed(rows)
        loads = self._carry_out_held()
        for load in loads:
            self._load(load)
        if loads:
            self.settle()

    def _committed(self, rows: list[Row]) -> None:
        self.commits += 1
        self.rows += len(rows)
        self._links.committed(rows)

    def _carry_out_held(self) -> list[LoadTasks | LoadSlice]:
        """Carry out what follows from what is written; return what the core asks to have in memory."""
        held, self._held = self._held, []
        self._accepted += [effect for effect in held if isinstance(effect, Accepted)]
        self._links.carry_out([effect for effect in held if not isinstance(effect, Accepted | LoadTasks | LoadSlice)])
        return [effect for effect in held if isinstance(effect, LoadTasks | LoadSlice)]

    def _load(self, load: LoadTasks | LoadSlice) -> None:
        """Give the core the tasks that it asked for, now that all before is written."""
        store, job, after = self.store, load.job, load.after
        if job in self._not_before:
            if (known := self.core.farm.jobs.get(job)) is not None:
                known.loading = False
        elif isinstance(load, LoadTasks):
            self._apply(_Input(lambda core, now: core.feed(job, store.queued_tasks(job, after), after, now), loads=job))
        else:
            self._apply(_Input(lambda core, now: core.sweep(job, *store.slice_of_tasks(job, after), after, now), loads=job))

    # --- when something raises ----------------------------------------------------------------------------------------

    def _apply(self, applied: _Input) -> None:
        if self._must_read_again:
            self._postponed.append(applied)
            return
        try:
            effects = applied.run(self.core, self._now())
        except (OperationalError, InterfaceError):
            # The database is away, for a moment perhaps. The asker asks again.
            log.exception("the database did not answer")
            self._abandon(applied, "")
        except JobTypeFailed as error:
            log.exception("the job type of the job %s failed at %s", error.job, _named(applied))
            self._abandon(applied, "", error.job, str(error))
        except Exception:
            log.exception("the server failed at %s", _named(applied))
            self._back_off(applied)
            self._abandon(applied, traceback.format_exc())
        else:
            if applied.is_of_time:
                self._failures = 0
            self._inputs.append(applied)
            self._hold(effects)

    def _back_off(self, failed: _Input) -> None:
        """Let what fails by itself rest for a while: each try reads the whole farm."""
        mono = self._now().mono
        if failed.is_of_time:
            self._failures += 1
            self._tick_again = mono + min(_REST_MOST, 2.0 ** (self._failures - 1))
        elif failed.loads:
            self._not_before[failed.loads] = mono + _REST_MOST

    def _hold(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Bind | Unbind | Refuse):
                self._links.bind(effect)
            elif not isinstance(effect, Send):
                self._held.append(effect)
            elif (route := self._links.route_to(effect.node)) is not None:
                # By the route of now: what is said to a manager that leaves is said before it has none.
                self._held.append(Reply(route, effect.message))

    def _abandon(self, failed: _Input, why: str, job: str = "", text: str = "") -> None:
        """Forget the present round, and do it again without *failed*. *why*: the trace, or "" if the message is not to blame.
        *job*: whose job type failed, with *text*."""
        # (What was brought into memory is asked for again; time comes by itself.)
        again = [each for each in self._inputs if each is not failed and not each.loads and not each.is_of_time]
        if job:
            again.insert(0, _Input(lambda core, now: core.fail_job(job, text, now)))
        if failed.message is not None and failed.peer is not None:
            if why:
                again += self._set_aside(failed.peer, failed.message, why)
            elif job:
                again.append(_Input(lambda core, now: _sorry(failed, text)))
        self._postponed = again + self._postponed
        self._read_again()

    def _read_again(self) -> bool:
        """Read the farm from the record, and apply what waits for that; return whether it could be done. Managers are asked to
        introduce their workers."""
        self._inputs, self._held = [], []
        self._must_read_again = True
        if self._now().mono < self._read_after:
            return False
        try:
            if not self.store.finish_pending(self._now().mono):
                return False
            farm = self.store.restore(self._now())
        except Exception:
            log.exception("the record cannot be read now, and is tried again")
            self._read_after = self._now().mono + 1.0
            return False
        self._must_read_again = False
        self.core = self._make_core(farm)
        self._hold(self.core.restored(self._now()))
        self._hold(self._links.renewed(self.core))
        self._hold([Send(manager, WhoAreYou()) for manager in farm.managers])
        postponed, self._postponed = self._postponed, []
        for each in postponed:
            self._apply(each)
        return True

    def _set_aside(self, peer: Peer, message: Message, why: str) -> list[_Input]:
        """Refuse *message* from now on; return what keeps it in the record and tells its sender."""
        key, now = digest(peer, message), self._now()
        self._refused[key] = float("inf") if isinstance(message, REFUSED_FOR_EVER) else now.mono + _AGAIN_SECONDS
        fields = {
            "wall": now.wall,
            "principal": peer.principal,
            "origin": peer.origin,
            "type": type(message).__name__,
            "message": without_secrets(message)[:_KEPT],
            "error": why[-_KEPT:],
        }

        def keep(core: ServerCore, now: Now) -> list[Effect]:
            core.farm.ledger.put("set_aside", key, fields)
            return _sorry(_Input(keep, peer, message), FAILED)

        if not isinstance(message, Reports):
            return [_Input(keep)]
        # Its reports would come again, and others after them: the attempts that they are of are given up.
        return [_Input(keep), _give_up(message)]

    def _one_by_one(self, error: Exception) -> None:
        """The record does not take what was applied: apply each alone, so that only what is to blame is set aside."""
        log.error("the record does not take a round (%s): each message of it is tried alone", error)
        inputs = [each for each in self._inputs if not each.loads and not each.is_of_time]
        if not self._read_again():
            self._postponed += inputs
            return
        for each in inputs:
            self._apply(each)
            try:
                rows = self.store.commit(self.core.farm.ledger, self._now().mono)
            except Unrecordable as refusal:
                self._inputs = []
                self._abandon(each, str(refusal))
            else:
                self._inputs = []
                if rows:
                    self._committed(rows)
                if not self.store.trouble:
                    self._carry_out_held()  # (what it asks to have in memory, it asks for again)

    def _answer(self, peer: Peer, message: Message, code: str, text: str) -> None:
        """Let a client know whose message is not carried out, rather than wait for an answer in vain."""
        self._apply(_Input(lambda core, now: _sorry(_Input(lambda *_: [], peer, message), text, code)))


def _give_up(message: Reports) -> _Input:
    """Give up the attempts that the reports in *message* are of."""
    attempts = tuple(dict.fromkeys(report.attempt for report in message.reports))
    given_up = partial(ServerCore.give_up, worker=message.worker, attempts=attempts, reason=AT_A_REPORT)
    return _Input(lambda core, now: given_up(core, now=now))


def _sorry(failed: _Input, text: str, code: str = BrenderError.code) -> list[Effect]:
    """Return what tells the client of *failed* that its message is not carried out, where it is one that waits for an answer."""
    peer, message = failed.peer, failed.message
    if peer is None or not isinstance(message, Submit | Act | Manage | Ask | Look):
        return []
    said = text.replace("{what}", type(message).__name__.lower())
    return [Reply(peer.route, Sorry(id=message.id, code=code, message=said))]


def _named(applied: _Input) -> str:
    if applied.message is None or applied.peer is None:
        return "what it does by itself"
    return f"a {type(applied.message).__name__} from {applied.peer.principal} at {applied.peer.origin or 'this machine'}"


def _beginning(value: object) -> Beginning:
    """Return *value*, when a job is to begin. Raises `BadInput` where it is no such thing."""
    try:
        return msgspec.convert(value, Beginning)
    except msgspec.ValidationError as error:
        raise BadInput(f"When a job begins cannot be said so: {error}") from error

"""A round of the server: what arrived is applied to the farm, written in one transaction, and only then answered.

The same class runs in production, in the tests' world and in the simulation, over a store (brender.roles.server.farm_store) and
links, which are sockets or stand for them. It is crash-only: where anything raises, nothing of the round is written or sent. The
farm is read again from the record, what else had arrived is applied again, and the message that did it is set aside: kept whole
in the record for whoever looks into it, and refused when it comes again.
"""

import hashlib
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
from peewee import InterfaceError, OperationalError

from brender.bus.messages import Act, Ask, Done, Enrol, Manage, Message, Pong, Renew, Reports, Sorry, Submit, WhoAreYou
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed
from brender.farm.record import Row
from brender.model.errors import BrenderError, Conflict, Paused
from brender.roles.effects import Bind, Effect, LoadSlice, LoadTasks, Now, Peer, Refuse, Reply, Send, Unbind
from brender.roles.server.core import NODE_ACTIONS, ServerCore
from brender.roles.server.farm_store import FarmStore, Unrecordable

log = logging.getLogger("brender.server")

#: What is kept of a message that was set aside, and of why: bytes.
_KEPT = 20_000
FAILED = "The server failed at this {what}, and has done nothing of it: its log and `brender doctor` say why"
_REFUSED = "The server failed at this {what} before, and does not try it again: its log and `brender doctor` say why"

Run = Callable[[ServerCore, Now], list[Effect]]


class Links(Protocol):
    """What leads out of a round."""

    def bind(self, effect: Bind | Unbind | Refuse) -> None:
        """Carry out at once what concerns the connections themselves."""

    def route_to(self, node: str) -> bytes | None:
        """Return the route to *node* of now, ``None`` where there is none."""

    def carry_out(self, effects: list[Effect]) -> None:
        """Carry out *effects*, all of which the record has; what is sent is among them as a `Reply` by its route."""

    def committed(self, rows: list[Row]) -> None:
        """Tell whoever listens that these *rows* were written."""

    def renewed(self, core: ServerCore) -> list[Effect]:
        """The farm was read again, and *core* is new: return what follows from what is known outside of the record."""


@dataclass(eq=False)
class _Input:
    """Something that was applied in the present round, and the message that it came in."""

    run: Run
    peer: Peer | None = None
    message: Message | None = None


class Round:
    """Rounds of the server on *store*, one after another. *make_core* makes a core for a farm, *now* tells the time."""

    def __init__(self, store: FarmStore, links: Links, make_core: Callable[[Farm], ServerCore], now: Callable[[], Now]) -> None:
        self.store = store
        self._links = links
        self._make_core = make_core
        self._now = now
        self._held: list[Effect] = []
        self._inputs: list[_Input] = []
        self._refused = store.set_aside_digests()
        self._must_read_again = False
        self.core = make_core(store.restore(now().mono))

    def start(self) -> None:
        """Begin the first round."""
        self._apply(_Input(lambda core, now: core.restored(now)))
        self._hold(self._links.renewed(self.core))

    # --- what arrives -------------------------------------------------------------------------------------------------

    def receive(self, peer: Peer, message: Message) -> None:
        """Apply *message* of *peer*. It is answered after the commit (`settle`)."""
        if self.store.trouble or self._must_read_again:
            self._while_paused(peer, message)
        elif self._refused and _digest(message) in self._refused:
            self._answer(peer, message, BrenderError.code, _REFUSED)
        elif isinstance(message, Act):
            self._act(peer, message)
        elif isinstance(message, Submit) and (known := self._submitted(message.job.id)) is not None:
            self._held.append(Reply(peer.route, Done(id=message.id, data=known)))
        else:
            self.apply(lambda core, now: core.handle(peer, message, now), peer, message)  # type: ignore[arg-type]

    def apply(self, run: Run, peer: Peer | None = None, message: Message | None = None) -> None:
        """Let *run* change the farm, for the *message* of *peer* where it is for one."""
        self._apply(_Input(run, peer, message))

    def _act(self, peer: Peer, message: Act) -> None:
        """Carry out what a person asks of a job, a worker or a manager, which the record has under the name that they gave."""
        self.settle()
        if self.store.trouble:
            self._while_paused(peer, message)
            return
        store, value = self.store, message.value
        try:
            if message.action in NODE_ACTIONS:
                kind, id, name = store.node(message.target)
                known = msgspec.structs.replace(message, target=id)
                self.apply(lambda core, now: core.act_on_node(peer, known, kind, name, now), peer, message)
                return
            target = store.job_id(message.target)
            if why := store.why_not(message.action, target, value):
                raise Conflict(why)
            if message.action == "readmit" and value is not None:
                value = store.node(str(value))[1]
            selection = store.select_for_requeue(target, value) if message.action == "requeue" else None
        except BrenderError as error:
            self._held.append(Reply(peer.route, Sorry(id=message.id, code=error.code, message=str(error))))
            return
        on_job = msgspec.structs.replace(message, target=target, value=value)

        def run(core: ServerCore, now: Now) -> list[Effect]:
            if target not in core.farm.jobs:
                store.adopt(core.farm, target)
            return core.act(peer, on_job, selection, now)

        self.apply(run, peer, message)

    def _submitted(self, job: str) -> dict[str, object] | None:
        """What the submitter of *job* was told, where it was accepted before and has left memory since."""
        if job in self.core.farm.jobs:
            return None
        self.settle()
        return self.store.receipt(job)

    def _while_paused(self, peer: Peer, message: Message) -> None:
        """Leases need no record, so that renders go on; clients are told; what else comes will come again."""
        if isinstance(message, Renew | Pong):
            effects = self.core.handle(peer, message, self._now())
            self._links.carry_out([effect for effect in effects if isinstance(effect, Reply)])
        elif isinstance(message, Submit | Act | Manage):
            sorry = Sorry(id=message.id, code=Paused.code, message=self.store.trouble or "The server reads its record: ask again")
            self._links.carry_out([Reply(peer.route, sorry)])

    def answer(self, route: bytes, message: Message) -> None:
        """Send *message* by *route* once all that was applied is written."""
        self._held.append(Reply(route, message))

    def has_taken(self, job: str) -> bool:
        """Return whether *job* was accepted before."""
        return job in self.core.farm.jobs or self.store.has_job(job)

    @property
    def has_more_to_do(self) -> bool:
        """Whether the next round is to begin at once."""
        return self.core.dispatch.behind or any(job.sweeps for job in self.core.farm.jobs.values())

    # --- the end of a round -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """End a round: do what time brings, write all of it, answer, and bring into memory what is next."""
        if self._must_read_again and not self._read_again():
            return
        if not self.store.trouble:
            self._apply(_Input(lambda core, now: core.tick(now)))
        was_paused = bool(self.store.trouble)
        self.settle()
        if was_paused and not self.store.trouble:
            self._apply(_Input(lambda core, now: core.restored(now)))
            self.settle()

    def settle(self) -> None:
        """Write what was applied, and then carry out what follows from it; nothing of that while it cannot be written."""
        try:
            rows = self.store.commit(self.core.farm.ledger, self._now().mono)
        except Unrecordable as error:
            self._one_by_one(error)
            return
        if self.store.trouble:
            return
        self._inputs = []
        if rows:
            self._links.committed(rows)
        held, self._held = self._held, []
        loads = [effect for effect in held if isinstance(effect, LoadTasks | LoadSlice)]
        self._links.carry_out([effect for effect in held if not isinstance(effect, LoadTasks | LoadSlice)])
        for load in loads:
            self._load(load)
        if loads:
            self.settle()

    def _load(self, load: LoadTasks | LoadSlice) -> None:
        """Give the core the tasks that it asked for, now that all before is written."""
        job, after = load.job, load.after
        if isinstance(load, LoadTasks):
            tasks = self.store.queued_tasks(job, after)
            self._apply(_Input(lambda core, now: core.feed(job, tasks, after, now)))
        else:
            some, is_last = self.store.slice_of_tasks(job, after)
            self._apply(_Input(lambda core, now: core.sweep(job, some, after, is_last, now)))

    # --- when something raises ----------------------------------------------------------------------------------------

    def _apply(self, applied: _Input) -> None:
        try:
            effects = applied.run(self.core, self._now())
        except (OperationalError, InterfaceError):
            # The database is away, for a moment perhaps. Whoever asked asks again.
            log.exception("the database did not answer")
            self._abandon(applied, "")
        except Exception as error:
            log.exception("the server failed at %s", _named(applied))
            self._abandon(applied, traceback.format_exc(), error.job if isinstance(error, JobTypeFailed) else "", str(error))
        else:
            self._inputs.append(applied)
            self._hold(effects)

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
        """Forget the present round, and do it again without *failed*. *why*: the trace, "" where the message is not to blame.
        *job*: whose job type failed, with *text*."""
        inputs = [each for each in self._inputs if each is not failed]
        if not self._read_again():
            return
        if why and failed.message is not None and failed.peer is not None:
            self._set_aside(failed.peer, failed.message, why)
        if job:
            self._apply(_Input(lambda core, now: core.fail_job(job, text, now)))
        for each in inputs:
            self._apply(each)

    def _read_again(self) -> bool:
        """Read the farm from the record; return whether that could be done. The managers are asked to introduce their workers."""
        self._inputs, self._held = [], []
        try:
            farm = self.store.restore(self._now().mono)
        except (OperationalError, InterfaceError):
            log.exception("the record cannot be read now, and will be in a moment")
            self._must_read_again = True
            return False
        self._must_read_again = False
        self.core = self._make_core(farm)
        self._hold(self.core.restored(self._now()))
        self._hold(self._links.renewed(self.core))
        self._hold([Send(manager, WhoAreYou()) for manager in farm.managers])
        return True

    def _set_aside(self, peer: Peer, message: Message, why: str) -> None:
        digest = _digest(message)
        self._refused.add(digest)
        fields = {
            "wall": self._now().wall,
            "principal": peer.principal,
            "origin": peer.origin,
            "type": type(message).__name__,
            "message": _without_secrets(message)[:_KEPT],
            "error": why[-_KEPT:],
        }
        self.core.farm.ledger.put("set_aside", digest, fields)
        self._answer(peer, message, BrenderError.code, FAILED)
        if isinstance(message, Reports):
            # Its reports would come again, and others after them: the attempts that they are of are given up.
            attempts = tuple(dict.fromkeys(report.attempt for report in message.reports))
            self._apply(_Input(lambda core, now: core.give_up(attempts, "the server failed at a report of it", now)))

    def _one_by_one(self, error: Exception) -> None:
        """The record does not take what was applied: apply each alone, so that only what is to blame is set aside."""
        log.error("the record does not take a round (%s): each message of it is tried alone", error)
        inputs = self._inputs
        if not self._read_again():
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
                    self._links.committed(rows)

    def _answer(self, peer: Peer, message: Message, code: str, text: str) -> None:
        """Let a client know whose message is not carried out, rather than wait for an answer in vain."""
        if isinstance(message, Submit | Act | Manage | Ask):
            said = text.format(what=type(message).__name__.lower())
            self._held.append(Reply(peer.route, Sorry(id=message.id, code=code, message=said)))


def _digest(message: Message) -> str:
    """Return what a message is known by when it comes again, with another id perhaps."""
    plain = msgspec.to_builtins(message)
    plain.pop("id", None)
    return hashlib.sha256(msgspec.msgpack.encode(plain)).hexdigest()


def _without_secrets(message: Message) -> str:
    """Return what is kept of *message*: all of it, but for arguments that may be passwords, tokens or addresses with a secret."""
    if isinstance(message, Manage):
        message = msgspec.structs.replace(message, arguments=dict.fromkeys(message.arguments, "…"))
    elif isinstance(message, Enrol):
        message = msgspec.structs.replace(message, secret="…")
    return msgspec.json.encode(message).decode()


def _named(applied: _Input) -> str:
    if applied.message is None or applied.peer is None:
        return "what it does by itself"
    return f"a {type(applied.message).__name__} from {applied.peer.principal} at {applied.peer.origin or 'this machine'}"

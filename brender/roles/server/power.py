"""Puts idle machines to sleep, and wakes them when work waits that they can do, in the server's core. Now and then. Pure.

A machine is all workers of one host: they sleep together. Its state is in the rows of its workers, so that it survives a restart
of the server. The commands run outside of the control loop (`brender.roles.server.power_commands`).
"""

import shlex
from collections.abc import Container, Iterable
from datetime import datetime

import msgspec

from brender.farm.farm import Farm
from brender.farm.nodes import WorkerState
from brender.model.errors import BadInput, BrenderError, Conflict
from brender.model.hooks import EVENTS
from brender.model.nodes import WorkerInfo
from brender.model.power import ASLEEP, BEING_WOKEN, NOT_WOKEN, Phase, PowerPlan, Sleep, Sleeper, command_for
from brender.model.status import UNLISTED, Wanted, WorkerStatus
from brender.model.text import harmless, plural, some_of
from brender.roles.effects import Now, RunPower
from brender.roles.policy import Policy
from brender.roles.server.activity import ActivityLog
from brender.roles.server.jobs import Emit
from brender.scheduling.power import GOING_SECONDS, Heard, has_work, is_awake, may_sleep, missed_after, wanted, works
from brender.scheduling.roster import Roster

_LOOK_SECONDS = 1.0
#: Seconds for which work waits before a machine is woken for it: between two frames workers are free for a moment.
_PATIENCE_SECONDS = 3.0
#: Seconds that a wake takes until one was measured; and the longest pause between two tries.
_WAKE_SECONDS, _LONGEST_PAUSE = 60.0, 3600.0
#: Reasons that keep a worker asleep although work waits that it could do.
_NOT_WANTED = (Wanted.DISABLED, Wanted.DRAINED, *UNLISTED)


class Power:
    """Puts machines of *farm* to sleep and wakes them, by what waits in *roster*. *own_host* is the server's."""

    def __init__(self, farm: Farm, policy: Policy, activity: ActivityLog, emit: Emit, roster: Roster, own_host: str) -> None:
        self.farm = farm
        self.plan: PowerPlan = policy.power
        self.activity, self.emit = activity, emit
        self._lease, self._roster, self._own_host = policy.lease, roster, own_host
        self._due = self._ticked = self._listening = float("-inf")
        self._idle_since: dict[str, float] = {}
        """Since when each idle worker is so, monotonic."""
        self._roused: dict[str, Sleeper] = {}
        """Those that were taken for awake a moment ago. One that is gone at once was not: its last messages had come late."""
        self._wake_seconds = _WAKE_SECONDS
        self._said: dict[str, str] = {}
        self._running: set[str] = set()
        """The machines for which a command runs."""

    def waits_for(self, job: str) -> str:
        """Return the sentence that *job* waits for a machine that is woken for it, or "" if it does not."""
        return self._said.get(job, "")

    def tick(self, now: Now) -> None:
        """Put to sleep what has been idle for long, wake what is needed, see who is awake again. Now and then."""
        self._listen(now)
        self._ticked = now.mono
        if now.mono < self._due or not (self.farm.sleepers or self._roused or self.plan.sleep):
            return
        self._due = now.mono + _LOOK_SECONDS
        for sleeper in list(self.farm.sleepers.values()):
            self._see_whether_awake(sleeper, now)
        for id in [id for id, each in self._roused.items() if now.mono >= each.roused + missed_after(self._lease)]:
            self.forget(id)
        self._go_on(now)
        if self.plan.sleep:
            self._put_idle_to_sleep(now)
        self._wake_what_is_needed(now)

    def see_new_jobs(self, now: Now) -> None:
        """Find the machines for which new jobs wait, before their reasons for waiting are made."""
        if self.farm.sleepers:
            self._wake_what_is_needed(now)

    # --- by hand ----------------------------------------------------------------------------------------------------------

    def sleep(self, worker_id: str, name: str, now: Now, user: str) -> None:
        """Put the machine of the worker *worker_id* to sleep, as soon as it has finished. Raises `BrenderError`."""
        worker = self.farm.workers.get(worker_id)
        if worker_id in self.farm.sleepers:
            raise Conflict(f"The worker {name} is put to sleep already")
        if worker is None:
            raise Conflict(f"The worker {name} is not there")
        if not self.plan.sleep:
            raise BadInput(
                "The server has no command that puts machines to sleep: write one into the table [power] of its settings file, "
                'such as sleep = "ssh {host} sudo systemctl suspend"'
            )
        if why := self._why_not(worker.info.host or worker_id):
            raise Conflict(f"The worker {name} cannot sleep: {why}")
        command_for(self.plan.sleep, worker.info)
        self._begin(worker.info.host or worker_id, f"{user or 'somebody'} asked for it", now)
        self.activity.note(now, "sleep", f"the machine of the worker {name} is put to sleep", user=user, worker=worker_id)

    def wake(self, worker_id: str, name: str, now: Now, user: str, absent: WorkerInfo | None = None) -> None:
        """Wake the machine of the worker *worker_id*. *absent*: how it introduced itself, if it is not connected. Raises
        `BrenderError`."""
        sleeper = self.farm.sleepers.get(worker_id)
        if sleeper is None and absent is not None:
            why = f"{user or 'somebody'} asked for it"
            sleeper = Sleeper(absent, Sleep(Phase.ASLEEP, now.wall, why, was_off=True))
            if others := self._workers_at(sleeper.machine):
                there = harmless(others[0].info.name)
                raise Conflict(
                    f"The worker {name} is not there, but its machine is awake: {there} runs on it. Start the worker there with "
                    "`brender-worker`"
                )
        if sleeper is None:
            raise Conflict(f"The worker {name} does not sleep")
        if sleeper.phase is Phase.GOING:
            self._let_go(sleeper.machine)
        elif not self.plan.wake:
            raise BadInput(
                "The server has no command that wakes machines: write one into the table [power] of its settings file, such as "
                'wake = "wakeonlan {mac}"'
            )
        else:
            command_for(self.plan.wake, sleeper.info)
            self.farm.sleepers[worker_id] = sleeper
            for each in self._of(sleeper.machine):
                each.state.tried = 0
            self._wake(sleeper.machine, f"{user or 'somebody'} asked for it", now)
        self.activity.note(now, "wake", f"the machine of the worker {name} is woken", user=user, worker=worker_id)

    # --- what is heard ----------------------------------------------------------------------------------------------------

    def joined(self, worker: WorkerInfo, term: str, now: Now) -> None:
        """Note that *worker* has joined, registered by this *term*."""
        self._listen(now)
        if (sleeper := self.farm.sleepers.get(worker.id)) is not None:
            if term != sleeper.term:
                sleeper.registered = now.mono
            self._see_whether_awake(sleeper, now)

    def gone(self, worker: WorkerState, on_purpose: bool, now: Now) -> None:
        """Note that *worker* is gone. One that was taken for awake a moment ago sleeps still, unless it left *on_purpose*."""
        if (sleeper := self._roused.get(worker.info.id)) is None:
            return
        if on_purpose or sleeper.state.was_off:
            self.forget(worker.info.id)
            return
        del self._roused[worker.info.id]
        self.farm.sleepers[worker.info.id] = sleeper
        sleeper.state.phase, sleeper.slept, sleeper.term, sleeper.info = Phase.ASLEEP, now.mono, worker.term, worker.info
        self.farm.ledger.change("worker", worker.info.id, {"power": msgspec.to_builtins(sleeper.state)})

    def powered(self, machine: str, verb: str, why_not: str, now: Now) -> None:
        """Note what came of the command that puts *machine* to ``sleep``, or wakes it (*verb*): *why_not* is "" where it went
        well."""
        self._running.discard(machine)
        if verb == "sleep" and not why_not and not self._of(machine):  # it was to work on, which came too late
            self._begin(machine, "it was on its way", now)
        sleepers = self._of(machine)
        if not sleepers:
            return
        names = some_of([each.info.name for each in sleepers])
        if verb == "wake" and why_not:
            self._not_woken(machine, why_not, now)
        elif verb == "sleep" and why_not:
            for each in sleepers:
                each.failed = now.mono, why_not
        elif verb == "sleep" and all(each.phase is Phase.GOING for each in sleepers):
            self._change(sleepers, Phase.ASLEEP, now)
            self.activity.note(now, "sleep", f"the machine of {names} sleeps: {sleepers[0].state.why}")

    def forget(self, worker_id: str) -> None:
        """Let the worker *worker_id* sleep no more: it is forgotten."""
        known = self.farm.sleepers.pop(worker_id, None) or self._roused.pop(worker_id, None)
        if known is not None:
            self.farm.ledger.change("worker", worker_id, {"power": None})

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _of(self, machine: str) -> list[Sleeper]:
        return [each for _, each in sorted(self.farm.sleepers.items()) if each.machine == machine]

    def _workers_at(self, machine: str) -> list[WorkerState]:
        return [each for id, each in sorted(self.farm.workers.items()) if (each.info.host or id) == machine]

    def _listen(self, now: Now) -> None:
        """Note since when the server hears without a break: after a standstill, the first messages had waited."""
        if now.mono - self._ticked > self._lease / 2:
            self._listening = self._ticked = now.mono

    def _why_not(self, machine: str) -> str:
        """Return why *machine* must not sleep, or "" if it may."""
        if machine == self._own_host:
            return "the server runs on its machine"
        here = {each.info.id for each in self._workers_at(machine)}
        for manager in self.farm.managers.values():
            if manager.host == machine and manager.workers - here:
                return f"the manager {harmless(manager.name)} runs on its machine, and has workers on others"
        return ""

    def _put_idle_to_sleep(self, now: Now) -> None:
        machines: dict[str, list[WorkerState]] = {}
        for worker in self.farm.workers.values():
            id = worker.info.id
            if worker.status is WorkerStatus.IDLE and not worker.attempts and id not in self.farm.sleepers:
                self._idle_since.setdefault(id, now.mono)
            else:
                self._idle_since.pop(id, None)
            machines.setdefault(worker.info.host or id, []).append(worker)
        for id in self._idle_since.keys() - self.farm.workers.keys():
            del self._idle_since[id]
        for machine, workers in machines.items():
            since = [self._idle_since.get(each.info.id) for each in workers]
            idle = [None if each is None else now.mono - each for each in since]
            if not may_sleep(idle, self.plan.after) or not all(self.plan.covers(each.info) for each in workers):
                continue
            known = [self._roster.workers[each.info.id] for each in workers if each.info.id in self._roster.workers]
            if self._why_not(machine) or self._roster.is_behind or any(has_work(self._roster, each) for each in known):
                continue
            self._begin(machine, f"it was idle for {_duration(self.plan.after)}", now)

    def _begin(self, machine: str, why: str, now: Now) -> None:
        """Give *machine* nothing new; it sleeps once it has finished."""
        for worker in self._workers_at(machine):
            worker.sleepless = ""
            self._roused.pop(worker.info.id, None)
            self.farm.sleepers[worker.info.id] = Sleeper(worker.info, Sleep(Phase.GOING, now.wall, why))
        self._change(self._of(machine), Phase.GOING, now)

    def _go_on(self, now: Now) -> None:
        """Run the command for the machines that have finished; give up what did not wake in time."""
        for machine in sorted({each.machine for each in self.farm.sleepers.values()}):
            sleepers = self._of(machine)
            first = sleepers[0]
            if machine in self._running:
                continue
            if first.phase is Phase.GOING:
                workers = self._workers_at(machine)
                failed = first.failed
                if not workers:
                    self._change(sleepers, Phase.ASLEEP, now)  # the command's end was not heard, or it left by itself
                elif failed is not None:
                    # Its manager would have missed it by then, and could have said so.
                    heard_since = max(failed[0], self._listening)
                    if now.mono - heard_since > 2 * self._lease or any(each.beat > failed[0] for each in workers):
                        self._not_asleep(machine, failed[1], now)
                elif not any(each.attempts for each in workers):
                    self._run(machine, "sleep", self.plan.sleep, first, now)
            elif first.phase is Phase.WAKING:
                first.woken = now.mono if first.woken is None else first.woken
                if now.mono - first.woken > self.plan.within:
                    self._not_woken(machine, f"it was not back within {_duration(self.plan.within)}", now)

    def _wake_what_is_needed(self, now: Now) -> None:
        sleeping: dict[str, list[WorkerInfo]] = {}
        coming, due = [], set()
        for id, each in self.farm.sleepers.items():
            machine = each.machine
            if each.phase is Phase.WAKING:
                coming.append(machine)
            elif each.phase is Phase.ASLEEP and self.plan.wake and now.mono >= max(each.not_before, each.slept + GOING_SECONDS):
                due.add(machine)
            is_wanted = self.farm.wanted.get(id) not in _NOT_WANTED and id not in self.farm.asleep
            if is_wanted and each.phase is not Phase.GOING:
                sleeping.setdefault(machine, []).append(self._tagged(each.info))
        self._said = {}
        if not sleeping or self._roster.is_behind:
            self._note_wanted((), now)
            return
        slots = {machine: len(sleeping[machine]) for machine in sorted(sleeping) if machine in due or machine in coming}
        found = works(self._roster, sleeping)
        needed = wanted(found, slots, coming, self._wake_seconds)
        self._note_wanted(needed, now)
        for machine, job in needed.items():
            if now.mono - max(each.wanted or 0.0 for each in self._of(machine)) >= _PATIENCE_SECONDS:
                self._wake(machine, f"{self.farm.jobs[job].called} waits for it", now)
        self._said = {
            job: self._said_of(sorted(work.sleepers)) for work in found if not work.there and work.sleepers for job in work.jobs
        }

    def _note_wanted(self, machines: Container[str], now: Now) -> None:
        """Note for which *machines* work waits, and since when."""
        for each in self.farm.sleepers.values():
            since = now.mono if each.wanted is None else each.wanted
            each.wanted = since if each.machine in machines else None

    def _said_of(self, machines: list[str]) -> str:
        """Return the reason for a job that waits for these *machines*, which sleep or are being woken."""
        sleepers = [each for machine in machines for each in self._of(machine)]
        if waking := [harmless(each.info.name) for each in sleepers if each.phase is Phase.WAKING]:
            return f"It waits for {some_of(waking)}, which {'is' if len(waking) == 1 else 'are'} being woken"
        names = [harmless(each.info.name) for each in sleepers]
        verb = "sleeps" if len(names) == 1 else "sleep"
        trouble = next((each.state.trouble for each in sleepers if each.state.trouble), "")
        failed = f" and {NOT_WOKEN}: {trouble}" if trouble else ""
        return f"It waits for {some_of(names)}, which {verb}{failed}. `brender wake {shlex.quote(names[0])}` wakes it"

    def _tagged(self, worker: WorkerInfo) -> WorkerInfo:
        extra = self.farm.extra_tags.get(worker.id, frozenset())
        return msgspec.structs.replace(worker, tags=worker.tags | extra) if extra else worker

    def _wake(self, machine: str, why: str, now: Now) -> None:
        sleepers = self._of(machine)
        for each in sleepers:
            each.state.why, each.state.tried = why, each.state.tried + 1
        self._change(sleepers, Phase.WAKING, now)
        self._run(machine, "wake", self.plan.wake, sleepers[0], now)

    def _run(self, machine: str, verb: str, command: tuple[str, ...], sleeper: Sleeper, now: Now) -> None:
        try:
            words = command_for(command, sleeper.info)
        except BrenderError as error:
            self.powered(machine, verb, str(error), now)
            return
        self._running.add(machine)
        info = sleeper.info
        env = {"BRENDER_WORKER": info.name, "BRENDER_MAC": info.mac, "BRENDER_HOST": info.host, "BRENDER_WHY": sleeper.state.why}
        self.emit(RunPower(machine, verb, words, env))

    def _not_asleep(self, machine: str, why: str, now: Now) -> None:
        names = some_of([each.info.name for each in self._of(machine)])
        self.activity.note(now, "sleep", f"the machine of {names} could not be put to sleep: {why}")
        for worker in self._workers_at(machine):
            worker.sleepless = f"it could not be put to sleep: {why}"
        self._let_go(machine)

    def _not_woken(self, machine: str, why: str, now: Now) -> None:
        sleepers = self._of(machine)
        pause = min(_LONGEST_PAUSE, self.plan.within * 2.0 ** min(sleepers[0].state.tried, 12))
        for each in sleepers:
            each.not_before, each.state.trouble = now.mono + pause, why
            text = f"The worker {harmless(each.info.name)} {EVENTS['worker-not-woken']}: {why}"
            self.farm.happened("worker-not-woken", now.wall, worker=each.info.name, text=text, reason=why)
        self._change(sleepers, Phase.ASLEEP, now)
        for each in [each for each in sleepers if each.state.was_off]:
            self.forget(each.info.id)  # (its row says why it could not be woken)
        names = some_of([each.info.name for each in sleepers])
        self.activity.note(now, "wake", f"the machine of {names} could not be woken: {why}", worker=sleepers[0].info.id)

    def _let_go(self, machine: str) -> None:
        """Let *machine*, which was to sleep, work on."""
        for each in self._of(machine):
            self.forget(each.info.id)
            self._idle_since.pop(each.info.id, None)
            self.farm.changed.add(each.info.id)

    def _see_whether_awake(self, sleeper: Sleeper, now: Now) -> None:
        """Let *sleeper* work, if its messages prove that it is awake."""
        id = sleeper.info.id
        worker = self.farm.workers.get(id)
        heard = Heard(worker.info.incarnation, worker.term, worker.beat) if worker is not None else None
        if not is_awake(sleeper, heard, self._listening, self._lease, now.mono):
            return
        if sleeper.woken is not None:
            self._wake_seconds = max(1.0, (self._wake_seconds + now.mono - sleeper.woken) / 2)
        del self.farm.sleepers[id]
        self._roused[id] = sleeper  # (its row is kept until that is certain)
        sleeper.roused, sleeper.woken = now.mono, None
        self._idle_since.pop(id, None)
        self.farm.changed.add(id)
        self.activity.note(now, "wake", f"the worker {sleeper.info.name} is awake", worker=id)

    def _change(self, sleepers: Iterable[Sleeper], phase: Phase, now: Now) -> None:
        """Put *sleepers* into that *phase* since *now*, and write that to their rows."""
        for each in sleepers:
            if (each.phase, phase) != (Phase.WAKING, Phase.ASLEEP):
                each.state.since = now.wall
            if (each.phase, phase) == (Phase.GOING, Phase.ASLEEP):
                each.slept = now.mono
                if (worker := self.farm.workers.get(each.info.id)) is not None:
                    each.term, each.info = worker.term, worker.info
            each.failed = None
            each.woken = now.mono if phase is Phase.WAKING else None
            each.state.phase = phase
            fields = {"power": msgspec.to_builtins(each.state)}
            if each.info.id not in self.farm.workers:
                fields["reason"] = reason_of(each)
            self.farm.ledger.change("worker", each.info.id, fields)
            self.farm.changed.add(each.info.id)


def reason_of(sleeper: Sleeper) -> str:
    """Return why the worker *sleeper* takes nothing, as people are told."""
    state = sleeper.state
    at = f"{datetime.fromtimestamp(state.since):%H:%M}"
    if state.phase is Phase.GOING:
        return f"it is put to sleep: {state.why}"
    if state.phase is Phase.WAKING:
        return f"{BEING_WOKEN} {at}: {state.why}"
    if state.was_off:
        return f"it {NOT_WOKEN} at {at}: {state.trouble}"
    if state.trouble:
        tries = "once" if state.tried == 1 else f"{state.tried} times"
        return f"{ASLEEP} {at}. It {NOT_WOKEN}, tried {tries}: {state.trouble}"
    return f"{ASLEEP} {at}: {state.why}"


def _duration(seconds: float) -> str:
    return plural(round(seconds / 60), "minute") if seconds >= 60 else plural(round(seconds), "second")

"""What the workers on one machine share: its memory, and that a render may be alone there. Pure.

Hot path, watched by benchmarks.scale and benchmarks.dispatch.
"""

from collections.abc import Callable

from brender.scheduling.classes import Machine, Worker
from brender.scheduling.terms import Demand


class Machines:
    """The machines of all workers whose host is known.

    *retry* puts a worker into the queue where it belongs: it was an exception for each ready job, and there is more room now.
    """

    def __init__(self, retry: Callable[[Worker], None]) -> None:
        self.known: dict[tuple[str, int], Machine] = {}
        """By host and its bytes of memory. Containers of one host, each with memory of its own, are told apart by how much that
        is."""
        self.kept: dict[str, Machine] = {}
        """By job, the machine that is kept free for it."""
        self.solitary = 0
        """The number of workers that have nothing beside them on their machines."""
        self.claims = 0
        """The number of workers whose grants reserve cores."""
        self._retry = retry

    def enter(self, worker: Worker) -> None:
        """Note that *worker* is on the machine that it names, if it names one."""
        if worker.info.host:
            worker.machine = self.known.setdefault((worker.info.host, worker.info.memory), Machine())
            worker.machine.slots[worker] = None

    def leave(self, worker: Worker) -> None:
        """Note that *worker* is on no machine, and needs nothing of one, any more."""
        machine = worker.machine
        self.claim(worker, 0, 0)
        if machine is None:
            return
        self.reserve(worker, 0, False)
        del machine.slots[worker]
        if not machine.slots:
            del self.known[worker.info.host, worker.info.memory]
            self.kept.pop(machine.kept, None)
        elif machine.blocked:
            self.offer_room(machine)
        worker.machine = None

    def reserve(self, worker: Worker, reserved: int, alone: bool) -> None:
        """Note what the grants of *worker* will need of its machine; where it is less, those that wait for it are tried again."""
        machine = worker.machine
        if machine is None:
            return
        eased = reserved < worker.reserved or alone < worker.alone
        machine.reserved += reserved - worker.reserved
        machine.alone += alone - worker.alone
        self.solitary += alone - worker.alone
        worker.reserved, worker.alone = reserved, alone
        if eased:
            self.offer_room(machine)

    def claim(self, worker: Worker, cores: int, gpu_memory: int) -> None:
        """Note what cores and GPU memory the grants of *worker* reserve."""
        more = (cores > 0) - (worker.cores > 0)
        worker.cores, worker.gpu_memory = cores, gpu_memory
        if worker.machine is not None:
            worker.machine.claims += more
            self.claims += more

    def offer_room(self, machine: Machine) -> None:
        """Let the workers of *machine* that were exceptions be tried again."""
        for blocked in list(machine.blocked):
            self._retry(blocked)

    def keep(self, machine: Machine, job_id: str) -> None:
        """Note that *machine* gets no new tasks but of the job *job_id*, which renders alone."""
        machine.kept, self.kept[job_id] = job_id, machine

    def release(self, job_id: str) -> None:
        """Note that no machine is kept free for the job *job_id* any more."""
        machine = self.kept.pop(job_id)
        machine.kept = ""
        self.offer_room(machine)


def reserved_beside(worker: Worker) -> int:
    """Return the bytes of memory that the others on the machine of *worker* will need beyond what they hold."""
    return worker.machine.reserved - worker.reserved if worker.machine is not None else 0


def may_start(demand: Demand, worker: Worker) -> bool:
    """Return whether a task of *demand* may go to *worker*, for what its machine holds: nothing goes where one renders alone, nor
    is one that is to render alone prefetched. Behind another task it would keep the other slots idle for as long as that runs."""
    machine = worker.machine
    return machine is None or not (machine.alone or (demand.alone and machine.busy))


def lacks_solitude(demand: Demand, worker: Worker) -> bool:
    """Return whether *worker* has others at work beside it, and the job or one of these is to be alone there."""
    machine = worker.machine
    if machine is None or not (demand.alone or machine.alone):
        return False
    return machine.alone > worker.alone or (demand.alone and machine.busy > (worker.count > 0))

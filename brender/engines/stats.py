"""What psutil says of this machine, and of a render process with all that it started."""

import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from brender.engines.energy import EnergyMeter
from brender.engines.gpustats import GpuWatch
from brender.model.devices import Device
from brender.model.nodes import Stats
from brender.model.stuck import IDLE_PERCENT
from brender.system.memory import read_memory


class StatsReader:
    """Reads, and keeps what it needs for rates. *disk* is a folder on the disk whose free space counts, *cards* the GPUs
    that renders use. ``energy`` measures what renders use."""

    def __init__(self, disk: Path, cards: Sequence[Device] = ()) -> None:
        self._disk = disk
        self._processes: dict[int, psutil.Process] = {}
        self._before = self._counters()
        self._before_at = time.monotonic()
        self._gpus = GpuWatch()
        self._has_cards = bool(cards)
        self._computed: tuple[int | None, float] = (None, 0.0)
        """The render process that was looked at last, and when its tree last computed something, monotonic."""
        self.energy = EnergyMeter(cards, lambda: self._gpus.now)
        psutil.cpu_percent(None)

    def read(self, render_pid: int | None = None) -> Stats:
        """Return the statistics of now, rates since the last reading; with those of the process *render_pid* and its children."""
        at, counters = time.monotonic(), self._counters()
        seconds = max(at - self._before_at, 1e-3)
        rates = [max(0.0, (new - old) / seconds) for new, old in zip(counters, self._before, strict=True)]
        self._before, self._before_at = counters, at
        memory = read_memory()
        cpu, resident, count = self._tree(render_pid)
        gpus = self._gpus.now
        self.energy.look()
        return Stats(
            cpu_percent=psutil.cpu_percent(None),
            load=psutil.getloadavg()[0],
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=psutil.disk_usage(str(self._disk)).free,
            disk_read=rates[0],
            disk_written=rates[1],
            network_received=rates[2],
            network_sent=rates[3],
            render_cpu_percent=cpu,
            render_memory=resident,
            render_processes=count,
            render_idle=self._idle(render_pid, max(cpu, gpus.percent if self._has_cards else 0.0), at),
            gpu_percent=gpus.percent,
            gpu_memory_used=gpus.memory_used,
            gpu_memory_total=gpus.memory_total,
            power=self.energy.watts,
        )

    def _idle(self, pid: int | None, percent: float, at: float) -> float:
        """Return for how many seconds the tree of *pid* has computed next to nothing, *at* which it used so many *percent*."""
        if pid is None or pid != self._computed[0] or percent >= IDLE_PERCENT:
            self._computed = (pid, at)
        return at - self._computed[1]

    def _tree(self, pid: int | None) -> tuple[float, int, int]:
        if pid is None:
            self._processes.clear()
            return 0.0, 0, 0
        found: dict[int, psutil.Process] = {}
        cpu, resident = 0.0, 0
        try:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                # The same object again, since psutil counts a process's CPU between two calls on one object.
                process = self._processes.get(process.pid, process)
                found[process.pid] = process
                cpu += process.cpu_percent(None)
                held = process.memory_info()
                resident += held.rss - getattr(held, "shared", 0)  # mapped files are not the render's alone
        except psutil.Error:
            # It ended while it was looked at: what was seen of it is what there is.
            pass
        self._processes = found
        return cpu, resident, len(found)

    @staticmethod
    def _counters() -> tuple[int, int, int, int]:
        disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
        return (
            disk.read_bytes if disk else 0,
            disk.write_bytes if disk else 0,
            network.bytes_recv if network else 0,
            network.bytes_sent if network else 0,
        )

"""Which workers have the scene of a job open in Blender, or its files at hand. Pure.

Of idle workers that are alike, the one takes a task that opened its scene last, or else one that had its files: nobody waits for
that, so nothing is to be weighed. (What a worker takes while it is at work is weighed in brender.scheduling.assignment.)

Hot path, watched by benchmarks.rounds.
"""

from collections.abc import Callable

from brender.scheduling.classes import Worker
from brender.scheduling.terms import Demand

#: Of how many scenes a worker is remembered to have had the files.
_SCENES_MOST = 8
#: How many workers with the files of a job are looked at for a task, those that had them last.
_LOOKS_MOST = 16
_NOTHING, _FILES, _OPEN = range(3)


class Warmth:
    """The scenes that workers had open, as far as they are known."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, Worker]] = {}
        """By the files of a scene, the workers that had them, by their ids, in the order in which they last opened it."""

    def note(self, worker: Worker, demand: Demand) -> None:
        """Note that *worker* opens the scene of *demand*."""
        if not demand.files:
            return
        worker.scenes.pop(demand.files, None)
        worker.scenes[demand.files] = demand.scene
        holders = self._holders.setdefault(demand.files, {})
        holders.pop(worker.id, None)
        holders[worker.id] = worker
        if len(worker.scenes) > _SCENES_MOST:
            self._drop(worker, next(iter(worker.scenes)))

    def forget(self, worker: Worker) -> None:
        """Forget a worker that is gone."""
        for files in list(worker.scenes):
            self._drop(worker, files)

    def nearest(self, demand: Demand, worker: Worker, suits: Callable[[Worker], bool]) -> Worker:
        """Return who takes a task of *demand* that *worker*, which is idle, would take: it, or another idle one of its class that
        *suits* and has more of the scene."""
        if not demand.files or not (holders := self._holders.get(demand.files)):
            return worker
        best, most = worker, _has(worker, demand)
        for number, each in enumerate(reversed(holders.values())):
            if most == _OPEN or number == _LOOKS_MOST:
                break
            is_like = each.kind is worker.kind and each.place is each.kind.idle
            if is_like and (has := _has(each, demand)) > most and suits(each):
                best, most = each, has
        return best

    def _drop(self, worker: Worker, files: str) -> None:
        del worker.scenes[files]
        holders = self._holders[files]
        del holders[worker.id]
        if not holders:
            del self._holders[files]


def _has(worker: Worker, demand: Demand) -> int:
    """Return how much of the scene of *demand* is at *worker*."""
    if demand.files not in worker.scenes:
        return _NOTHING
    files, scene = next(reversed(worker.scenes.items()))
    return _OPEN if (files, scene) == (demand.files, demand.scene) else _FILES

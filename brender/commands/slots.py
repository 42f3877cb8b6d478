"""Several slots of one machine from one command: a worker process for each."""

import os
import signal
import threading
from pathlib import Path

from brender.commands.children import Children
from brender.commands.output import say, say_lines
from brender.commands.serving import metrics_address
from brender.model.errors import BadInput, BrenderError
from brender.model.text import plural
from brender.store.datafolder import DataFolder
from brender.system.restart import STOP_SIGNALS, ask_to_finish
from brender.system.service_manager import ServiceManager

_LOOK_SECONDS = 0.5
_LAST_PORT = 65535


def run_slots(
    name: str,
    slots: list[tuple[str, int]],
    options: list[str],
    folder: DataFolder,
    config: Path | None,
    ended: threading.Event,
    join: str | None,
    metrics: str = "",
) -> None:
    """Run a worker for each of *slots* (device and CPU threads), called *name*-1 and so on, until all have left or *ended* is
    set. *options* are those that all have in common, *join* the token that each joins with. *metrics*: the address where
    the first shows its metrics; each of the others takes the next port."""
    pages = slot_addresses(metrics, len(slots))
    if join is not None:
        os.environ["BRENDER_JOIN"] = join  # the children's words may be read by others, their environment may not
    children = Children(folder, config, lambda text: say_lines(text, err=True))
    for number, (device, threads) in enumerate(slots, start=1):
        own = [
            "--name",
            f"{name}-{number}",
            "--device",
            device,
            "--threads",
            str(threads),
            "--slots",
            "",
            "--metrics",
            pages[number - 1],
        ]
        children.start(f"worker-{name}-{number}", ["worker", *own, *options])
        its_log = children.log(f"worker-{name}-{number}")
        say(f"{name}-{number}: {device}, {plural(threads, 'thread')}; its output is in {its_log}")
    leaving = threading.Event()

    def ask_to_leave(number: int, frame: object) -> None:
        # The first asks each to finish its task, the second to stop: as for a worker by itself.
        leaving.set()
        for child in children.all:
            ask_to_finish(child.process)

    for number in STOP_SIGNALS:
        signal.signal(number, ask_to_leave)
    manager = ServiceManager()
    manager.ready(f"runs {plural(len(slots), 'worker')}")
    try:
        while children.all and not ended.wait(_LOOK_SECONDS):
            manager.alive()
            if leaving.is_set():
                children.all = [child for child in children.all if child.process.poll() is None]
            else:
                children.check()
                if children.refused and not children.all:
                    raise BrenderError(f"No worker of {name} can be started: {children.refused}")
    finally:
        children.end(list(children.all))


def slot_addresses(metrics: str, count: int) -> list[str]:
    """Return the address of each of *count* workers' metrics, the first of which is *metrics*; "" for each where that is "".

    Raises `BadInput`.
    """
    if not metrics:
        return [""] * count
    first = metrics_address(metrics)
    if first.port + count - 1 > _LAST_PORT:
        raise BadInput(f"--metrics: {plural(count, 'worker')} from port {first.port} on are more than there are ports")
    return [str(first.beside(number)) for number in range(count)]

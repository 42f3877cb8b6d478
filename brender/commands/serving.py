"""A role that is ready: signals ask it to end, and the service manager that started it hears that it lives."""

from collections.abc import Callable

from brender.bus.loop import Loop
from brender.system.service_manager import ServiceManager


def serve(loop: Loop, end: Callable[[], None], has_parent: bool, status: str) -> None:
    """Let SIGTERM and SIGINT call *end* in *loop*, and tell a service manager that the role is ready, and *status*: what it does.

    A role that *has_parent* is no service: its parent may be one.
    """
    manager = ServiceManager({} if has_parent else None)

    def asked() -> None:
        manager.stopping("ends, as it was asked to")
        end()

    loop.on_signals(asked, has_parent)
    loop.each_round = manager.alive
    manager.ready(status)

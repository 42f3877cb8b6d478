"""A role that is ready: signals ask it to end, and the service manager that started it hears that it lives."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from brender.bus.address import Address, parse_address, resolve
from brender.bus.loop import Loop
from brender.commands.role_logs import say_of_role
from brender.metrics.page import MetricsPage, Snapshot
from brender.model.errors import BadInput, UnknownHost
from brender.system.service_manager import ServiceManager

F = TypeVar("F", bound=Callable[..., object])
#: Which port people are shown, of those that Prometheus' exporters take.
METRICS_PORT = 9464


def metrics_option(role: str) -> Callable[[F], F]:
    """``--metrics``: where a *role* shows its metrics."""
    return click.option(
        "--metrics",
        envvar=f"BRENDER_{role.upper()}_METRICS",
        default="",
        metavar="HOST:PORT",
        help="Serve this role's metrics for Prometheus at this address, and /healthz and /readyz. [default: off]",
    )


def metrics_page(wanted: str, role: str, folder: Path) -> MetricsPage | None:
    """Return the page of a *role*, whose data is in *folder*, at the address *wanted*; ``None`` where that is "". Raises
    `BadInput`."""
    if not wanted:
        return None
    page = MetricsPage(metrics_address(wanted), role, folder)
    say_of_role(f"brender-{role} shows its metrics at http://{page.address}/metrics")
    return page


def metrics_address(wanted: str) -> Address:
    """Return the address *wanted* for metrics, as a number. Raises `BadInput`."""
    try:
        return resolve(parse_address(wanted, METRICS_PORT), "--metrics")
    except UnknownHost as error:
        raise BadInput(str(error)) from error
    except BadInput as error:
        raise BadInput(f"--metrics: {error}") from error


def serve(
    loop: Loop,
    end: Callable[[], None],
    has_parent: bool,
    status: str,
    page: MetricsPage | None = None,
    snapshot: Callable[[], Snapshot] = Snapshot,
    look: Callable[[], None] | None = None,
) -> None:
    """Let SIGTERM and SIGINT call *end* in *loop*, and tell a service manager that the role is ready, and *status*: what it does.

    A role that *has_parent* is no service: its parent may be one. *page*: where it shows the metrics that *snapshot* returns,
    called in the loop; *look* sees to what may take long, in a thread (`MetricsPage.show`).
    """
    manager = ServiceManager({} if has_parent else None)

    def asked() -> None:
        manager.stopping("ends, as it was asked to")
        end()

    loop.on_signals(asked, has_parent)
    loop.each_round = manager.alive
    if page is not None:
        page.show(snapshot, look)

        def each_round() -> None:
            manager.alive()
            page.turned()

        loop.each_round = each_round
    manager.ready(status)

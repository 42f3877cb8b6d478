"""By which network interface this machine is reached."""

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

import psutil

#: An address that is nobody's, so that no packet has to be sent to learn by which interface the network is reached.
_OUTSIDE = ("192.0.2.1", 9)


def own_address() -> str | None:
    """Return the IPv4 address of the interface by which the network is reached; ``None`` where there is no network."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_OUTSIDE)
        return str(probe.getsockname()[0])
    return None


def mac_address() -> str:
    """Return the MAC address of the interface by which the network is reached, else of the first that is up, or "" if none is."""
    interfaces = psutil.net_if_addrs()
    if own := own_address():
        for addresses in interfaces.values():
            if any(each.address == own for each in addresses) and (mac := _mac_of(addresses)):
                return mac
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    return next((mac for name, addresses in sorted(interfaces.items()) if name in up and (mac := _mac_of(addresses))), "")


def _mac_of(addresses: Sequence[Any]) -> str:
    macs = (str(each.address).replace("-", ":").lower() for each in addresses if each.family == psutil.AF_LINK)
    return next((mac for mac in macs if mac.count(":") == 5 and mac != "00:00:00:00:00:00"), "")

"""Where roles listen: default ports, addresses as people write them, and the rule that only loopback is used."""

import ipaddress
import os
import random
import socket
from dataclasses import dataclass

from brender.model.errors import BadInput, Conflict

#: A role's first port; its others lie beside it (`server_ports`, `manager_ports`).
SERVER_PORT, MANAGER_PORT, DASHBOARD_PORT = 9999, 7777, 8888


@dataclass(frozen=True)
class Address:
    """A host (a name or a number) and a TCP port; port 0 stands for any free one."""

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        """As ZeroMQ writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port or '*'}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def beside(self, offset: int) -> "Address":
        """The same host, *offset* ports on; any free port stays any free port."""
        return Address(self.host, self.port + offset if self.port else 0)


def parse_address(text: str, default_port: int) -> Address:
    """``host``, ``host:port``, ``[::1]:port`` or ``tcp://host:port``. Raises `BadInput`."""
    plain = text.strip().removeprefix("tcp://")
    if plain.startswith("["):
        host, _, rest = plain[1:].partition("]")
        port = rest.removeprefix(":")
    elif plain.count(":") > 1:
        host, port = plain, ""
    else:
        host, _, port = plain.partition(":")
    number = default_port if not port else int(port) if port.isdigit() else -1
    if not host or not 0 <= number <= 65535:
        raise BadInput(f"{text!r} is no address: write host or host:port, such as brender-server:{default_port}")
    return Address(host, number)


def resolve_loopback(address: Address, what: str, exact: bool = False) -> Address:
    """*address* with its host resolved to a loopback number. Raises `BadInput` where it resolves to none.

    Until the bus has keys nothing leaves this machine. Loopback is 127.0.0.0/8 and ::1. *exact*: where browsers resolve the
    name too, it must be just the number that they find.
    """
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadInput(
            f"{what}: the host name {address.host!r} cannot be resolved ({error.strerror or error}). "
            "Give an address such as 127.0.0.1, or put the name into the hosts file"
        ) from error
    numbers = sorted({str(info[4][0]) for info in found}, key=lambda number: (":" in number, number))
    loopback = [number for number in numbers if ipaddress.ip_address(number.partition("%")[0]).is_loopback]
    if not loopback or len(loopback) != len(numbers):
        raise BadInput(
            f"{what}: {address.host!r} is {', '.join(numbers)}, which is not on this machine. The bus has no keys yet, so "
            "brender only uses loopback addresses (127.0.0.1)"
        )
    # Debian maps a host's own name to 127.0.1.1, where nobody listens: a name means this machine, so its usual number.
    is_name = address.host not in loopback and not exact
    return Address("127.0.0.1" if is_name and ":" not in loopback[0] else loopback[0], address.port)


@dataclass(frozen=True)
class ServerAddresses:
    """The server's sockets: control, and beside it events (-1), stats (-2) and files (-3)."""

    control: Address
    events: Address
    stats: Address
    files: Address

    @classmethod
    def of(cls, control: Address) -> "ServerAddresses":
        return cls(control, control.beside(-1), control.beside(-2), control.beside(-3))


@dataclass(frozen=True)
class ManagerAddresses:
    """The manager's sockets: control, and beside it stats (+1) and files (-1)."""

    control: Address
    stats: Address
    files: Address

    @classmethod
    def of(cls, control: Address) -> "ManagerAddresses":
        return cls(control, control.beside(1), control.beside(-1))


def free_ports(count: int) -> int:
    """The first of *count* neighbouring ports on which nobody listens on loopback now. Raises `Conflict` where none are.

    Below the range from which systems give ports to outgoing connections, so that they are still free a moment later.
    """
    for _ in range(200):
        first = random.randrange(20_000, 32_000 - count)
        if all(is_free(Address("127.0.0.1", port)) for port in range(first, first + count)):
            return first
    raise Conflict(f"No {count} neighbouring ports are free on this machine. Name ports with --port-base")


def is_free(address: Address) -> bool:
    """Whether something could listen on *address* now."""
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True

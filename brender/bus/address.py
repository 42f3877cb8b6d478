"""Where roles listen: default ports, and addresses as people write them."""

import ipaddress
import random
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from brender.model.errors import BadInput, BrenderError, Conflict, UnknownHost

#: The server's sockets, by the names that they have in addresses and answers.
DOORS = ("control", "events", "stats", "files", "enrolment")
#: A role's first port; its others lie beside it (`server_ports`, `manager_ports`).
#: What a role says of ports that are in use; `brender farm` has another option for that.
OTHER_PORTS = "choose other ports with --port-base"
SERVER_PORT, MANAGER_PORT, DASHBOARD_PORT = 9999, 7777, 8888

#: How the networks are called that lead to containers and virtual machines of this machine alone.
_INWARD = ("docker", "br-", "veth", "virbr", "podman", "cni", "lxc", "lxdbr", "vmnet", "vboxnet")


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
        """Return the same host, *offset* ports on; any free port stays any free port."""
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
        raise BadInput(f"{text!r} is not an address: write host or host:port, such as brender-server:{default_port}")
    return Address(host, number)


def resolve(address: Address, what: str, local_only: bool = False) -> Address:
    """Return *address* with its host resolved to a number; ``*`` stands for all of this machine's. Raises `BadInput` where
    it resolves to none, or, for what is *local_only*, to one that is not this machine's alone (127.0.0.0/8 or ::1)."""
    if address.host in ("*", "0.0.0.0", "::") and not local_only:
        return Address("0.0.0.0" if address.host == "*" else address.host, address.port)
    try:
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnknownHost(
            f"{what}: the host name {address.host!r} cannot be resolved ({error.strerror or error}). "
            "Give an address such as 127.0.0.1, or put the name into the hosts file"
        ) from error
    numbers = sorted({str(info[4][0]) for info in found}, key=lambda number: (":" in number, number))
    loopback = [number for number in numbers if is_loopback(number)]
    if local_only:
        if not loopback or len(loopback) != len(numbers):
            raise BadInput(
                f"{what}: {address.host!r} is {', '.join(numbers)}, which others could reach too, and it has no users yet that "
                "could keep them out: only loopback addresses (127.0.0.1) will do"
            )
        return Address(loopback[0], address.port)
    if not loopback:
        return Address(numbers[0], address.port)
    # Debian maps a host's own name to 127.0.1.1, where nobody listens: a name means this machine, so its usual number.
    is_name = address.host not in loopback
    return Address("127.0.0.1" if is_name and ":" not in loopback[0] else loopback[0], address.port)


def resolve_to_connect(address: Address, what: str) -> Address:
    """Return *address* for sockets that connect to it: the name of another machine stays one, for ZeroMQ looks it up at each try,
    and so finds a machine whose number has changed; what listens on all addresses of this machine is reached by its own. Raises
    `BadInput` where it resolves to none.

    >>> str(resolve_to_connect(Address("0.0.0.0", 9999), "server")), str(resolve_to_connect(Address("::", 9999), "server"))
    ('127.0.0.1:9999', '[::1]:9999')
    """
    found = resolve(address, what)
    if found.host in ("0.0.0.0", "::"):
        return Address("127.0.0.1" if found.host == "0.0.0.0" else "::1", found.port)
    stays = found.host != address.host and ":" not in found.host and not is_loopback(found.host)
    return address if stays else found


def cannot_listen(what: str, address: Address, in_use: bool, words: str) -> BrenderError:
    """Return the error of *what*, which cannot listen on *address*: its port is *in_use*, or the system says why in *words*."""
    if in_use:
        return Conflict(
            f"{what}: port {address.port} on {address.host} is in use, perhaps by another brender. "
            f"Stop that one, or {OTHER_PORTS}"
        )
    return BadInput(f"{what}: cannot listen on {address}: {words}")


def is_loopback(host: str) -> bool:
    """Return whether the number *host* is in 127.0.0.0/8 or ::1; a name is not."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def own_hosts() -> list[str]:
    """Return the addresses of this machine that others may reach it by, IPv4 first, and those last that only its own
    containers and virtual machines can reach; 127.0.0.1 where it has no other."""
    found = {
        address.address.partition("%")[0]: name.startswith(_INWARD)
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
    usable = [host for host in found if not is_loopback(host) and not ipaddress.ip_address(host).is_link_local]
    return sorted(usable, key=lambda host: (found[host], ":" in host, host)) or ["127.0.0.1"]


@dataclass(frozen=True)
class ServerAddresses:
    """The server's sockets: control, and beside it events (-1), stats (-2), files (-3) and enrolment (-4); and the public
    ``key`` by which it is known."""

    control: Address
    events: Address
    stats: Address
    files: Address
    enrolment: Address
    key: str = ""

    @classmethod
    def of(cls, control: Address, key: str = "") -> "ServerAddresses":
        return cls(control, control.beside(-1), control.beside(-2), control.beside(-3), control.beside(-4), key)

    @classmethod
    def at(cls, host: str, ports: Mapping[str, int], key: str) -> "ServerAddresses":
        """Return each door on *host*, at the port that *ports* has under its name."""
        return cls(**{door: Address(host, ports[door]) for door in DOORS}, key=key)

    @property
    def ports(self) -> dict[str, int]:
        return {door: getattr(self, door).port for door in DOORS}

    def resolved(self) -> "ServerAddresses":
        """Return the same, as numbers. Raises `BadInput`."""
        return self._each(resolve)

    def to_connect(self) -> "ServerAddresses":
        """Return the same, as `resolve_to_connect` has them. Raises `BadInput`."""
        return self._each(resolve_to_connect)

    def _each(self, read: Callable[[Address, str], Address]) -> "ServerAddresses":
        what = "The server's address"
        control, events, stats, files, enrolment = (read(getattr(self, door), what) for door in DOORS)
        return ServerAddresses(control, events, stats, files, enrolment, self.key)


@dataclass(frozen=True)
class ManagerAddresses:
    """The manager's sockets: control, and beside it stats (+1) and files (-1); and the public ``key`` by which it is known."""

    control: Address
    stats: Address
    files: Address
    key: str = ""

    @classmethod
    def of(cls, control: Address, key: str = "") -> "ManagerAddresses":
        return cls(control, control.beside(1), control.beside(-1), key)

    def resolved(self) -> "ManagerAddresses":
        """Return the same, as numbers. Raises `BadInput`."""
        return self._each(resolve)

    def to_connect(self) -> "ManagerAddresses":
        """Return the same, as `resolve_to_connect` has them. Raises `BadInput`."""
        return self._each(resolve_to_connect)

    def _each(self, read: Callable[[Address, str], Address]) -> "ManagerAddresses":
        what = "The manager's address"
        return ManagerAddresses(read(self.control, what), read(self.stats, what), read(self.files, what), self.key)


def free_ports(count: int) -> int:
    """Return the first of *count* neighbouring ports that are free on loopback now. Raises `Conflict` if there are none.

    Below the range from which systems give ports to outgoing connections, so that they are still free a moment later.
    """
    for _ in range(200):
        first = random.randrange(20_000, 32_000 - count)
        if all(is_free(Address("127.0.0.1", port)) for port in range(first, first + count)):
            return first
    raise Conflict(f"No {count} neighbouring ports are free on this machine. Name ports with --port-base")


def answers(address: Address, seconds: float) -> bool:
    """Return whether something at *address* can be connected to within so many *seconds*."""
    try:
        with socket.create_connection((address.host, address.port), seconds):
            return True
    except OSError:
        return False


def is_free(address: Address) -> bool:
    """Return whether something could listen on *address* now."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True

"""Finding a farm on the local network by mDNS (RFC 6762, 6763): servers and managers say where they are, and by which key they
are known. What is found is believed no further than its key: only one that a token vouches for is joined."""

import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from brender import __version__
from brender.bus.address import Address, ManagerAddresses, answers, is_loopback, own_hosts
from brender.model.text import harmless

log = logging.getLogger("brender.discovery")

SERVICE = "_brender._tcp.local."
_LOOK_SECONDS = 3.0
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Found:
    """A role that says on the network that it is there: where workers enrol (a server) or connect (a manager)."""

    role: str
    name: str
    address: Address
    key: str


@contextmanager
def announced(role: str, name: str, address: Address, key: str) -> Iterator[None]:
    """Say on the local network, while the block runs, that the *role* listens at *address* and has the public *key*. Only where
    others can reach it; a network that does not allow it is not a failure of the role."""
    hosts = own_hosts() if address.host in ("0.0.0.0", "::") else [address.host]
    hosts = [host for host in hosts if not is_loopback(host)]
    if not hosts:
        yield
        return
    from zeroconf import IPVersion, ServiceInfo, Zeroconf  # here: few commands need it, and all would wait for it

    # A service's label has 63 bytes at most (RFC 6763, 4.1.1).
    label = f"{role} {name} {key[:8]}".encode()[:63].decode(errors="ignore").replace(".", "-")
    info = ServiceInfo(
        SERVICE,
        f"{label}.{SERVICE}",
        port=address.port,
        properties={"role": role, "name": name, "key": key, "software": __version__},
        addresses=[socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host) for host in hosts],
    )
    try:
        zeroconf = Zeroconf(ip_version=IPVersion.V4Only)
        zeroconf.register_service(info, allow_name_change=True)
    except Exception as error:  # zeroconf and the system raise a dozen unrelated kinds
        log.warning("the network is not told of this %s (mDNS: %s)", role, error)
        yield
        return
    try:
        yield
    finally:
        zeroconf.unregister_service(info)
        zeroconf.close()


def find(seconds: float = _LOOK_SECONDS) -> list[Found]:
    """Return every server and manager that says within *seconds* that it is there."""
    from zeroconf import IPVersion, ServiceBrowser, ServiceStateChange, Zeroconf

    found: dict[str, Found] = {}

    def hear(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            return
        info = zeroconf.get_service_info(service_type, name, 1000)
        if info is not None and info.port and info.parsed_addresses():
            facts = info.decoded_properties
            address = one_that_answers([Address(host, info.port) for host in info.parsed_addresses()])
            found[name] = Found(str(facts.get("role")), str(facts.get("name")), address, str(facts.get("key")))

    try:
        zeroconf = Zeroconf(ip_version=IPVersion.V4Only)
    except OSError as error:
        log.warning("the network cannot be asked for a farm (mDNS: %s)", error)
        return []
    try:
        ServiceBrowser(zeroconf, SERVICE, handlers=[hear])
        time.sleep(seconds)
    finally:
        zeroconf.close()
    return sorted(found.values(), key=lambda each: (each.role, each.name))


def one_that_answers(addresses: list[Address]) -> Address:
    """Return the first of *addresses* that can be connected to from here, all tried at once, else the first."""
    if len(addresses) == 1:
        return addresses[0]
    with ThreadPoolExecutor(len(addresses)) as threads:
        found = zip(addresses, threads.map(lambda each: answers(each, _ANSWER_SECONDS), addresses), strict=True)
        return next((address for address, does in found if does), addresses[0])


def find_server(key: str) -> Address | None:
    """Return where the server with that public *key* says that its enrolment door is."""
    found = _vouched_for("server", {key})
    return found[0].address if found else None


def find_managers(keys: set[str]) -> list[ManagerAddresses]:
    """Return where the managers with those public *keys* say that they are."""
    return [ManagerAddresses.of(each.address, each.key) for each in _vouched_for("manager", keys)]


def _vouched_for(role: str, keys: set[str]) -> list[Found]:
    """Return those of a *role* whose key is one of *keys*; all else that is found is named in the log, and not joined."""
    good = []
    for each in find():
        vouched = each.role == role and each.key in keys
        log.warning(
            "found the %s %s at %s on the network%s",
            *(harmless(each.role), harmless(each.name), each.address),
            "" if vouched else ", which nothing vouches for: not joined",
        )
        good += [each] if vouched else []
    return good

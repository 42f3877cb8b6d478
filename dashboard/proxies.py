"""Reverse proxies in front of the dashboard, and whose requests they pass on. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from brender.model.errors import BadInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: One home or site has at least so many bits of an IPv6 address to choose from, so all of these count as one.
_SITE_BITS = 64


@dataclass(frozen=True)
class Proxies:
    """The proxies whose word is believed, each an address or a network."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Proxies":
        """Read addresses such as 127.0.0.1 and networks such as 10.0.0.0/8. Raises `BadInput`."""
        found = []
        for text in texts:
            try:
                found.append(ipaddress.ip_network(text.strip()))
            except ValueError as error:
                raise BadInput(
                    f"--proxy {text}: {error}. Give an address such as 127.0.0.1, or a network such as 10.0.0.0/8"
                ) from error
        return cls(tuple(found))

    def trust(self, text: str) -> bool:
        """Return whether the address *text* is one of theirs."""
        address = _parsed(text)
        return address is not None and any(address in network for network in self.networks)

    def client(self, remote: str, forwarded: str) -> str:
        """Return the address that a request came from: *remote*, or what trusted proxies say by X-Forwarded-For (*forwarded*).

        Each proxy adds the address that it was asked from at the end. What stands before the last trusted one is anybody's word.
        """
        found = remote
        for text in reversed([each.strip() for each in forwarded.split(",") if each.strip()]):
            if not self.trust(found) or _parsed(text) is None:
                break
            found = text
        return found


def origin(address: str) -> str:
    """Return what counts as one place of *address*: itself, or for IPv6 its network of 64 bits."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _SITE_BITS), strict=False))
    return str(parsed or address)


def _parsed(text: str) -> Address | None:
    """Return the address in *text*, which may carry a zone or a port, as some proxies write it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

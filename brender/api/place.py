"""Where a farm is, and who asks it: the server of this machine's data folder, the one that was joined, or one at an address."""

import getpass
import os
from dataclasses import dataclass, field
from pathlib import Path

from brender.api.connection import Notify, silent
from brender.api.own_server import await_server, why_away
from brender.bus.address import DOORS, SERVER_PORT, ServerAddresses, answers, parse_address, resolve
from brender.bus.client import Client
from brender.bus.keys import Credentials, KeyPair, read_pair
from brender.bus.membership import read_membership
from brender.model.errors import Forbidden, Unreachable
from brender.model.keys import KeyRole, token_command
from brender.model.rights import TABLE, Scope, scope
from brender.store.datafolder import DataFolder
from brender.transfer.client import Exchange

#: How long a server is waited for that does not even take a connection.
_PROBE_SECONDS = 3.0


@dataclass(frozen=True)
class Place:
    """A farm that is asked over the bus: the one at the address *server* (``None``: of the data folder, or joined from it).
    *notify* hears why it takes long to reach."""

    server: str | None = None
    data: Path = field(default_factory=DataFolder.default)
    notify: Notify = silent

    @property
    def is_here(self) -> bool:
        """Whether the farm's server is this data folder's own, on this machine."""
        return self.server is None and DataFolder(self.data).local_key.exists()

    def client(self, timeout: float = 10.0) -> Client:
        """Return a connection to the server, whose answers are waited for *timeout* seconds. Raises as `as_commands` does."""
        made = Client(*as_commands(self.server, self.data, self.notify), timeout)
        made.asker = user()
        return made

    def follow(self, client: Client) -> str | None:
        """Lead *client*, which gets no answer, to the addresses where the data folder's server is now: a farm that was started
        again may have others. Returns why it has none, and what to do; ``None`` where it runs, starts, or is elsewhere."""
        if not self.is_here:
            return None
        folder = DataFolder(self.data)
        if folder.announced("server") is None:
            return why_away(folder)
        server = own_server(None, folder)
        if server is not None and (found := server.resolved()) != client.addresses:
            client.move(found)
        return None

    def exchange(self) -> Exchange:
        """Return a connection for files to the server. Raises as `as_commands` does."""
        addresses, pair = as_commands(self.server, self.data, self.notify)
        return Exchange(addresses.files, Credentials(pair, addresses.key))


def as_commands(server: str | None, data: Path, notify: Notify = silent) -> tuple[ServerAddresses, KeyPair]:
    """Return where the server is that the options name, and the key that this machine's commands have there.

    Raises `Forbidden` where that is a monitor's, and `Unreachable` without a long wait where nothing listens there, or where that
    is the server of the data folder and nobody starts it (`await_server`).
    """
    folder = DataFolder(data)
    if server is None and folder.local_key.exists():
        await_server(folder, notify)
    addresses, pair = as_client(server, folder)
    membership = None if folder.local_key.exists() else read_membership(folder.membership)
    if membership is not None and scope(membership.role, "ask") is Scope.NOBODY:
        raise Forbidden(
            f"A {membership.role}'s key, which this machine joined the farm with, may not {TABLE['ask'].deed} (a monitor watches "
            f"it: `brender-monitor`). {token_command(KeyRole.CLIENT)} on the server's machine prints a token to join with"
        )
    if not answers(addresses.control, _PROBE_SECONDS):
        raise Unreachable(
            f"Nothing listens at {addresses.control}, where the farm's server should be. Check that it runs (`brender farm` or "
            "`brender-server` on its machine), or name another with --server"
        )
    return addresses, pair


def as_client(server: str | None, folder: DataFolder) -> tuple[ServerAddresses, KeyPair]:
    """Return where the farm's server is, and the key that this machine's commands have there. Raises `Unreachable`."""
    if server is not None:  # an address that makes no sense is named before what is missing
        resolve(parse_address(server, SERVER_PORT), "The server's address")
    own = own_server(server, folder)
    if own is not None:
        return own.resolved(), read_pair(folder.local_key)
    membership = read_membership(folder.membership)
    if membership is None:
        raise Unreachable(
            f"There is no farm in {folder.root}, and this machine has not joined one. Start one with `brender farm` (or "
            f"brender-server), or join one: {token_command(KeyRole.CLIENT)} on its server prints a token for `brender join`"
        )
    return at_address(membership.server, server).resolved(), read_pair(folder.client_key)


def own_server(server: str | None, folder: DataFolder) -> ServerAddresses | None:
    """Return the server whose own data folder *folder* is, at the address *server* where that is given; ``None`` where it is
    none's."""
    if not folder.local_key.exists():
        return None
    key = read_pair(folder.server_key).public
    announced = None if server else folder.announced("server")
    if announced is not None:
        return ServerAddresses(**{door: parse_address(announced[door], 0) for door in DOORS}, key=key)
    return ServerAddresses.of(parse_address(server or "127.0.0.1", SERVER_PORT), key)


def at_address(server: ServerAddresses, text: str | None) -> ServerAddresses:
    """Return *server*, at the address *text* where one is given."""
    return server if text is None else ServerAddresses.of(parse_address(text, server.control.port), server.key)


def user() -> str:
    """Who is at the keyboard."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return os.environ.get("USERNAME", "")

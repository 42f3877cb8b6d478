"""How commands and roles come to their keys: the server's own folder has them, a token brings them, or they are kept from
before."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from brender.api.place import as_client, at_address, own_server
from brender.bus.address import (
    MANAGER_PORT,
    Address,
    ManagerAddresses,
    ServerAddresses,
    answers,
    own_hosts,
    parse_address,
    resolve,
)
from brender.bus.client import Client
from brender.bus.keys import KeyPair, kept_pair, new_pair, read_pair, write_pair
from brender.bus.membership import Joining, JoinToken, Membership, parse_token, read_membership
from brender.bus.messages import Enrolled
from brender.commands.discovery import find_managers, find_server
from brender.model.errors import BadInput, BrenderError, Unreachable
from brender.model.keys import KeyRole, token_command
from brender.model.text import with_article
from brender.roles.identity import node_id
from brender.store.datafolder import DataFolder

log = logging.getLogger("brender.keys")

_WAIT_SECONDS, _TRY_SECONDS, _LOOK_SECONDS = 60.0, 1.0, 0.25
_SAY_SECONDS = 10.0
#: Seconds that a server which starts in the same folder may take to make its keys.
_KEYS_SECONDS = 10.0
OWN_SERVER = "{folder} is the data folder of a server of its own. Give another with --data"
_LOOPBACK = "127.0.0.1"
_ANSWER_SECONDS = 2.0
_LOOKUP_SECONDS = 3.0

join_option = click.option(
    "--join",
    envvar="BRENDER_JOIN",
    metavar="TOKEN",
    help="The token to join a farm with, or @FILE that holds it; needed only once. `brender token create` prints one.",
)
new_key_option = click.option("--new-key", is_flag=True, help="Join with a new key, which replaces the old one.")


def given_token(join: str) -> str:
    """Return the token's string that *join* is, or that the file holds which it names with an @. Raises `BadInput`."""
    if not join.startswith("@"):
        return join
    try:
        return Path(join[1:]).read_text().strip()
    except OSError as error:
        raise BadInput(f"The file {join[1:]} with the join token cannot be read: {error.strerror}") from error


def as_dashboard(server: str | None, folder: DataFolder) -> tuple[ServerAddresses, KeyPair]:
    """Return where the farm's server is, and the key that this machine's dashboard has there. Raises `Unreachable`."""
    addresses, pair = as_client(server, folder)
    return addresses, kept_pair(folder.dashboard_key) if folder.local_key.exists() else pair


def join_as_client(folder: DataFolder, join: str, name: str) -> Membership:
    """Have this machine's commands join a farm, as what the token says. Raises `BrenderError`."""
    if folder.local_key.exists():
        raise BadInput(OWN_SERVER.format(folder=folder.root))
    token = parse_token(given_token(join))
    if token.role in (KeyRole.WORKER, KeyRole.MANAGER):
        raise BadInput(f"This token lets {with_article(token.role)} in: use it with `brender-{token.role} --join`")
    pair = kept_pair(folder.make().client_key)
    membership = Joining(pair, token.role, name).with_token(token)
    membership.keep(folder.membership)
    return membership


def _is_own(server: str | None, folder: DataFolder) -> bool:
    """Return whether *folder* is the server's own. One that starts there at the same time makes its keys in a moment."""
    deadline = time.monotonic() + _KEYS_SECONDS
    while own_server(server, folder) is None:
        if not folder.is_locked("server") or time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def name_of_node(folder: DataFolder, role: KeyRole, name: str, join: str | None) -> str:
    """Return the name that the *role* of this command has: *name*; but that of the only one which has joined from *folder*, where
    the command was given no name, and none called *name* is there."""
    is_chosen = click.get_current_context().get_parameter_source("name") is not ParameterSource.DEFAULT
    there = _joined(folder, role)
    if is_chosen or join is not None or name in there or len(there) != 1 or folder.local_key.exists():
        return name
    return there[0]


def _joined(folder: DataFolder, role: KeyRole) -> list[str]:
    """Return the names of the nodes of this *role* that have joined a farm from *folder*."""
    return sorted(path.parent.name for path in folder.root.glob(f"{role}s/*/membership.json"))


def join_as_node(
    folder: DataFolder, role: KeyRole, name: str, join: str | None, server: str | None, new_key: bool = False
) -> Membership:
    """Have the *role* called *name* in *folder* belong to a farm: by the token *join*, as the server's own folder, or as before.
    Raises `BrenderError`."""
    own = folder.make().manager(name) if role is KeyRole.MANAGER else folder.make().worker(name)
    node, kept = node_id(own), own / "membership.json"
    joining = Joining(kept_pair(own / "key"), role, name, node)
    is_own = _is_own(server, folder)
    before = read_membership(kept)
    try:
        if join is not None:
            membership = _by_key_or_token(joining, before, join, server)
            reached = at_address(membership.server, server)
            membership = msgspec.structs.replace(membership, host=reached.control.host, ports=reached.ports)
        elif is_own:
            membership = _as_own(joining, folder, server)
        elif before is not None:
            membership = joining.again(at_address(before.server, server))
        else:
            there = [each for each in _joined(folder, role) if each != name]
            others = (
                f"Joined from {folder.root} before: {', '.join(there)}. `--name {there[0]}` starts that one. " if there else ""
            )
            raise BadInput(
                f"The {role} {name} has not joined a farm yet. {others}On the server's machine, {token_command(role)} "
                f"prints a token; start it with `brender-{role} --join TOKEN`, or with BRENDER_JOIN=TOKEN in its environment"
            )
    except Unreachable as error:
        if before is None:
            raise
        log.warning("%s; going on with what was known before", error)
        return before
    if new_key:
        fresh = new_pair()
        membership = joining.again(membership.server, instead=fresh.public)
        write_pair(own / "key", fresh)
    membership.keep(kept)
    return membership


def tell_of_unknown_hosts(folder: DataFolder, name: str, managers: str | None) -> None:
    """Begin to look up where the worker called *name* will turn to: the server and managers that it knows from before, or those
    that *managers* names. A name that is not found is logged at once; one whose lookup takes long, after 3 seconds."""
    known = read_membership(folder.worker(name) / "membership.json")
    addresses = {} if known is None else {known.server.control.host: "The server's address"}
    if managers is not None:
        found: Iterable[Address] = (parse_address(each.strip().rpartition("@")[2], MANAGER_PORT) for each in managers.split(","))
    else:
        found = (each.control for each in (known.manager_addresses() if known is not None else ()))
    addresses |= {address.host: "The manager's address" for address in found}
    for host, what in addresses.items():
        threading.Thread(target=_look_up, args=(host, what), name="brender-lookup", daemon=True).start()


def _look_up(host: str, what: str) -> None:
    slow = threading.Timer(
        _LOOKUP_SECONDS,
        log.warning,
        (
            "%s: looking up the host name %r takes long. Does this machine's name server (DNS) answer? If it does not, put the "
            "name into the hosts file, or give an address such as 10.0.0.7",
            what,
            host,
        ),
    )
    slow.daemon = True
    slow.start()
    try:
        resolve(Address(host, 0), what)
    except BadInput as error:
        log.warning("%s", error)
    finally:
        slow.cancel()


def managers_for(
    membership: Membership, name: str, managers: str | None, ask_again: Callable[[], Membership]
) -> tuple[Membership, list[ManagerAddresses]]:
    """Return the managers that a worker turns to: those that *managers* names (addresses with commas between, ``NAME@``
    before one where it is not the manager's own), else all that the server knows. Waits until there are such. Raises
    `BadInput`."""
    said = float("-inf")
    while True:
        if managers is None:
            found = where_they_answer(membership.manager_addresses())
            missing = "" if found else "there is no manager yet"
        else:
            found, missing = _named(managers, membership)
        if not missing:
            return membership, found
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            log.warning("%s waits: %s", name, missing)
        time.sleep(_LOOK_SECONDS)
        membership = ask_again()


def where_they_answer(known: list[ManagerAddresses]) -> list[ManagerAddresses]:
    """Return the *known* managers; if none of them answers, those of them that say on the local network that they are
    elsewhere. One on this machine may listen on loopback alone, and is tried there too."""
    if not known or any(answers(each.control, _ANSWER_SECONDS) for each in known):
        return known
    here = own_hosts()
    inward = [ManagerAddresses.of(Address(_LOOPBACK, each.control.port), each.key) for each in known if each.control.host in here]
    if any(answers(each.control, _ANSWER_SECONDS) for each in inward):
        return [*inward, *known]
    return find_managers({each.key for each in known}) or [*known, *inward]


def _named(managers: str, membership: Membership) -> tuple[list[ManagerAddresses], str]:
    """Return the addresses that *managers* names, with the keys of those managers; and which of them is not known yet."""
    found = []
    for text in managers.split(","):
        name, at, address_text = text.strip().rpartition("@")
        address = parse_address(address_text, MANAGER_PORT)
        numbered = resolve(address, "The manager's address")
        if at:
            keys = {place.public for place in membership.managers if place.name == name}
        else:
            keys = {
                place.public
                for place in membership.managers
                if resolve(parse_address(place.address, 0), "The manager's address") == numbered
            }
        if len(keys) != 1:
            known = ", ".join(f"{place.name}@{place.address}" for place in membership.managers) or "none"
            return [], f"the server knows no manager {text.strip()} (it knows {known}); NAME@HOST:PORT says which one is meant"
        found.append(ManagerAddresses.of(address, keys.pop()))
    return found, ""


def _by_key_or_token(joining: Joining, before: Membership | None, join: str, server: str | None) -> Membership:
    """By the key that was admitted *before*, in the same farm; else by the token *join*, which is good for a while only."""
    token = None
    try:
        token = parse_token(given_token(join))
        if before is None or token.key != before.server_key:
            return _with_token(joining, token)
    except BadInput as error:
        if before is None or token is not None:
            raise
        log.warning("%s; going on as it joined before", error)
    assert before is not None
    try:
        return joining.again(at_address(before.server, server))
    except BrenderError:
        if token is None:
            raise
        return _with_token(joining, token)


def _with_token(joining: Joining, token: JoinToken) -> Membership:
    try:
        return joining.with_token(token)
    except Unreachable as error:
        found = find_server(token.key)
        if found is None:
            raise
        log.warning("%s; but a server with its key answers on the network at %s", error, found)
        return joining.with_token(msgspec.structs.replace(token, addresses=(str(found),)))


def _as_own(joining: Joining, folder: DataFolder, server: str | None) -> Membership:
    """Return admitted by the key that lies in the server's own data folder, once that server runs: it may be starting as well."""
    local, deadline = read_pair(folder.local_key), time.monotonic() + _WAIT_SECONDS
    while True:
        found = own_server(server, folder)
        assert found is not None, "the folder is a server's own"
        addresses = found.resolved()
        try:
            with Client(addresses, local, _TRY_SECONDS) as client:
                who = {"role": joining.role, "name": joining.name, "node": joining.node}
                facts = client.manage("admit", public=joining.pair.public, **who)
            break
        except Unreachable:
            if time.monotonic() > deadline:
                raise
    membership = Membership.of(msgspec.convert(facts, Enrolled), addresses.key, addresses.control.host)
    # By the address that was asked for: there may be something between, such as a forwarded port.
    return msgspec.structs.replace(membership, ports=addresses.ports)

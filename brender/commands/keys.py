"""Commands about who belongs to the farm: joining it, tokens, keys."""

import platform
from pathlib import Path

import click

from brender.bus.address import parse_address
from brender.bus.membership import JoinToken, reached_at
from brender.commands.config import Configured
from brender.commands.discovery import find
from brender.commands.joining import join_as_client
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say, when
from brender.commands.paging import tell_end
from brender.model.errors import BadInput
from brender.model.keys import KeyRole
from brender.model.text import short_id
from brender.store.datafolder import DataFolder

LOOPBACK_ONLY = (
    "The server listens on this machine alone, so only this machine can join: `brender-server --listen 0.0.0.0` opens it to the "
    "network"
)


@click.command(cls=Configured, section="join", short_help="Let this machine's commands use a farm elsewhere.")
@common
@click.argument("token_text", metavar="[TOKEN]", required=False, envvar="BRENDER_JOIN")
@click.option(
    "--name",
    default=platform.node,
    show_default="this host's name",
    help="The name of this machine's key, if the token has no name and is not for a client.",
)
def join(data: Path, config: Path | None, verbose: bool, token_text: str | None, name: str) -> None:
    """Let this machine's commands use a farm on another machine: TOKEN, or @FILE that holds it, comes from
    `brender token create --role client --name NAME`. Asked for where it is not given.

    Workers and managers join by themselves: brender-worker --join TOKEN.
    """
    if token_text is None:
        token_text = click.prompt("The join token", hide_input=True)
    membership = join_as_client(DataFolder(data), token_text, name or "brender")
    say(f"Joined the farm whose server is at {membership.server.control}, as the {membership.role} {membership.name}")


@click.group()
def token() -> None:
    """Create, list and revoke tokens, by which others join the farm."""


@token.command("create", cls=Configured, section="token", short_help="Print a token that lets others join.")
@common
@server_option
@click.option(
    "--role", type=click.Choice([role.value for role in KeyRole]), required=True, help="The role that may join by the token."
)
@click.option("--uses", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many may join by the token.")
@click.option("--expires", default="24h", show_default=True, metavar="TIME", help="How long the token is valid: 30m, 24h, 7d.")
@click.option(
    "--name",
    default="",
    help="The name of everyone who joins by the token. A client needs one: it submits jobs in this name. "
    "[default: their own names]",
)
@click.option("--key-expires", metavar="TIME", help="How long their keys are valid. [default: until they are revoked]")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST[:PORT]",
    help="The address at which other machines reach the server's enrolment port. [default: this machine's addresses]",
)
@json_option
def create(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    role: str,
    uses: int,
    expires: str,
    name: str,
    key_expires: str | None,
    addresses: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print a token that lets workers, managers, clients, monitors or admins join.

    Anyone who has it may join: hand it over as you would a password. The server keeps only its digest, so it is shown only now.
    """
    folder = DataFolder(data)
    with client(server, data) as connection:
        made = connection.manage("create-token", role=role, uses=uses, expires=expires, name=name, key_expires=key_expires)
        enrolment, key = connection.addresses.enrolment, connection.addresses.key
    where = reached_at(str((folder.announced("server") or {}).get("enrolment", "")), enrolment, addresses)
    text = JoinToken(KeyRole(role), key, where, made["id"], made["secret"]).as_text()
    if as_json:
        print_json({"token": text, "id": made["id"], "role": role, "uses": uses, "expires": made["expires"], "addresses": where})
        return
    say(text)
    how = f"brender-{role} --join TOKEN" if role in ("worker", "manager") else "brender join TOKEN"
    say(f"Lets {uses} in as {role} until {when(made['expires'])}, at {', '.join(where)}: {how}", err=True)
    if all(parse_address(each, 1).host.startswith("127.") for each in where):
        say(LOOPBACK_ONLY, err=True)


@token.command("list", cls=Configured, section="token")
@common
@server_option
@json_option
def list_tokens(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List all tokens, also used, expired and revoked ones."""
    with client(server, data) as connection:
        rows = connection.manage("keys")["tokens"]
    tell_end(rows, "tokens")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "ROLE", "NAME", "USES LEFT", "CREATED", "EXPIRES", "REVOKED"),
        [
            (row["id"], row["role"], row["name"], row["uses"], when(row["created"]), when(row["expires"]), when(row["revoked"]))
            for row in rows
        ],
        empty="There are no tokens. `brender token create` makes one",
    )


@token.command("revoke", cls=Configured, section="token")
@common
@server_option
@click.argument("id")
def revoke_token(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
    """Revoke the token ID: nobody can join by it any more. Keys that joined by it stay; `brender key revoke` ends them."""
    with client(server, data) as connection:
        say(f"The token {connection.manage('revoke-token', token=id)['id']} is revoked")


@click.group()
def key() -> None:
    """List, rename and revoke the keys of the farm."""


@key.command("list", cls=Configured, section="key")
@common
@server_option
@click.option("--all", "everything", is_flag=True, help="Also list revoked keys.")
@json_option
def list_keys(data: Path, config: Path | None, verbose: bool, server: str | None, everything: bool, as_json: bool) -> None:
    """List the admitted keys."""
    with client(server, data) as connection:
        every = connection.manage("keys")["keys"]
    tell_end(every, "keys")
    rows = [row for row in every if everything or row["revoked"] is None]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "ROLE", "NAME", "NODE", "ADMITTED", "BY TOKEN", "EXPIRES", "REVOKED", "REASON"),
        [
            (
                row["id"],
                row["role"],
                row["name"],
                short_id(row["node"]),
                when(row["created"]),
                row["token"],
                when(row["expires"]),
                when(row["revoked"]),
                row["reason"],
            )
            for row in rows
        ],
        empty="There are no keys",
    )


@key.command("revoke", cls=Configured, section="key", short_help="Revoke a key: its holder can do nothing any more.")
@common
@server_option
@click.argument("key_id", metavar="ID")
def revoke_key(data: Path, config: Path | None, verbose: bool, server: str | None, key_id: str) -> None:
    """Revoke the key ID (or the start of it, or its name): its holder can do nothing any more."""
    with client(server, data) as connection:
        done = connection.manage("revoke-key", key=key_id)
    say(f"The key {done['id']} of the {done['role']} {done['name']} is revoked")


@key.command("rename", cls=Configured, section="key")
@common
@server_option
@click.argument("key_id", metavar="ID")
@click.argument("name")
def rename_key(data: Path, config: Path | None, verbose: bool, server: str | None, key_id: str, name: str) -> None:
    """Rename the key ID to NAME."""
    if not name.strip():
        raise BadInput("A key's name is not empty")
    with client(server, data) as connection:
        done = connection.manage("rename-key", key=key_id, name=name.strip())
    say(f"The key {done['id']} is called {done['name']}")


@key.command("refusals", cls=Configured, section="key", short_help="Show what the server has refused since it started.")
@common
@server_option
@json_option
def refusals(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """Show what the server has refused since it started, how often, and why."""
    with client(server, data) as connection:
        counts = connection.manage("refusals")
    if as_json:
        print_json(counts)
        return
    rows = sorted(counts.items(), key=lambda item: -item[1])
    print_table(("TIMES", "WHAT"), [(count, what) for what, count in rows], empty="Nothing was refused")


@click.command(cls=Configured, section="discover", short_help="Look for servers and managers on the local network.")
@common
@json_option
def discover(data: Path, config: Path | None, verbose: bool, as_json: bool) -> None:
    """Look for servers and managers on the local network (mDNS)."""
    found = find()
    if as_json:
        print_json([{"role": each.role, "name": each.name, "address": str(each.address), "key": each.key} for each in found])
        return
    print_table(
        ("ROLE", "NAME", "ADDRESS", "KEY"),
        [(each.role, each.name, each.address, each.key) for each in found],
        empty="No server or manager was found on this network. Those that listen on loopback only are not announced",
    )

"""Commands about the people who sign in on the web page, and the tokens of their programs."""

import hashlib
import secrets
import sys
from datetime import datetime
from pathlib import Path

import click

from brender.api.place import user as me
from brender.commands.completion import complete_user
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say, when
from brender.commands.paging import tell_end
from brender.model.errors import BadInput
from brender.model.people import PASSWORD_LEAST, Role
from brender.model.text import with_article

_role = click.Choice([role.value for role in Role])


@click.group()
def user() -> None:
    """List, add and change the people who sign in on the web page.

    On the machine of the server's data folder nobody's password is needed for that: `brender user password NAME` is the way back
    in where an admin's is lost.
    """


@user.command("list", cls=Configured, section="user")
@common
@server_option
@json_option
def list_users(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the users and their roles."""
    with client(server, data) as connection:
        rows = connection.manage("users")
    tell_end(rows, "users")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("NAME", "ROLE", "E-MAIL", "SINCE", "MAY SIGN IN"),
        [(row["name"], row["role"], row["email"], when(row["created"]), "no" if row["disabled"] else "yes") for row in rows],
        empty="There are no users. `brender user add NAME --role admin` makes the first",
    )


@user.command("add", cls=Configured, section="user")
@common
@server_option
@click.argument("name")
@click.option("--role", type=_role, default=Role.ARTIST.value, show_default=True, help="What the user may do.")
@click.option("--email", default="", help="The user's e-mail address, for notifications.")
def add_user(data: Path, config: Path | None, verbose: bool, server: str | None, name: str, role: str, email: str) -> None:
    """Add the user NAME. It asks for the password, or reads it from standard input if there is no terminal."""
    with client(server, data) as connection:
        if any(row["name"] == name for row in connection.manage("users")):
            raise BadInput(f"There is a user {name} already: `brender user role` and `brender user password` change one")
        done = connection.manage("set-user", name=name, role=role, email=email, password=_asked_password(name), new=True, by=me())
    say(f"{done['name']} may sign in, as {with_article(done['role'])}")


@user.command("role", cls=Configured, section="user")
@common
@server_option
@click.argument("name", shell_complete=complete_user)
@click.argument("role", type=_role)
def change_role(data: Path, config: Path | None, verbose: bool, server: str | None, name: str, role: str) -> None:
    """Give the user NAME another ROLE."""
    with client(server, data) as connection:
        done = connection.manage("set-user", name=name, role=role, new=False, by=me())
    say(f"{done['name']} is {with_article(done['role'])} now")


@user.command("password", cls=Configured, section="user")
@common
@server_option
@click.argument("name", shell_complete=complete_user)
def change_password(data: Path, config: Path | None, verbose: bool, server: str | None, name: str) -> None:
    """Give the user NAME a new password.

    It asks for the password, or reads it from standard input if there is no terminal.
    """
    with client(server, data) as connection:
        if all(row["name"] != name for row in connection.manage("users")):
            raise BadInput(f"There is no user {name!r}: `brender user list` lists them, `brender user add` makes one")
        connection.manage("set-user", name=name, password=_asked_password(name), new=False, by=me())
    say(f"{name} has a new password")


@user.command("remove", cls=Configured, section="user")
@common
@server_option
@click.argument("name", shell_complete=complete_user)
def remove_user(data: Path, config: Path | None, verbose: bool, server: str | None, name: str) -> None:
    """Remove the user NAME, with the tokens of their programs. Their jobs stay."""
    with client(server, data) as connection:
        done = connection.manage("remove-user", name=name, by=me())
    say(f"{done['name']} is removed")


@click.group("api-token", short_help="Make, list and revoke tokens for programs.")
def api_token() -> None:
    """Make, list and revoke the tokens that let programs use the JSON API."""


@api_token.command("make", cls=Configured, section="api-token")
@common
@server_option
@click.argument("name")
@click.option("--user", "owner", required=True, shell_complete=complete_user, help="The user whose rights the program gets.")
@click.option(
    "--days", type=click.FloatRange(0, 36_500, min_open=True), help="How many days it is valid. [default: until revoked]"
)
@json_option
def make_token(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    name: str,
    owner: str,
    days: float | None,
    as_json: bool,
) -> None:
    """Print a token for the program NAME. The server keeps only its digest, so it is shown only now."""
    secret = f"brender_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    with client(server, data) as connection:
        made = connection.manage("create-api-token", user=owner, name=name, days=days, digest=digest, by=me())
    if as_json:
        print_json(made | {"token": secret, "user": owner})
        return
    say(secret)
    say(f"It is the token {made['id']} of {owner}. A program sends it so: Authorization: Bearer TOKEN", err=True)


@api_token.command("list", cls=Configured, section="api-token")
@common
@server_option
@click.option("--user", "owner", default="", shell_complete=complete_user, help="Only tokens of this user.")
@json_option
def list_api_tokens(data: Path, config: Path | None, verbose: bool, server: str | None, owner: str, as_json: bool) -> None:
    """List the tokens of programs that were not revoked."""
    with client(server, data) as connection:
        rows = connection.manage("api-tokens", user=owner)
    tell_end(rows, "tokens")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "NAME", "USER", "CREATED", "LAST USED", "EXPIRES"),
        [(row["id"], row["name"], row["user"], when(row["created"]), _hour(row["used"]), when(row["expires"])) for row in rows],
        empty="There are no tokens of programs. `brender api-token make NAME --user USER` makes one",
    )


def _hour(at: float | None) -> str:
    """Return the hour of *at*, which is kept no more precisely, or "" if it was never used."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H} h" if at else ""


@api_token.command("revoke", cls=Configured, section="api-token")
@common
@server_option
@click.argument("id")
def revoke_api_token(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
    """Revoke the token ID."""
    with client(server, data) as connection:
        done = connection.manage("revoke-api-token", id=id, by=me())
    say(f"The token {done['id']} is revoked")


def _asked_password(name: str) -> str:
    """Return the hash of a password that is typed twice, or is the first line of standard input. Raises `BadInput`."""
    from werkzeug.security import generate_password_hash  # here, since only these commands wait for it

    if sys.stdin.isatty():
        password = click.prompt(
            f"The password of {name}, of at least {PASSWORD_LEAST} characters",
            hide_input=True,
            confirmation_prompt="The same again",
            err=True,
        )
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < PASSWORD_LEAST:
        said = "" if password else ": it is asked for in a terminal, or is the first line of standard input"
        raise BadInput(f"A password has at least {PASSWORD_LEAST} characters{said}")
    return generate_password_hash(password)

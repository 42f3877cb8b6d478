"""Keys as the users of a farm meet them: joining by a token, coming back, being sent away, finding each other."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from brender.bus.address import Address, ManagerAddresses, answers, free_ports
from brender.bus.client import NOT_ADMITTED, OTHER_KEY
from brender.bus.keys import kept_pair, new_pair
from brender.bus.membership import NOT_KNOWN, JoinToken, Membership, parse_token
from brender.bus.messages import ManagerPlace
from brender.commands import discovery, joining
from brender.commands.joining import OWN_SERVER, tell_of_unknown_hosts, where_they_answer
from brender.commands.keys import LOOPBACK_ONLY
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.model.keys import (
    KeyRole,
)
from brender.roles.server.enrolment import NOT_ACCEPTED
from brender.roles.server.keys import KEY_REVOKED, NEW_KEY
from brender.store.datafolder import DataFolder
from tests.tools import command, ended, fixed_part, invite, line_of, one_farm, pid_of, process, submit_command, tries, until

PYTHON = sys.executable


# --- the commands -------------------------------------------------------------------------------------------------------


def test_a_machine_joins_by_the_one_string_that_the_server_prints(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = command(capsys, "token", "create", "--role", "client", "--name", "anna", "--data", module_farm.folder.root)
    assert made.code == 0 and "Lets 1 in as client" in made.err and LOOPBACK_ONLY in made.err
    joined = command(capsys, "join", made.out.strip(), "--data", tmp_path)
    assert joined.code == 0 and "as the client anna" in joined.out
    assert command(capsys, "jobs", "--json", "--data", tmp_path).code == 0
    refused = command(capsys, "key", "list", "--data", tmp_path)
    assert refused.code != 0, "a client manages no keys"


def test_keys_and_tokens_are_listed_named_and_revoked(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", module_farm.folder.root)
    named = ("--role", "client", "--name", "brief", "--uses", "2")
    made = json.loads(command(capsys, "token", "create", *named, "--json", *data).out)
    command(capsys, "join", made["token"], "--data", tmp_path)
    assert command(capsys, "key", "rename", "brief", "bert", *data).code == 0
    (row,) = [row for row in json.loads(command(capsys, "key", "list", "--json", *data).out) if row["name"] == "bert"]
    assert (row["role"], row["token"], row["revoked"]) == ("client", made["id"], None)
    assert "is revoked" in command(capsys, "key", "revoke", "bert", *data).out
    assert "bert" not in command(capsys, "key", "list", *data).out
    assert KEY_REVOKED in command(capsys, "key", "list", "--all", *data).out
    said = command(capsys, "jobs", "--data", tmp_path)
    assert said.code == 4 and fixed_part(NOT_ADMITTED) in said.err
    assert command(capsys, "token", "revoke", made["id"], *data).code == 0
    said = command(capsys, "join", made["token"], "--data", tmp_path / "late")
    assert said.code != 0 and NOT_KNOWN in said.err
    assert NOT_ACCEPTED in command(capsys, "key", "refusals", *data).out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("token", "create", "--role", "worker", "--expires", "soon"), "not a length of time"),
        (("token", "create", "--role", "king"), "'king' is not one of"),
        (("token", "create", "--role", "client"), "needs a name"),
        (("token", "revoke", "nothing"), "There is no token 'nothing'"),
        (("key", "revoke", "nobody"), "There is no admitted key 'nobody'"),
        (("key", "revoke", "local"), "of the server's own machine"),
        (("key", "rename", "local", " "), "not empty"),
    ],
)
def test_what_cannot_be_done_with_keys_is_said_in_a_sentence(
    module_farm: LocalFarm, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    said = command(capsys, *words, "--data", module_farm.folder.root)
    assert said.code != 0 and says in said.err and "Traceback" not in said.err


def test_a_token_holds_the_addresses_that_were_named(module_farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    named = ("--address", "farm.example", "--address", "10.0.0.1:5000")
    made = command(capsys, "token", "create", "--role", "worker", *named, "--data", module_farm.folder.root)
    port = (module_farm.folder.announced("server") or {})["enrolment"].rpartition(":")[2]
    assert parse_token(made.out.strip()).addresses == (f"farm.example:{port}", "10.0.0.1:5000")


# --- coming and going ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _server(folder: Path, port: int):  # type: ignore[no-untyped-def]
    with process("server", "--listen", f"127.0.0.1:{port}", "--lease", "3", data=folder) as serving:
        line_of(serving, "listens on")
        yield serving


def test_a_worker_whose_key_is_revoked_is_sent_away_and_its_task_goes_to_another(tmp_path: Path) -> None:
    first, server = free_ports(9), tmp_path / "server"
    with (
        _server(server, first + 4),
        process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", "--lease", "3", data=server) as managing,
        process("worker", "--name", "bad", data=tmp_path / "bad", farm=server) as bad,
        client(None, server) as admin,
    ):
        line_of(managing, "listens on")
        until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
        job = submit_command(
            admin, PYTHON, "-c", f"import os, time\nwhile not os.path.exists(r'{tmp_path}/go'): time.sleep(0.05)"
        )
        until(lambda: any(row["started"] for row in admin.ask("attempts", job=job)))
        admin.manage("revoke-key", key="bad")
        assert bad.wait(20) != 0
        assert b"not admitted any more" in bad.stdout.read()
        (tmp_path / "go").touch()
        with process("worker", "--name", "good", data=tmp_path / "good", farm=server):
            assert ended(admin, job)["status"] == "completed"
        assert sorted(tries(admin, job)) == ["completed", "lost"]


def test_a_manager_whose_key_is_revoked_is_sent_away(tmp_path: Path) -> None:
    first, server = free_ports(9), tmp_path / "server"
    manager = process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", data=tmp_path / "m", farm=server)
    with _server(server, first + 4), manager as managing, client(None, server) as admin:
        until(lambda: [row["status"] for row in admin.ask("managers")] == ["online"])
        admin.manage("revoke-key", key="m")
        assert managing.wait(20) != 0
        assert b"not admitted any more" in managing.stdout.read()
        assert [row["status"] for row in admin.ask("managers")] == ["offline"]


@pytest.mark.thorough
def test_whoever_joined_once_comes_back_without_a_token_also_while_the_server_is_away(tmp_path: Path) -> None:
    first, server, worker = free_ports(9), tmp_path / "server", tmp_path / "worker"
    manager = ("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", "--lease", "60")
    with (
        _server(server, first + 4),
        process(*manager, data=tmp_path / "m", farm=server) as managing,
        client(None, server) as admin,
    ):
        line_of(managing, "listens on")
        with process("worker", "--name", "w", data=worker, farm=server):
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
        until(lambda: (tmp_path / "m" / "managers" / "m" / "admitted").exists())
    with process(*manager, data=tmp_path / "m") as managing, process("worker", "--name", "w", data=worker) as working:
        assert "going on with what was known before" in line_of(managing, "going on")
        line_of(managing, "listens on")
        line_of(working, "has")
        with _server(server, first + 4), client(None, server) as admin:
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
            assert ended(admin, submit_command(admin, "true"))["status"] == "completed"


@pytest.mark.thorough
def test_a_worker_that_is_started_with_the_token_by_which_it_joined_comes_back_when_that_is_over(tmp_path: Path) -> None:
    first, server, worker = free_ports(9), tmp_path / "server", tmp_path / "worker"
    with (
        _server(server, first + 4),
        process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", data=server) as managing,
        client(None, server) as admin,
    ):
        line_of(managing, "listens on")
        (tmp_path / "token").write_text(invite("worker", server))
        words = ("worker", "--name", "w", "--join", f"@{tmp_path / 'token'}")
        with process(*words, data=worker):
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
        (token,) = admin.manage("keys")["tokens"]
        admin.manage("revoke-token", token=token["id"])
        with process(*words, data=worker):
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
        until(lambda: [row["status"] for row in admin.ask("workers")] == ["offline"])
        (tmp_path / "token").unlink()
        with process(*words, data=worker):
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])


@pytest.mark.thorough
def test_a_node_that_asks_for_a_new_key_has_it_and_works_on(tmp_path: Path) -> None:
    first, server = free_ports(9), tmp_path / "server"
    with (
        _server(server, first + 4),
        process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", data=server) as managing,
        client(None, server) as admin,
    ):
        line_of(managing, "listens on")
        with process("worker", "--name", "w", data=tmp_path, farm=server):
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
        before = kept_pair(tmp_path / "workers" / "w" / "key")
        with process("worker", "--name", "w", "--new-key", data=tmp_path):
            until(lambda: kept_pair(tmp_path / "workers" / "w" / "key") != before)
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"])
            assert ended(admin, submit_command(admin, "true"))["status"] == "completed"
        (old,) = [row for row in admin.manage("keys")["keys"] if row["public"] == before.public]
        assert old["reason"] == NEW_KEY


@pytest.mark.thorough
def test_a_node_that_joins_waits_for_a_server_that_is_there_and_has_too_much_to_do(
    module_farm: LocalFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, server = invite("manager", module_farm.folder.root), pid_of(module_farm, "server")

    def looked(address: Address, seconds: float) -> bool:
        """It is looked whether the server is there: from then on it has time again."""
        found = answers(address, seconds)
        os.kill(server, signal.SIGCONT)
        return found

    monkeypatch.setattr("brender.bus.membership._SECONDS_EACH", 0.2)
    monkeypatch.setattr("brender.bus.membership.answers", looked)
    os.kill(server, signal.SIGSTOP)
    try:
        joined = joining.join_as_node(DataFolder(tmp_path), KeyRole.MANAGER, "late", token, None)
    finally:
        os.kill(server, signal.SIGCONT)
    assert joined.name == "late"


def test_a_server_that_was_installed_anew_is_said_to_be_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, server = free_ports(5) + 4, tmp_path / "server"
    with _server(server, port):
        assert command(capsys, "join", invite("client", server), "--data", tmp_path / "mine").code == 0
    with _server(tmp_path / "anew", port):
        said = command(capsys, "jobs", "--data", tmp_path / "mine")
    assert said.code == 4 and fixed_part(OTHER_KEY) in said.err


# --- finding each other -------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_worker_finds_the_server_on_the_network_by_the_key_that_its_token_vouches_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's address leads nowhere; of two servers that say that they are there, it joins the one it knows."""
    first, server = free_ports(9), tmp_path / "server"
    own = discovery.own_hosts()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no address on any network")
    listen = ("--listen", f"{own}:{first + 4}")
    stranger = discovery.Address(own, free_ports(1))
    with contextlib.ExitStack() as farm:
        line_of(farm.enter_context(process("server", *listen, data=server)), "listens on")
        manager = process("manager", "--name", "m", "--listen", f"{own}:{first + 6}", data=server)
        line_of(farm.enter_context(manager), "listens on")
        farm.enter_context(discovery.announced("server", "a stranger", stranger, new_pair().public))
        good = parse_token(invite("worker", server))
        lost = JoinToken(good.role, good.key, (f"127.0.0.1:{free_ports(1)}",), good.id, good.secret)
        monkeypatch.setenv("BRENDER_JOIN", lost.as_text())
        with process("worker", "--name", "w", data=tmp_path / "w"), client(None, server) as admin:
            until(lambda: [row["status"] for row in admin.ask("workers")] == ["idle"], 90)


def test_a_manager_that_is_not_where_it_was_is_found_on_the_network_by_its_key(caplog: pytest.LogCaptureFixture) -> None:
    own = discovery.own_hosts()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no address on any network")
    mine, other = new_pair().public, new_pair().public
    places = {key: discovery.Address(own, free_ports(1)) for key in (mine, other)}
    before = ManagerAddresses.of(discovery.Address("127.0.0.1", free_ports(1)), mine)
    with contextlib.ExitStack() as network:
        for key, address in places.items():
            network.enter_context(discovery.announced("manager", key[:4], address, key))
        (found,) = where_they_answer([before])
    assert (found.control, found.key) == (places[mine], mine)
    assert "nothing vouches for: not joined" in caplog.text


def test_a_manager_that_listens_on_loopback_alone_is_found_by_a_worker_beside_it() -> None:
    own = discovery.own_hosts()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no address on any network")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, key = listener.getsockname()[1], new_pair().public
        found = where_they_answer([ManagerAddresses.of(discovery.Address(own, port), key)])
    assert (str(found[0].control), found[0].key) == (f"127.0.0.1:{port}", key)


def test_a_worker_whose_managers_name_does_not_resolve_says_so_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ManagerPlace(name="m", address="no-such-box:7777", public=new_pair().public)
    ports = dict.fromkeys(("control", "events", "stats", "files", "enrolment"), 9999)
    known = Membership(
        key="k", role=KeyRole.WORKER, name="w", server_key=place.public, host="127.0.0.1", ports=ports, managers=(place,)
    )
    (folder := DataFolder(tmp_path)).worker("w").mkdir(parents=True)
    known.keep(folder.worker("w") / "membership.json")
    tell_of_unknown_hosts(folder, "w", None)
    until(lambda: "'no-such-box' cannot be resolved" in caplog.text, 5)
    assert "127.0.0.1'" not in caplog.text
    answers = threading.Event()
    monkeypatch.setattr(joining, "resolve", lambda *_: answers.wait(60))
    monkeypatch.setattr(joining, "_LOOKUP_SECONDS", 0.05)
    tell_of_unknown_hosts(folder, "w", "m@a-slow-name:7777")
    until(lambda: "looking up the host name 'a-slow-name' takes long. Does this machine's name server" in caplog.text, 5)
    answers.set()


def test_whoever_listens_on_loopback_only_does_not_say_so_on_the_network() -> None:
    with discovery.announced("server", "quiet", discovery.Address("127.0.0.1", 1), new_pair().public):
        began = time.monotonic()
        assert "quiet" not in [each.name for each in discovery.find(0.5)]
        assert time.monotonic() - began < 30


def test_a_folder_of_a_server_of_its_own_does_not_join_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one_farm(tmp_path)
    said = command(capsys, "join", "brender-" + "x" * 100, "--data", tmp_path)
    assert said.code == 2 and fixed_part(OWN_SERVER) in said.err
    assert DataFolder(tmp_path).local_key.exists()

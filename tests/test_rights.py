"""The table of rights: who may do what to whose things, and that the server asks it, whatever others say."""

from types import SimpleNamespace
from typing import Any, get_args

import msgspec
import pytest

from brender.bus import messages as m
from brender.bus.ids import new_id
from brender.bus.rights import actions_of, tag_of
from brender.farm.farm import Farm
from brender.model.errors import Forbidden, NotFound
from brender.model.keys import KeyRole
from brender.model.people import Role
from brender.model.rights import TABLE, Actor, Scope, may, rights_of, why_not
from brender.roles.effects import Peer
from brender.roles.server.permission import permitted
from brender.roles.server.submission import Submissions, Submitted
from tests.rows import put
from tests.world import World, animation

_JOBS = "pause resume cancel requeue priority when edit readmit delete"
_NODES = "drain disable enable restart tags note schedule give-back sleep wake log log-level forget"
_PROGRAMS = "set-password create-api-token revoke-api-token api-tokens"
_SIGN_IN = "answer-sign-in"
_ACCOUNT = f"{_PROGRAMS} set-preset remove-preset subscribe-email unsubscribe"
_OF_BOTH = "hello bye pong renew stands received gone reports progress seen logtold filepiece blobwanted enrol"

#: What each may do to things of anybody, and besides to their own only. What is not named here nobody may.
_ALL: dict[str, str] = {
    Role.VIEWER: "ask",
    Role.ARTIST: "ask",
    Role.WRANGLER: f"ask accounts look {_JOBS} {_NODES} set-project set-weight set-half-life set-limit set-pool rush",
    KeyRole.CLIENT: f"rush ask accounts look {_JOBS} {_NODES} offer blobpiece framewanted enrol",
    KeyRole.WORKER: f"{_OF_BOTH} beat",
    KeyRole.MANAGER: f"{_OF_BOTH} beats joined left",
    KeyRole.MONITOR: "enrol",
    KeyRole.DASHBOARD: "ask offer blobpiece framewanted enrol make-first-admin use-api-token ask-sign-in",
    "admin": f"ask accounts look submit {_JOBS} {_NODES} {_ACCOUNT} offer blobpiece framewanted enrol set-project set-path "
    "unset-path set-weight set-half-life set-limit set-pool rush add-addon remove-addon "
    "subscribe-webhook subscribe-program hooks test-hook "
    "set-user remove-user users admit create-token revoke-token revoke-key rename-key keys "
    "refusals server-log-level make-first-admin",
}
_OWN: dict[str, str] = {
    Role.VIEWER: f"accounts {_PROGRAMS} {_SIGN_IN}",
    Role.ARTIST: f"accounts submit {_JOBS} {_ACCOUNT} {_SIGN_IN}",
    Role.WRANGLER: f"submit {_ACCOUNT} {_SIGN_IN}",
    "admin": _SIGN_IN,
    KeyRole.CLIENT: "submit",
}
_EVERYBODY = (*Role, *KeyRole)
_TYPES: tuple[type[m.Message], ...] = get_args(m.AnyMessage)


def _short(kind: type[m.Message], action: str) -> str:
    """The action as it is called above. (Of a grant, and of a report, others have the names: those come from above.)"""
    return action.partition(" ")[2] if kind in (m.Act, m.Manage) else action


def _expected(role: str, kind: type[m.Message], action: str, is_own: bool) -> bool:
    named = _short(kind, action)
    if kind is m.Cancel or kind is m.Drain:
        return False  # what a server says, and not what is asked of it
    return named in _ALL[role].split() or (is_own and named in _OWN.get(role, "").split())


@pytest.mark.parametrize("role", _EVERYBODY, ids=lambda role: f"{type(role).__name__}-{role}")
def test_each_role_may_do_to_whose_things_what_is_said_here_and_nothing_else(role: Role | KeyRole) -> None:
    for kind in _TYPES:
        for action in actions_of(kind):
            for owner in ("anna", "bob", ""):
                expected = _expected(role, kind, action, owner == "anna")
                assert may(Actor(role, "anna"), action, owner) is expected, (action, owner)
                assert not may(Actor(role), action, owner) or _expected(role, kind, action, False), "nobody's are not one's own"
                assert (why_not(Actor(role, "anna"), action, owner) is None) is expected


def test_every_message_and_all_that_it_may_ask_for_stands_in_the_table_and_nothing_else_does() -> None:
    named = {action for kind in _TYPES for action in actions_of(kind)}
    assert named == TABLE.keys()
    assert {tag_of(kind) for kind in _TYPES if kind not in (m.Act, m.Manage)} <= named


@pytest.mark.parametrize("role", _EVERYBODY, ids=lambda role: f"{type(role).__name__}-{role}")
def test_the_rights_of_a_role_are_all_that_it_may_do_to_anybody_s_or_its_own_things(role: Role | KeyRole) -> None:
    expected = {action: Scope.OWN for action in TABLE if may(Actor(role, "anna"), action, "anna")}
    expected |= {action: Scope.ALL for action in TABLE if may(Actor(role, "anna"), action, "bob")}
    assert rights_of(role) == expected


def test_what_does_not_stand_in_the_table_nobody_may() -> None:
    assert not any(may(Actor(role, "anna"), "act explode", owner) for role in _EVERYBODY for owner in ("anna", ""))
    assert why_not(Actor(Role.ADMIN, "anna"), "act explode", "") == "An admin may not do that: no user may"


_ONLY_OWN = "An artist may delete jobs, but only their own, and this is {}'s: a wrangler or an admin may"


@pytest.mark.parametrize(
    ("actor", "action", "owner", "said"),
    [
        (Actor(Role.ARTIST, "anna"), "act delete", "bob", _ONLY_OWN.format("bob")),
        (Actor(Role.ARTIST, "anna"), "act delete", "", _ONLY_OWN.format("nobody")),
        (
            *(Actor(Role.VIEWER, "vera"), "submit", "vera"),
            "A viewer may not submit jobs: an artist or a wrangler may (their own), an admin may",
        ),
        (
            *(Actor(Role.WRANGLER, "walt"), "manage remove-preset", "anna"),
            "A wrangler may remove presets, but only their own, and this is anna's: an admin may",
        ),
        (Actor(Role.WRANGLER, "walt"), "manage set-path", "", "A wrangler may not set path variables: an admin may"),
        (
            *(Actor(KeyRole.CLIENT, "anna"), "manage keys", ""),
            "A client's key may not see keys and tokens: an admin's key may",
        ),
    ],
)
def test_a_refusal_says_in_a_sentence_who_may(actor: Actor, action: str, owner: str, said: str) -> None:
    assert why_not(actor, action, owner) == said


# --- the server asks it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    """A farm with a user of each role, and bob, who may not come in; a job, a preset and a subscription of anna's."""
    made = World()
    users = {"vera": "viewer", "anna": "artist", "walt": "wrangler", "boss": "admin"}
    rows = [put("user", name, {"role": role, "password": "x", "created": 1.0}) for name, role in users.items()]
    made.writer.commit(
        [
            *rows,
            put("user", "bob", {"role": "admin", "password": "x", "created": 1.0, "disabled": 2.0}),
            put("preset", "mine", {"job_type": "command", "settings": {}, "user": "anna"}),
            put("subscription", "s" * 16, {"user": "anna", "kind": "email", "target": "a@b", "events": [], "created": 1.0}),
        ]
    )
    made.start_server()
    made.add_worker("one")
    made.submit(animation("1-3", id="a" * 16, name="shot", user="anna"))
    return made


def _act(action: str, target: str = "shot", on_behalf_of: str = "", **more: Any) -> m.Act:
    return m.Act(id=new_id(), action=action, target=target, on_behalf_of=on_behalf_of, **more)  # type: ignore[arg-type]


def _manage(what: str, on_behalf_of: str = "", **arguments: Any) -> m.Manage:
    return m.Manage(id=new_id(), what=what, arguments=arguments, on_behalf_of=on_behalf_of)  # type: ignore[arg-type]


def _is_refused(told: Any) -> bool:
    return isinstance(told, m.Sorry) and told.code == Forbidden.code


@pytest.mark.parametrize("name", ["vera", "anna", "walt", "boss", "bob", "nobody"])
def test_the_dashboard_does_for_each_what_they_may(world: World, name: str) -> None:
    able = {"anna": {"anna"}, "walt": {"anna", "walt"}, "boss": {"anna", "walt", "boss"}}
    asked: dict[str, m.Message] = {
        "anna": _act("priority", value=60, on_behalf_of=name),
        "walt": _act("disable", "one", on_behalf_of=name),
        "boss": _manage("set-user", name, name="new", role="viewer", password="x"),
    }
    for level, message in asked.items():
        told = world.request(message)  # type: ignore[arg-type]
        assert _is_refused(told) is (level not in able.get(name, set())), (level, told)
    if name in able:
        assert {row["user"] for row in world.ask("activity") if row["action"] in ("priority", "disable", "user")} == {name}


@pytest.mark.parametrize("role", [role for role in KeyRole if role is not KeyRole.DASHBOARD])
def test_no_key_but_the_dashboard_s_speaks_for_somebody_else(world: World, role: KeyRole) -> None:
    told = world.request(_act("cancel", on_behalf_of="boss"), role, "mallory")
    assert _is_refused(told) and "may not speak on behalf of boss" in told.message
    assert world.status("a" * 16) != "canceled"


def test_who_has_a_client_s_key_is_who_that_says_whatever_the_message_says(world: World) -> None:
    told = world.request(m.Submit(id=new_id(), job=animation("7", id="b" * 16, user="boss")), KeyRole.CLIENT, "mallory")
    assert world.ask("job", id=told["id"])["user"] == "mallory"
    world.request(_act("cancel", "b" * 16, user="boss"), KeyRole.CLIENT, "mallory")
    assert world.ask("activity")[0]["user"] == "mallory"


def test_what_is_submitted_on_behalf_of_somebody_is_theirs(world: World) -> None:
    job = animation("7", id="b" * 16, user="boss")
    assert world.request(m.Submit(id=new_id(), job=job, on_behalf_of="anna"))["id"] == job.id
    assert world.ask("job", id=job.id)["user"] == "anna"
    assert _is_refused(world.request(m.Submit(id=new_id(), job=animation("8"), on_behalf_of="vera")))


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_known_job_is_answered_only_to_those_whose_it_is(world: World, is_ended: bool) -> None:
    mine = m.Submit(id=new_id(), job=animation("1-3", id="a" * 16, name="shot"), on_behalf_of="anna")
    if is_ended:
        world.act("cancel", "shot")
        world.run(2.0)
        world.end("one", stopped=True)
        assert "a" * 16 not in world.server.farm.jobs, "only the record knows it"
    world.server.farm.users["dora"] = Role.ARTIST
    assert world.request(mine)["id"] == mine.job.id, "the answer may have been lost on the way"
    told = world.request(msgspec.structs.replace(mine, id=new_id(), on_behalf_of="dora"))
    assert _is_refused(told) and "and this is anna's" in told.message
    of_a_key = msgspec.structs.replace(mine, id=new_id(), on_behalf_of="")
    assert _is_refused(world.request(of_a_key, KeyRole.CLIENT, "mallory"))
    assert world.request(msgspec.structs.replace(of_a_key, id=new_id()), KeyRole.ADMIN)["id"] == mine.job.id
    assert len(world.ask("jobs")) == 1


def test_a_job_that_is_not_written_yet_and_not_in_memory_any_more_is_theirs_who_submitted_it(world: World) -> None:
    world.server.farm.users["dora"] = Role.ARTIST
    mine = m.Submit(id=new_id(), job=animation("1-3", id="b" * 16), on_behalf_of="anna")
    world.round.receive(Peer("local", b"client", key=KeyRole.DASHBOARD), mine)
    del world.server.farm.jobs[mine.job.id]  # (as when all of it was there already)
    told = world.request(msgspec.structs.replace(mine, id=new_id(), on_behalf_of="dora"))
    assert _is_refused(told) and "and this is anna's" in told.message


def test_a_job_whose_files_are_looked_at_still_is_theirs_who_submitted_it(world: World) -> None:
    looking: list[Any] = []
    keeper = SimpleNamespace(prepare=lambda job, variables, site, found: looking.append((job, found)))  # a folder that is slow
    decided: list[tuple[Submitted, Any]] = []
    submissions = Submissions(keeper, lambda do: do(), lambda *found: decided.append(found))  # type: ignore[arg-type]
    world.store.looked_at = submissions.submitter
    world.server.farm.users |= {"dora": Role.ARTIST, "boss": Role.ADMIN}
    mine = m.Submit(id=new_id(), job=animation("1-3", id="b" * 16), on_behalf_of="anna")

    def submit(user: str) -> None:
        message = msgspec.structs.replace(mine, id=new_id(), on_behalf_of=user)
        if (allowed := world.round.allowed(Peer("local", b"client", key=KeyRole.DASHBOARD), message)) is not None:
            submissions.look(allowed[0], message, SimpleNamespace(), (), "", 0.0)  # type: ignore[arg-type]

    for user in ("anna", "dora", "boss"):
        submit(user)
    assert len(looking) == 1 and submissions.submitter(mine.job.id) == "anna"
    looking[0][1](looking[0][0])
    assert [(each.peer.user, each.submit.on_behalf_of) for each, _ in decided] == [("anna", "boss")], "dora was refused"


@pytest.mark.parametrize("question", ["accounts", "limits", "shares"])
def test_what_others_used_is_not_told_on_behalf_of_an_artist(world: World, question: str) -> None:
    def may_ask(name: str, **arguments: str) -> bool:
        asked = m.Ask(id=new_id(), question=question, arguments=arguments, on_behalf_of=name)
        return world.round.allowed(Peer("local", b"client", key=KeyRole.DASHBOARD), asked) is not None

    assert may_ask("walt") and may_ask("boss") and may_ask("anna", user="anna")
    assert not may_ask("anna") and not may_ask("anna", user="walt") and not may_ask("vera")


def test_the_server_knows_itself_whose_a_thing_is(world: World) -> None:
    world.act("cancel", "shot")
    world.run(2.0)
    world.end("one", stopped=True)
    assert "a" * 16 not in world.server.farm.jobs, "only the record knows it"
    world.server.farm.users["dora"] = Role.ARTIST
    for message in (
        _act("delete", "a" * 8, "dora", value="record"),
        _manage("set-preset", "dora", name="mine", job_type="command", settings={}),
        _manage("set-preset", "dora", name=" mine\n", job_type="command", settings={}),
        _manage("remove-preset", "dora", name="mine"),
        _manage("unsubscribe", "dora", id="s" * 16),
        _manage("create-api-token", "dora", user="anna", name="x", digest="x"),
        _manage("set-user", "dora", name="anna", password="y"),
    ):
        assert _is_refused(told := world.request(message)), told
        told = world.request(msgspec.structs.replace(message, id=new_id(), on_behalf_of="anna"))
        assert not isinstance(told, m.Sorry), told
    assert _is_refused(world.request(_manage("set-user", "dora", name="dora", password="y", role="admin")))
    assert _is_refused(world.request(_manage("subscribe", "dora", kind="webhook", target="http://x", events=["failed"])))


def test_what_is_not_there_is_nobody_s(world: World) -> None:
    for message in (
        _act("delete", "nothing", "boss"),
        _manage("remove-preset", "boss", name="none"),
        _manage("unsubscribe", "boss", id="none"),
        _manage("revoke-api-token", "boss", id="none"),
        _manage("set-user", "boss", name="none", password="x", role="viewer", new=False),
    ):
        told = world.request(message)
        assert isinstance(told, m.Sorry) and told.code == NotFound.code, (message, told)


def test_an_admin_who_corrects_a_preset_does_not_take_it_away(world: World) -> None:
    told = world.request(_manage("set-preset", "boss", name="mine", job_type="command", settings={"program": "ls"}))
    assert not _is_refused(told) and world.store.preset_owner("mine") == "anna"


def test_a_dashboard_of_an_earlier_version_is_still_understood(world: World) -> None:
    world.request(_act("priority", value=70, user="anna"))
    world.request(_manage("set-preset", name="hers", job_type="command", settings={}, by="anna"))
    assert world.ask("activity")[0]["user"] == "anna"
    assert world.store.preset_owner("hers") == "anna"


def test_the_dashboard_makes_the_first_user_and_by_itself_nothing_else(world: World) -> None:
    boss = {"name": "new", "role": "admin", "password": "x"}
    for message in (_manage("set-user", **boss), _manage("keys"), _act("cancel")):
        assert _is_refused(world.request(message, KeyRole.DASHBOARD)), message
    empty = World()
    assert empty.request(_manage("set-user", **boss), KeyRole.DASHBOARD)["name"] == "new"
    assert _is_refused(empty.request(_manage("set-user", **boss | {"name": "second"}), KeyRole.DASHBOARD))


def test_without_a_key_nobody_does_anything() -> None:
    with pytest.raises(Forbidden):
        permitted(Farm(), World().store, Peer("", b"r"), m.Ask(id=new_id(), question="jobs"))

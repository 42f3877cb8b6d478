"""What is decided of keys, tokens and what nodes say by them: nothing here starts a process."""

import hashlib
import hmac

import msgspec
import pytest

from brender.bus.ids import new_id
from brender.bus.keys import new_pair
from brender.bus.membership import JoinToken, parse_token
from brender.bus.messages import Admitted, Enrol, Hello, Joined
from brender.farm.farm import Farm
from brender.model.errors import BadInput
from brender.model.keys import (
    KeyRole,
    Principal,
    Token,
    digest_of,
    is_secret_of,
    parse_lifetime,
    proof_key,
    proof_of,
    token_command,
)
from brender.model.nodes import WorkerInfo
from brender.model.pace import Pace
from brender.roles.effects import Now, Peer, Send
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.roles.server.core import ServerCore


def test_a_key_that_is_admitted_is_known_whatever_became_of_the_token_that_it_was_admitted_by() -> None:
    farm = Farm()
    farm.tokens["t"] = Token(id="t", role=KeyRole.WORKER, digest=digest_of("secret"), uses=1, expires=100.0)
    core = ServerCore("s" * 16, "server", "x", Policy(), new_id, farm, master="m")

    def enrol(now: float, node: str = "n" * 16, token: str = "t") -> Principal:
        asked = Enrol(id="q", role=KeyRole.WORKER, name="w", node=node, token=token, secret="secret")
        return core.enrol(Peer("", b"r"), "p" * 40, asked, "f" * 80, Now(0.0, now))[0]

    admitted = enrol(50.0)
    assert enrol(200.0) == admitted == enrol(200.0, token="gone")
    with pytest.raises(BadInput, match="expired"):
        enrol(200.0, node="o" * 16)


def test_a_client_whose_token_has_no_name_does_not_choose_one() -> None:
    """Tokens for clients that an earlier version made may have none."""
    farm = Farm()
    farm.tokens["t"] = Token(id="t", role=KeyRole.CLIENT, digest=digest_of("secret"), uses=1, expires=9e9)
    core = ServerCore("s" * 16, "server", "x", Policy(), new_id, farm, master="m")
    enrol = Enrol(id="q", role=KeyRole.CLIENT, name="boss", token="t", secret="secret")
    principal, _ = core.enrol(Peer("", b"r"), "p" * 40, enrol, "f" * 80, Now(0.0, 0.0))
    assert principal.name == "client-ffffffff" and principal.user == "client-ffffffff"


def test_a_client_s_key_always_has_a_name_to_act_in() -> None:
    nameless = Principal(id="k" * 16, public="p" * 40, role=KeyRole.CLIENT, name="")
    assert nameless.user == "k" * 16, "or the message would say who it is"
    assert msgspec.structs.replace(nameless, role=KeyRole.ADMIN).user == "", "who acts in the name of others"


def _key(letter: str) -> Principal:
    return Principal(id=letter * 16, public=letter * 40, role=KeyRole.WORKER, name=letter, node=letter * 16)


def _manager() -> ManagerCore:
    hello = Hello(node="a" * 16, incarnation=1, role="manager", name="m", host="h", software="x")
    core = ManagerCore(hello, Policy())
    info = WorkerInfo(id="b" * 16, incarnation=1, name="w")
    said = Hello(node=info.id, incarnation=1, role="worker", name="w", host="h", software="x", worker=info)
    core.from_below(Peer("", b"r", bound=info.id), said, Now(0.0, 0.0))
    return core


def test_a_manager_keeps_the_list_of_keys_by_what_comes_and_goes() -> None:
    core, now = _manager(), Now(1.0, 1.0)
    core.from_above(Admitted(number=4, keys=(_key("b"),)), now)
    core.from_above(Admitted(number=5, since=4, keys=(_key("c"),)), now)
    assert set(core.workers) == {"b" * 16}
    core.from_above(Admitted(number=6, since=5, gone=("b" * 16,)), now)
    assert not core.workers, "whose key went is gone"


def test_a_manager_that_missed_a_change_asks_for_the_whole_list() -> None:
    core, now = _manager(), Now(1.0, 1.0)
    core.from_above(Admitted(number=4, keys=(_key("b"),)), now)
    effects = core.from_above(Admitted(number=9, since=8, gone=("b" * 16,)), now)
    assert [type(getattr(effect, "message", None)) for effect in effects] == [Hello]
    assert set(core.workers) == {"b" * 16}, "and changes nothing before it has it"


def test_a_worker_s_word_travels_with_its_registration() -> None:
    core = _manager()
    info = WorkerInfo(id="c" * 16, incarnation=1, name="w")
    said = Hello(node=info.id, incarnation=1, role="worker", name="w", host="h", software="x", worker=info, proof="word")
    effects = core.from_below(Peer("", b"q", bound=info.id), said, Now(0.0, 0.0))
    (joined,) = [effect.message for effect in effects if isinstance(getattr(effect, "message", None), Joined)]
    assert joined.proof == "word" and not [effect for effect in effects if isinstance(effect, Send)]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7D", 604800), (" 2w ", 1209600)])
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert parse_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "0h", "-1h", "1.5h", "1y", "99999999h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a length of time"):
        parse_lifetime(text)


def test_a_worker_s_word_is_good_for_one_worker_one_registration_and_one_manager() -> None:
    key = proof_key("master", "p" * 40)
    words = [
        *(proof_of(key, "w", (1, 2), "m"), proof_of(key, "v", (1, 2), "m"), proof_of(key, "w", (1, 2), "n")),
        *(proof_of(key, "w", (1, 3), "m"), proof_of(key, "w", (3, 2), "m"), proof_of(key, "w", (2, 1), "m")),
        *(proof_of(proof_key("other", "p" * 40), "w", (1, 2), "m"), proof_of(proof_key("master", "q" * 40), "w", (1, 2), "m")),
    ]
    assert len(set(words)) == len(words) and proof_of(key, "w", (1, 2), "m") == words[0]


def test_the_words_of_a_worker_of_an_earlier_version_are_understood() -> None:
    key = proof_key("master", "public")
    assert key == hmac.new(b"master", b"brender proof public", "sha256").hexdigest()
    assert proof_of(key, "w", (1, 2), "m") == hmac.new(key.encode(), b"w 1 2 m", "sha256").hexdigest()
    assert digest_of("secret") == hashlib.sha256(b"secret").hexdigest()


def test_a_token_s_secret_is_known_and_a_key_ends_at_its_time() -> None:
    token = Token(id="t", role=KeyRole.WORKER, digest=digest_of("secret"), uses=1, expires=1.0)
    assert is_secret_of(token, "secret") and not is_secret_of(token, "Secret")
    ending = msgspec.structs.replace(_key("k"), expires=100.0)
    assert [ending.is_current(wall) for wall in (99.9, 100.0, 100.1)] == [True, False, False] and _key("k").is_current(1e12)
    assert msgspec.structs.replace(_key("k"), role=KeyRole.CLIENT).user == "k" and _key("k").user == ""
    assert token_command(KeyRole.CLIENT) == "`brender token create --role client --name NAME`"
    assert token_command(KeyRole.ADMIN) == "`brender token create --role admin`"


def test_a_pace_allows_a_burst_and_then_so_many_a_second() -> None:
    pace = Pace(2.0, 3.0, 0.0)
    assert [pace.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [pace.take(0.5), pace.take(0.5)] == [True, False]
    assert [pace.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_token_s_string_can_be_read_back_and_its_secret_is_not_shown_by_chance() -> None:
    token = JoinToken(KeyRole.WORKER, new_pair().public, ("10.0.0.1:9995",), "a" * 16, "secret" * 10)
    assert parse_token(f"  {token.as_text()[:50]}\n{token.as_text()[50:]} ") == token
    assert "secret" not in repr(token) and "secret" not in f"{new_pair()!r}"

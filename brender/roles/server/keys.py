"""The server's keys: who is admitted, the tokens that let others in, and what becomes of those who no longer are. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from brender.bus.messages import Admitted, Enrol, Manage, Refused
from brender.farm.farm import Farm
from brender.model.errors import BadInput, BrenderError, Conflict, NotFound
from brender.model.keys import (
    JOIN_AGAIN,
    NODE_ROLES,
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
from brender.model.text import plural, with_article
from brender.roles.effects import Admit, Dismiss, Effect, Now, Send
from brender.roles.server.activity import ActivityLog
from brender.roles.server.nodes import Nodes

#: The answer to a stranger, whatever was wrong.
REFUSED = "refused"
_USES_MOST = 100_000
_HOW_TO_GET_ONE = "Ask an admin of the farm for a new one: {}"
#: The keys that lie in the server's own data folder, in ``keys``, and their names there.
_OWN = {KeyRole.ADMIN: "local", KeyRole.DASHBOARD: "dashboard"}
#: The name of a client whose token has none, as tokens of earlier versions may. It does not choose one itself, since it submits
#: and acts in that name.
_CLIENT_NAME = "client-{}"
#: Why a key is not admitted any more.
KEY_REVOKED, NEW_KEY = "its key was revoked", "its node has a new key"


class Keys:
    """``master`` is the secret that workers' proofs are made of, or "" if every worker is believed (for a farm that is only
    simulated)."""

    def __init__(self, farm: Farm, activity: ActivityLog, nodes: Nodes, emit: Callable[[Effect], None], master: str) -> None:
        self.farm = farm
        self.activity = activity
        self.nodes = nodes
        self.emit = emit
        self._master = master
        self._by_public = {key.public: key.id for key in farm.keys.values()}
        self._by_node = {key.node: key.id for key in farm.keys.values() if key.node}
        self._number = 0
        self._came: list[Principal] = []
        self._went: list[str] = []

    def manage(self, message: Manage, fresh: str, now: Now) -> Any:
        """Carry out what an admin asks; returns the answer. *fresh* is new randomness, in hexadecimal digits, for what is made.
        Raises `BrenderError`."""
        arguments = message.arguments
        match message.what:
            case "create-token":
                return self._create_token(arguments, fresh, now)
            case "revoke-token":
                return self._revoke_token(_text(arguments, "token"), now)
            case "revoke-key":
                return self._revoke_key(_text(arguments, "key"), now)
            case "rename-key":
                return self._rename_key(_text(arguments, "key"), _text(arguments, "name"), now)
        raise BadInput(f"{message.what!r} is nothing that can be asked of keys")

    def enrol(self, public: str, enrol: Enrol, fresh: str, now: Now) -> Principal:
        """Admit the key *public*, if what it shows is good. Raises `BrenderError`: in plain words to who shows a
        token that was good once or a key that is admitted, and no more than `REFUSED` to anybody else."""
        known = self._with_public(public)
        if not enrol.token:
            if known is None or known.role is not enrol.role or not known.is_current(now.wall):
                raise BrenderError(REFUSED)
            return self._replace(known, enrol.instead, fresh, now) if enrol.instead else known
        if known is not None and known.is_current(now.wall) and (known.role, known.node) == (enrol.role, enrol.node):
            return known  # it asks again, since the answer was lost, or its token with which it was started may be over by now
        token = self.farm.tokens.get(enrol.token)
        if token is None or not is_secret_of(token, enrol.secret):
            raise BrenderError(REFUSED)
        how = _HOW_TO_GET_ONE.format(token_command(token.role))
        if token.expires <= now.wall:
            late = (now.wall - token.expires) / 60
            raise BadInput(
                f"This token expired {plural(round(late), 'minute')} ago, by the server's clock (if that cannot be, compare the "
                f"two machines' clocks). {how}"
            )
        if token.role is not enrol.role:
            how = _HOW_TO_GET_ONE.format(token_command(enrol.role))
            raise BadInput(f"This token lets {with_article(token.role)} in, not {with_article(enrol.role)}. {how}")
        if known is not None and not known.is_current(now.wall):
            self._drop(known, "its time was over", now)
        if token.uses <= 0:
            raise BadInput(f"This token has been used as often as it may be. {how}")
        token = msgspec.structs.replace(token, uses=token.uses - 1)
        expires = None if token.key_seconds is None else now.wall + token.key_seconds
        name = token.name or (_CLIENT_NAME.format(fresh[:8]) if token.role is KeyRole.CLIENT else enrol.name)
        principal = self._admit(public, enrol.role, name, enrol.node, fresh, expires, now, token.id)
        self.farm.tokens[token.id] = token
        self.farm.ledger.change("token", token.id, {"uses": token.uses})
        return principal

    def admit_own(self, public: str, role: KeyRole, fresh: str, now: Now) -> None:
        """Have the key *public*, which lies in the server's own data folder, admitted as one of that *role*."""
        if self._with_public(public) is None:
            self._admit(public, role, _OWN[role], "", fresh, None, now, "")

    def admit_local(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> Principal:
        """Admit a node of the server's own machine. Raises `BrenderError`."""
        role, public, node = _role(arguments), _text(arguments, "public"), _text(arguments, "node")
        known = self._with_public(public)
        if known is not None and (known.role, known.node) == (role, node):
            return known
        if role not in NODE_ROLES:
            raise BadInput("Only workers and managers are admitted without a token")
        return self._admit(public, role, _text(arguments, "name"), node, fresh, None, now, "")

    def proves(self, node: str, registration: tuple[int, int], manager: str, proof: str) -> bool:
        """Return whether *proof* is the word of the worker *node* that it turned to the manager whose key has the id
        *manager*."""
        if not self._master:
            return True
        key = self.of_node(node)
        boss = self.farm.keys.get(manager)
        if key is None or key.role is not KeyRole.WORKER or boss is None:
            return False
        return proof == proof_of(proof_key(self._master, key.public), node, registration, boss.public)

    def of_node(self, node: str) -> Principal | None:
        """Return the admitted key of the worker or manager *node*."""
        return self.farm.keys.get(self._by_node.get(node, ""))

    def proof_key(self, principal: Principal) -> str:
        return proof_key(self._master, principal.public) if principal.role is KeyRole.WORKER else ""

    def tell(self, manager: str) -> None:
        """Tell *manager* of all workers' keys that are admitted."""
        workers = tuple(principal for principal in self.farm.keys.values() if principal.role is KeyRole.WORKER)
        self.emit(Send(manager, Admitted(number=self._number, keys=workers)))

    def tick(self) -> None:
        """Tell every manager of the workers' keys that came and went since the last tick."""
        if not self._came and not self._went:
            return
        before, self._number = self._number, self._number + 1
        news = Admitted(number=self._number, since=before, keys=tuple(self._came), gone=tuple(self._went))
        for manager in self.farm.managers:
            self.emit(Send(manager, news))
        self._came, self._went = [], []

    # --- inside -------------------------------------------------------------------------------------------------------

    def _admit(
        self, public: str, role: KeyRole, name: str, node: str, fresh: str, expires: float | None, now: Now, token: str
    ) -> Principal:
        if len(public) != 40 or self._with_public(public) is not None:
            raise BrenderError(REFUSED)
        if role in NODE_ROLES and not node:
            raise BadInput(f"A {role} joins with the id of its node")
        # A node that joins again, after it lost its key perhaps, is still that node: its earlier keys are of no more use.
        earlier = self.of_node(node)
        if earlier is not None:
            if earlier.role is not role:
                raise BrenderError(REFUSED)
            self._drop(earlier, NEW_KEY, now)
        principal = Principal(id=fresh[:16], public=public, role=role, name=name, node=node, expires=expires)
        self.farm.keys[principal.id] = principal
        self._by_public[public] = principal.id
        if node:
            self._by_node[node] = principal.id
        if role is KeyRole.WORKER:
            self._came.append(principal)
        fields = {
            "public": public,
            "role": role,
            "name": name,
            "node": node,
            "expires": expires,
            "created": now.wall,
            "token": token,
        }
        self.farm.ledger.insert("key", principal.id, fields)
        self.activity.note(
            now,
            "key-admitted",
            f"the key {principal.id} of the {role} {name} is admitted" + (f" by the token {token}" if token else ""),
        )
        self.emit(Admit(principal))
        return principal

    def _replace(self, known: Principal, public: str, fresh: str, now: Now) -> Principal:
        """Rotate: the new key *public* in place of *known*, for the same node."""
        if known.node:
            return self._admit(public, known.role, known.name, known.node, fresh, known.expires, now, "")
        admitted = self._admit(public, known.role, known.name, "", fresh, known.expires, now, "")
        self._drop(known, "it was rotated", now)
        return admitted

    def _create_token(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        role = _role(arguments)
        uses = arguments.get("uses", 1)
        if type(uses) is not int or not 1 <= uses <= _USES_MOST:
            raise BadInput(f"A token is good for 1 to {_USES_MOST} uses, not {uses!r}")
        lifetime = parse_lifetime(_text(arguments, "expires"))
        valid = arguments.get("key_expires")
        name = str(arguments.get("name") or "").strip()[:255]
        if role is KeyRole.CLIENT and not name:
            raise BadInput(
                "A token for a client needs a name, in which its holder submits and acts: "
                "`brender token create --role client --name anna`"
            )
        # The secret is as long as its digest is hard to guess; the id tells nothing of it.
        id, secret = fresh[:16], fresh[16:]
        token = Token(
            id=id,
            role=role,
            digest=digest_of(secret),
            uses=uses,
            expires=now.wall + lifetime,
            name=name,
            key_seconds=None if valid is None else parse_lifetime(str(valid)),
        )
        self.farm.tokens[id] = token
        fields = msgspec.to_builtins(token) | {"created": now.wall}
        del fields["id"]
        self.farm.ledger.insert("token", id, fields)
        self.activity.note(now, "token-created", f"the token {id} lets {plural(uses, 'key')} of a {role} in")
        return {"id": id, "secret": secret, "role": role, "uses": uses, "expires": token.expires}

    def _revoke_token(self, start: str, now: Now) -> dict[str, Any]:
        found = [id for id in self.farm.tokens if start and id.startswith(start)]
        if len(found) != 1:
            raise NotFound(f"There is no token {start!r}, or several start like this. `brender token list` lists them")
        del self.farm.tokens[found[0]]
        self.farm.ledger.change("token", found[0], {"uses": 0, "revoked": now.wall})
        self.activity.note(now, "token-revoked", f"the token {found[0]} is revoked")
        return {"id": found[0]}

    def _revoke_key(self, start: str, now: Now) -> dict[str, Any]:
        principal = self._find(start)
        if _OWN.get(principal.role) == principal.name:
            raise Conflict(
                f"This key is that of the server's own machine. To change it, stop the server, remove keys/{principal.name} in "
                "its data folder, and start it again"
            )
        self._drop(principal, KEY_REVOKED, now)
        return {"id": principal.id, "name": principal.name, "role": principal.role}

    def _rename_key(self, start: str, name: str, now: Now) -> dict[str, Any]:
        principal = self._find(start)
        if not 1 <= len(name) <= 255:
            raise BadInput("A key's name has 1 to 255 characters")
        self.farm.keys[principal.id] = renamed = msgspec.structs.replace(principal, name=name)
        self.farm.ledger.change("key", principal.id, {"name": name})
        self.activity.note(now, "key-renamed", f"the key {principal.id} is now called {name}")
        self.emit(Admit(renamed))
        return {"id": principal.id, "name": name}

    def _find(self, start: str) -> Principal:
        """Return the one admitted key whose id starts with *start*, or that has this name. Raises `NotFound` or `BadInput`."""
        keys = self.farm.keys.values()
        found = [each for each in keys if start and each.id.startswith(start)] or [each for each in keys if each.name == start]
        if not found:
            raise NotFound(f"There is no admitted key {start!r}. `brender key list` lists them")
        if len(found) > 1:
            several = ", ".join(f"{each.id} ({each.role} {each.name})" for each in found)
            raise BadInput(f"{start!r} means several keys: {several}. Write the id")
        return found[0]

    def _with_public(self, public: str) -> Principal | None:
        return self.farm.keys.get(self._by_public.get(public, ""))

    def _drop(self, principal: Principal, reason: str, now: Now) -> None:
        """The key is not admitted any more; what came by it is cut off."""
        del self.farm.keys[principal.id], self._by_public[principal.public]
        if principal.node:
            del self._by_node[principal.node]
        if principal.role is KeyRole.WORKER:
            self._came = [key for key in self._came if key.id != principal.id]
            self._went.append(principal.id)
        self.farm.ledger.change("key", principal.id, {"revoked": now.wall, "reason": reason})
        self.activity.note(
            now, "key-revoked", f"the key {principal.id} of the {principal.role} {principal.name} is revoked: {reason}"
        )
        if principal.role is KeyRole.MANAGER:
            self.emit(Send(principal.node, Refused(reason=JOIN_AGAIN)))
            if (manager := self.farm.managers.get(principal.node)) is not None:
                self.nodes.manager_gone(manager, f"is not admitted any more: {reason}", now)
        if principal.role is KeyRole.WORKER and (worker := self.farm.workers.get(principal.node)) is not None:
            self.nodes.worker_gone(worker, f"is not admitted any more: {reason}", now)
        self.emit(Dismiss(principal))


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value or len(value) > 255:
        raise BadInput(f"{name} is missing, or no text of up to 255 characters")
    return value


def _role(arguments: Mapping[str, Any]) -> KeyRole:
    try:
        return KeyRole(str(arguments.get("role")))
    except ValueError:
        raise BadInput(f"{arguments.get('role')!r} is not a role. Roles are: {', '.join(KeyRole)}") from None

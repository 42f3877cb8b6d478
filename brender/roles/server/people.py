"""Users, their tokens, presets and subscriptions, in the server's core. Passwords come as hashes, tokens as digests. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brender.bus.messages import Manage
from brender.farm.farm import Farm
from brender.jobs.declare import job_type
from brender.model.errors import BadInput, Conflict, NotFound
from brender.model.hooks import EVENTS, KINDS, Hook, check_target
from brender.model.people import Role, check_role, check_user_name
from brender.model.text import with_article
from brender.roles.effects import Effect, ForgetHook, Now
from brender.roles.server import device_sign_ins
from brender.roles.server.activity import ActivityLog

_TEXT = 255
_KINDS = (*KINDS, "email")
#: What somebody can be told of by e-mail.
MAIL_EVENTS = ("completed", "failed", "attention")


class People:
    """The people of *farm*, and what is theirs."""

    def __init__(
        self, farm: Farm, activity: ActivityLog, emit: Callable[[Effect], None], hook_programs: Sequence[str], sign_in_days: float
    ) -> None:
        self.farm = farm
        self.activity = activity
        self.emit = emit
        self._hook_programs = hook_programs
        self._sign_in_days = sign_in_days
        self._doings: dict[str, Callable[[Mapping[str, Any], str, Now], dict[str, Any]]] = {
            "set-user": self._set_user,
            "remove-user": self._remove_user,
            "create-api-token": self._create_token,
            "revoke-api-token": self._revoke_token,
            "use-api-token": self._use_token,
            "ask-sign-in": self._ask_sign_in,
            "answer-sign-in": self._answer_sign_in,
            "set-preset": self._set_preset,
            "remove-preset": self._remove_preset,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def does(self, what: str) -> bool:
        return what in self._doings

    def manage(self, message: Manage, fresh: str, now: Now) -> dict[str, Any]:
        """Carry out what is asked; returns the answer. *fresh*: new randomness, in hexadecimal digits. Raises `BrenderError`.

        The dashboard of an earlier version says in the argument ``by`` who asks.
        """
        asker = self.activity.user
        arguments = {**message.arguments, "by": asker or message.arguments.get("by")}
        return self._doings[message.what](arguments, fresh, now)

    def _set_user(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        """Make the user ``name``, or change what is given: ``role``, ``password`` (its hash), ``email``, ``disabled``. ``new``:
        whether it must be a new one, or must not."""
        name = check_user_name(_text(arguments, "name"))
        known = self.farm.users.get(name)
        if arguments.get("new") and known is not None:
            raise Conflict(f"There is a user {name} already")
        if arguments.get("new") is False and known is None:
            raise NotFound(f"There is no user {name!r}: `brender user list` lists them")
        fields: dict[str, Any] = {}
        if (role := arguments.get("role")) is not None:
            fields["role"] = check_role(role)
        if (password := arguments.get("password")) is not None:
            fields["password"] = _text({"password": password}, "password")
        if (email := arguments.get("email")) is not None:
            fields["email"] = str(email)[:_TEXT]
        if (disabled := arguments.get("disabled")) is not None:
            fields["disabled"] = now.wall if disabled else None
        if known is None:
            if "role" not in fields or "password" not in fields:
                raise BadInput("A new user needs a role and a password")
            fields["created"] = now.wall
        role = fields.get("role", known)
        off = fields.get("disabled") is not None or (name in self.farm.disabled_users and "disabled" not in fields)
        self._keep_an_admin(name, None if off else role)
        self.farm.users[name] = check_role(role)
        (self.farm.disabled_users.add if off else self.farm.disabled_users.discard)(name)
        (self.farm.ledger.put if known is None else self.farm.ledger.change)("user", name, fields)
        is_said = (field for field in fields if field in _TOLD and (known is not None or fields[field] != ""))
        told = [_TOLD[field](fields[field]) for field in is_said] or ["is changed"]
        self._note(now, f"the user {name} {' and '.join([', '.join(told[:-1])] * bool(told[:-1]) + told[-1:])}", arguments)
        return {"name": name, "role": role}

    def _remove_user(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        name = _text(arguments, "name")
        if name not in self.farm.users:
            raise NotFound(f"There is no user {name!r}: `brender user list` lists them")
        self._keep_an_admin(name, None)
        del self.farm.users[name]
        self.farm.disabled_users.discard(name)
        self.farm.ledger.drop("user", name)
        for id in [id for id, owner in self.farm.api_tokens.items() if owner == name]:
            del self.farm.api_tokens[id]
            self.farm.token_days.pop(id, None)
            self.farm.ledger.drop("api_token", id)
        for id in [id for id, owner in self.farm.subscriptions.items() if owner == name]:
            self._end_subscription(id)
        self._note(now, f"the user {name} is removed", arguments)
        return {"name": name}

    def _create_token(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        user, name, digest = (_text(arguments, each) for each in ("user", "name", "digest"))
        if user not in self.farm.users:
            raise NotFound(f"There is no user {user!r}: `brender user list` lists them")
        days = arguments.get("days")
        if days is not None and not (isinstance(days, int | float) and 0 < days <= 36_500):
            raise BadInput(f"A token is good for up to 36500 days, not {days!r}")
        fields = {"user": user, "name": name, "digest": digest, "expires": _after(days, now)}
        return self._token_made(fields, arguments, fresh, now)

    def _token_made(self, fields: dict[str, Any], arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        id, user, name = fresh[:16], fields["user"], fields["name"]
        self.farm.api_tokens[id] = user
        self.farm.ledger.put("api_token", id, fields | {"created": now.wall})
        self._note(now, f"the token {name} ({id}) of {user} is made", arguments)
        return {"id": id, "name": name}

    def _ask_sign_in(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        code, device, name, origin = (_text(arguments, each) for each in ("code", "device", "name", "origin"))
        return device_sign_ins.ask(self.farm, code, device, name, origin, now)

    def _answer_sign_in(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        """Let a program that waits in as the user who asks, or not."""
        user, allowed = self.activity.user, device_sign_ins.is_allowed(arguments)
        if user not in self.farm.users:
            raise BadInput("A program is signed in as a user: confirm its code on the farm's page, signed in yourself")
        found = device_sign_ins.answer(self.farm, _text(arguments, "code"), allowed, user, now)
        if allowed:
            days = self._sign_in_days or None
            fields = {"user": user, "name": found.name, "digest": found.device, "days": days, "expires": _after(days, now)}
            made = self._token_made(fields, arguments, fresh, now)
            if days:
                self.farm.token_days[made["id"]] = days
        else:
            self._note(now, f"{found.name} may not sign in as {user}", arguments)
        return {"name": found.name}

    def _revoke_token(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        id = _text(arguments, "id")
        self.farm.ledger.change("api_token", id, {"revoked": now.wall})
        self._note(now, f"the token {id} is revoked", arguments)
        return {"id": id}

    def _use_token(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        """Keep that the token ``id`` is in use, which renews one that was made by a code. Raises `NotFound`."""
        id = _text(arguments, "id")
        if id not in self.farm.api_tokens:
            raise NotFound(f"There is no token {id!r}: `brender api-token list` lists them")
        renewed = {"expires": _after(self.farm.token_days[id], now)} if id in self.farm.token_days else {}
        self.farm.ledger.change("api_token", id, {"used": now.wall} | renewed)
        return {"id": id}

    def _set_preset(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        name, kind = _text(arguments, "name"), job_type(_text(arguments, "job_type"))
        settings = arguments.get("settings")
        known = {setting.name: setting for setting in kind.settings}
        if not isinstance(settings, dict) or not settings.keys() <= known.keys():
            raise BadInput(f"A preset has settings of {kind.name}: {', '.join(known)}")
        checked = {key: known[key].check(value) for key, value in settings.items() if value is not None}
        fields = {"job_type": kind.name, "settings": checked, "user": str(arguments.get("owner") or arguments.get("by") or "")}
        self.farm.ledger.put("preset", name, fields)
        return {"name": name, **fields}

    def _remove_preset(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        name = _text(arguments, "name")
        self.farm.ledger.drop("preset", name)
        return {"name": name}

    def _subscribe(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        kind, target = _text(arguments, "kind"), _text(arguments, "target")
        events = arguments.get("events")
        if kind not in _KINDS:
            raise BadInput(f"{kind!r} is not a kind of notification; there are: {', '.join(_KINDS)}")
        if kind in KINDS:
            target = check_target(kind, target, self._hook_programs)
        if kind == "email" and (target.count("@") != 1 or any(character.isspace() for character in target)):
            raise BadInput(f"{target!r} is not an e-mail address")
        possible = MAIL_EVENTS if kind == "email" else tuple(EVENTS)
        if isinstance(events, list) and kind in KINDS:  # (the page, and earlier programs, say "failed" for "job-failed")
            events = [f"job-{each}" if each in MAIL_EVENTS else each for each in events]
        if not isinstance(events, list) or not events or not set(events) <= set(possible):
            raise BadInput(f"Choose one or more of these events: {', '.join(possible)}")
        fields = {
            "user": str(arguments.get("by") or ""),
            "kind": kind,
            "target": target,
            "events": sorted(set(events)),
            "project": str(arguments.get("project") or "")[:_TEXT],
            "created": now.wall,
            "secret": fresh[16:] if kind in KINDS else "",
        }
        id = fresh[:16]
        self.farm.subscriptions[id] = str(fields["user"])
        if kind in KINDS:
            project = str(fields["project"])
            self.farm.hooks[id] = Hook(id, kind, target, str(fields["secret"]), frozenset(events), project)
            self._note(now, f"the {kind} {id} gets the events {', '.join(sorted(set(events)))}", arguments)
        self.farm.ledger.put("subscription", id, fields)
        return {"id": id, **fields}

    def _unsubscribe(self, arguments: Mapping[str, Any], fresh: str, now: Now) -> dict[str, Any]:
        id = _text(arguments, "id")
        self._end_subscription(id)
        return {"id": id}

    def _end_subscription(self, id: str) -> None:
        self.farm.subscriptions.pop(id, None)
        self.farm.ledger.drop("subscription", id)
        if self.farm.hooks.pop(id, None) is not None:
            # What waits for it goes with it: `Server.carry_out` deletes the rows, of which nothing is in memory.
            self.farm.hooks_waiting.pop(id, None)
            self.emit(ForgetHook(id))

    def _keep_an_admin(self, name: str, role: object) -> None:
        """Raises `Conflict` where *name*, as *role* (``None``: not any more), would leave the farm without an admin."""
        others = {n for n, r in self.farm.users.items() if r is Role.ADMIN and n != name} - self.farm.disabled_users
        if self.farm.users.get(name) is Role.ADMIN and role != Role.ADMIN and not others:
            raise Conflict(f"{name} is the only admin: make another user an admin first")

    def _note(self, now: Now, text: str, arguments: Mapping[str, Any]) -> None:
        self.activity.note(now, "user", text, user=str(arguments.get("by") or ""))


_TOLD: dict[str, Callable[[Any], str]] = {
    "role": lambda role: f"is {with_article(role)}",
    "password": lambda _: "has a new password",
    "email": lambda email: f"has the e-mail address {email}" if email else "has no e-mail address any more",
    "disabled": lambda wall: "may come in" if wall is None else "may not come in any more",
}


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > 1000:
        raise BadInput(f"{name} is missing, or no text")
    return value.strip()


def _after(days: float | None, now: Now) -> float | None:
    """Return the time *days* from *now*; ``None`` for ``None``."""
    return None if days is None else now.wall + days * 86_400

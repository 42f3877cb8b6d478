"""Programs that are signed in by a code on the page (brender.model.device_sign_in), in the server's core. Pure."""

from collections.abc import Mapping
from typing import Any

from brender.farm.farm import Farm
from brender.model.device_sign_in import CODE_SECONDS, KEPT_SECONDS, NO_CODE, WAITING_MOST, DeviceSignIn, SignInAnswer
from brender.model.errors import BadInput, Conflict, NotFound
from brender.roles.effects import Now


def ask(farm: Farm, code: str, device: str, name: str, origin: str, now: Now) -> dict[str, Any]:
    """Let a program wait whose codes have the digests *code* and *device*; *name*: what its token is to be called, *origin*:
    the address that it asked from. Raises `Conflict`."""
    for old in [id for id, each in farm.device_sign_ins.items() if each.expires + KEPT_SECONDS < now.wall]:
        del farm.device_sign_ins[old]
        farm.ledger.drop("device_sign_in", old)
    if code in farm.device_sign_ins:
        raise Conflict("That code is given to another program")
    waiting = sum(each.expires > now.wall for each in farm.device_sign_ins.values())
    if waiting >= WAITING_MOST:
        raise Conflict("Too many programs wait to be signed in: try again in ten minutes, or make a token on the page")
    expires = now.wall + CODE_SECONDS
    farm.device_sign_ins[code] = DeviceSignIn(name, device, expires)
    fields = {"name": name, "device": device, "origin": origin, "created": now.wall, "expires": expires}
    farm.ledger.put("device_sign_in", code, fields)
    return {"expires": expires}


def answer(farm: Farm, code: str, allowed: bool, user: str, now: Now) -> DeviceSignIn:
    """Let in the program that waits with the *code* of that digest as *user*, or not. Returns it. Raises `NotFound`, also where
    it was answered before: a code is good once."""
    found = farm.device_sign_ins.get(code)
    if found is None or found.answer is not SignInAnswer.WAITED_FOR or found.expires < now.wall:
        raise NotFound(NO_CODE)
    found.answer = SignInAnswer.ALLOWED if allowed else SignInAnswer.DENIED
    farm.ledger.change("device_sign_in", code, {"answer": found.answer.value, "user": user})
    return found


def is_allowed(arguments: Mapping[str, Any]) -> bool:
    """Return whether *arguments* say that the program is let in. Raises `BadInput`."""
    allowed = arguments.get("allow")
    if not isinstance(allowed, bool):
        raise BadInput("allow is missing, or not true or false")
    return allowed

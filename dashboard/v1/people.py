"""The JSON API: users, one's own tokens, presets, and who is told of what."""

import secrets
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint
from flask_login import current_user
from werkzeug.security import generate_password_hash

from brender.model.device_sign_in import token_digest
from brender.model.errors import BadInput
from brender.model.people import PASSWORD_LEAST, Role
from brender.model.rights import Scope
from brender.store import page_questions
from dashboard.answers import people as answers
from dashboard.api_tokens import token_of_now
from dashboard.endpoint import endpoint
from dashboard.farm import farm, user_name

blueprint = Blueprint("v1-people", __name__)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Password = Annotated[str, msgspec.Meta(min_length=PASSWORD_LEAST, max_length=1000)]


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    role: Role
    password: Password
    email: Annotated[str, msgspec.Meta(max_length=255)] = ""


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Role | None = None
    password: Password | None = None
    email: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    disabled: bool | None = None


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] | None = None


class NewPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    job_type: Name
    settings: dict[str, Any]


class NewSubscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["webhook", "email"]
    target: Annotated[str, msgspec.Meta(min_length=3, max_length=1000)]
    events: Annotated[list[Literal["completed", "failed", "attention"]], msgspec.Meta(min_length=1, max_length=3)]
    project: Annotated[str, msgspec.Meta(max_length=255)] = ""


@endpoint(blueprint, "GET", "/users", needed="manage set-user", cached=True, answer=list[answers.User])
def users() -> Any:
    """Return the users."""
    with farm().reader.record() as record:
        return page_questions.people(record)


@endpoint(blueprint, "POST", "/users", body=NewUser, needed="manage set-user", answer=answers.UserSet)
def make_user(body: NewUser) -> Any:
    """Make a user."""
    hashed = generate_password_hash(body.password)
    return farm().manage("set-user", name=body.name, role=body.role.value, email=body.email, password=hashed, new=True)


@endpoint(blueprint, "POST", "/users/{name}", body=UserChange, needed="manage set-user", answer=answers.UserSet)
def change_user(name: str, body: UserChange) -> Any:
    """Change a user's role, password or e-mail address, or whether they may come in."""
    given = {key: value for key, value in msgspec.to_builtins(body).items() if value is not None}
    if "password" in given:
        given["password"] = generate_password_hash(given["password"])
    return farm().manage("set-user", name=name, **given, new=False)


@endpoint(blueprint, "DELETE", "/users/{name}", answer=answers.Named)
def remove_user(name: str) -> Any:
    """Remove a user, with all that lets their programs in."""
    return farm().manage("remove-user", name=name)


@endpoint(blueprint, "GET", "/me", answer=answers.Me)
def me() -> Any:
    """Who asks, and what they may do: of each action whether to all things or their own."""
    return {"name": current_user.name, "role": current_user.role.value, "rights": current_user.rights}


@endpoint(blueprint, "GET", "/tokens", answer=list[answers.ApiToken])
def tokens() -> Any:
    """One's own tokens; not their secrets, which nobody has."""
    with farm().reader.record() as record:
        return page_questions.api_tokens(record, user_name())


@endpoint(blueprint, "POST", "/tokens", body=NewToken, answer=answers.ApiTokenMade)
def make_token(body: NewToken) -> Any:
    """Make a token for one's programs: its secret is told once, and never again."""
    secret = f"brender_{secrets.token_urlsafe(32)}"
    digest = token_digest(secret)
    made = farm().manage("create-api-token", user=user_name(), name=body.name, days=body.days, digest=digest)
    return made | {"token": secret}


@endpoint(blueprint, "DELETE", "/tokens/{id}", answer=answers.Identified)
def revoke_token(id: str) -> Any:
    """Revoke a token: one's own, or as an admin anybody's."""
    return farm().manage("revoke-api-token", id=id)


@endpoint(blueprint, "POST", "/me/sign-out", answer=answers.Identified)
def sign_out() -> Any:
    """Revoke the token that this is asked with."""
    if not (id := token_of_now()):
        raise BadInput("This revokes the token that it is asked with, and none was shown (Authorization: Bearer …)")
    return farm().manage("revoke-api-token", id=id)


@endpoint(blueprint, "GET", "/presets", cached=True, answer=list[answers.Preset])
def presets() -> Any:
    """Settings under a name, for the submit page."""
    with farm().reader.record() as record:
        return page_questions.presets(record)


@endpoint(blueprint, "POST", "/presets", body=NewPreset, answer=answers.PresetSet)
def set_preset(body: NewPreset) -> Any:
    """Keep settings under a name, in place of those that it had."""
    return farm().manage("set-preset", **msgspec.to_builtins(body))


@endpoint(blueprint, "DELETE", "/presets/{name}", answer=answers.Named)
def remove_preset(name: str) -> Any:
    """Forget a preset."""
    return farm().manage("remove-preset", name=name)


@endpoint(blueprint, "GET", "/subscriptions", answer=list[answers.Subscription])
def subscriptions() -> Any:
    """Return what one is told of, and how; for an admin, all of them."""
    with farm().reader.record() as record:
        sees_all = current_user.rights.get("manage unsubscribe") is Scope.ALL
        return page_questions.subscriptions(record, "" if sees_all else user_name())


@endpoint(blueprint, "POST", "/subscriptions", body=NewSubscription, answer=answers.SubscriptionMade)
def subscribe(body: NewSubscription) -> Any:
    """Be told by a web address or an e-mail when jobs are completed, have failed, or need somebody."""
    return farm().manage("subscribe", **msgspec.to_builtins(body))


@endpoint(blueprint, "DELETE", "/subscriptions/{id}", answer=answers.Identified)
def unsubscribe(id: str) -> Any:
    """Not be told any more."""
    return farm().manage("unsubscribe", id=id)

"""Signing a program in by a code that a person confirms on a page, as the device flow of RFC 8628 does: what the program asks,
and the page. The server keeps the codes' digests and makes the token (brender.roles.server.device_sign_ins)."""

import secrets
import time
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, render_template, request, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from werkzeug.exceptions import TooManyRequests
from wtforms import StringField, SubmitField
from wtforms.validators import DataRequired, Length

from brender.model.device_sign_in import (
    CODE_LENGTH,
    CODE_LETTERS,
    CODE_SECONDS,
    INTERVAL_SECONDS,
    NO_CODE,
    SignInAnswer,
    code_digest,
    shown_code,
    token_digest,
    token_of,
    typed_code,
)
from brender.model.errors import Conflict
from dashboard.answers import people as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm
from dashboard.people import client_address, may_try, paces_of_now, there_are_users

blueprint = Blueprint("v1-device", __name__)
page = Blueprint("device", __name__)
#: What is answered before anybody has signed in.
OPEN = frozenset({"v1-device.post-/device/code", "v1-device.post-/device/token"})

_PENDING = "Nobody has confirmed the code yet"
_SLOW_DOWN = f"Asked too often: wait {INTERVAL_SECONDS} seconds longer between two questions from now on"
_DENIED = "The code was declined on the page"
_EXPIRED = "The code is not valid any more: ask for a new one"


class CodeWanted(msgspec.Struct, frozen=True):
    """``name``: what the token is to be called on the page of the account, such as the program and the machine that it is on."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "A program"


class TokenWanted(msgspec.Struct, frozen=True):
    device_code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Code(FlaskForm):  # type: ignore[misc]
    code = StringField("Code", validators=[DataRequired("Enter the code that the program shows"), Length(max=40)])
    allow = SubmitField("Allow")
    deny = SubmitField("Decline")


@endpoint(blueprint, "POST", "/device/code", body=CodeWanted, answer=answers.DeviceCodes)
def ask_for_code(body: CodeWanted) -> Any:
    """Ask for a code by which a person signs this program in (RFC 8628, in JSON). No token is needed."""
    if not there_are_users():
        raise Conflict(
            "This farm has no users yet. When `brender farm` (or `brender-dashboard`) started, it printed a link. "
            "The first admin is made there"
        )
    if not may_try("a code"):
        raise TooManyRequests("Too many codes were asked for from this address: wait half a minute, then try again")
    secret = secrets.token_urlsafe(32)
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    with farm().own_client() as client:
        device = token_digest(token_of(secret))
        client.manage("ask-sign-in", code=code_digest(code), device=device, name=_readable(body.name), origin=client_address())
    base = (farm().settings.public_url or request.url_root).rstrip("/")
    return {
        "device_code": secret,
        "user_code": shown_code(code),
        "verification_uri": f"{base}{url_for('device.confirm')}",
        "verification_uri_complete": f"{base}{url_for('device.confirm', code=shown_code(code))}",
        "expires_in": CODE_SECONDS,
        "interval": INTERVAL_SECONDS,
    }


@endpoint(blueprint, "POST", "/device/token", body=TokenWanted, answer=answers.DeviceToken)
def ask_for_token(body: TokenWanted) -> Any:
    """Ask whether the code was confirmed, and for the token then. `code` is else authorization_pending, slow_down, access_denied
    or expired_token."""
    token = token_of(body.device_code)
    digest = token_digest(token)
    with farm().reader.record() as record:
        row = record.tables.DeviceSignIn.get_or_none(device=digest)
    if row is None:
        if not may_try("a device code"):
            raise TooManyRequests("Too many questions from this address: wait half a minute, then try again")
        return _not_yet("expired_token", _EXPIRED)
    if row.answer == SignInAnswer.ALLOWED:
        return {"access_token": token, "token_type": "Bearer", "user": row.user}  # nosec B105
    if row.answer == SignInAnswer.DENIED:
        return _not_yet("access_denied", _DENIED)
    if row.expires < time.time():
        return _not_yet("expired_token", _EXPIRED)
    if not paces_of_now().take_question(digest):
        return _not_yet("slow_down", _SLOW_DOWN)
    return _not_yet("authorization_pending", _PENDING)


def _not_yet(code: str, why: str) -> Response:
    said = {"error": code, "error_description": why, "code": code}
    return Response(msgspec.json.encode(said), status=400, mimetype="application/json")


@page.route("/device", methods=["GET", "POST"])
def confirm() -> Any:
    """Show whose program waits with a code, and let it in as the user of now, or not."""
    form = _Code()
    typed = typed_code(form.code.data or request.args.get("code", ""))
    if not typed:
        return render_template("device.html", form=form, waits=None)
    if not may_try(f"codes of {current_user.name}"):
        raise TooManyRequests("Too many codes: wait half a minute, then try again")
    form.code.data = shown_code(typed)
    with farm().reader.record() as record:
        waits = record.tables.DeviceSignIn.get_or_none(id=code_digest(typed))
    if waits is None or waits.answer != SignInAnswer.WAITED_FOR or waits.expires < time.time():
        form.code.errors = [NO_CODE]
        return render_template("device.html", form=form, waits=None), 404
    if form.validate_on_submit() and (form.allow.data or form.deny.data):
        farm().manage("answer-sign-in", code=code_digest(typed), allow=form.allow.data)
        return render_template("device.html", form=None, waits=waits, allowed=form.allow.data)
    return render_template("device.html", form=form, waits=waits)


def _readable(name: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in name).strip() or "A program"

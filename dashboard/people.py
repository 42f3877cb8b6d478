"""Who is there: signing in and out, the first admin, programs with tokens, what each may do."""

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from typing import Any

from flask import Blueprint, Flask, Request, current_app, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf import FlaskForm
from werkzeug.exceptions import Forbidden, HTTPException, TooManyRequests
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response
from wtforms import BooleanField, PasswordField, StringField
from wtforms.validators import DataRequired, EqualTo, Length

from brender.model.device_sign_in import INTERVAL_SECONDS
from brender.model.errors import BrenderError
from brender.model.errors import Forbidden as NotAllowed
from brender.model.pace import Pace
from brender.model.people import PASSWORD_LEAST, Role
from brender.model.rights import Actor, Scope, may, rights_of, why_not
from dashboard.api_tokens import owner_of
from dashboard.farm import farm
from dashboard.proxies import origin

log = logging.getLogger("brender.dashboard")

blueprint = Blueprint("people", __name__)
manager = LoginManager()
manager.login_view = "people.login"
manager.login_message = ""

#: Attempts to sign in that are listened to, a second and at once: from one address for one name, and from one address in all.
#: None are counted by name alone: then anybody could keep somebody out.
_PACE_FOR_NAME, _PACE_FROM_ADDRESS = (0.1, 8.0), (1.0, 60.0)
#: Passwords that are checked at once: each takes 32 MB and a tenth of a second of a core.
_CHECKED_AT_ONCE = threading.BoundedSemaphore(4)
_REMEMBERED = 10_000
_GUEST = "guest"
#: Compared with where there is no such user, so that nobody learns by the clock who there is.
_NOBODY = generate_password_hash(secrets.token_hex(8))


class User(UserMixin):  # type: ignore[misc]
    """Somebody who has signed in, or whose program shows a token."""

    def __init__(self, name: str, role: Role, stamp: str = "", is_guest: bool = False) -> None:
        self.name = name
        self.role = role
        self.is_guest = is_guest
        self._stamp = stamp

    def get_id(self) -> str:
        # With a mark of the password, so that a new one ends every other session.
        return f"{self.name}\n{self._stamp}"

    @property
    def rights(self) -> dict[str, Scope]:
        """What they may do, and whose things to, by the table of rights."""
        return {} if self.is_guest else rights_of(self.role)

    def may(self, action: str, owner: str | None = None) -> bool:
        """Return whether they may do *action* to a thing of *owner*; ``None``: to any thing at all, their own perhaps."""
        if owner is None:
            return action in self.rights
        return action in self.rights and may(Actor(self.role, self.name), action, owner)

    def may_act_on(self, job: dict[str, Any]) -> bool:
        """Return whether they may change that *job*."""
        return self.may("act cancel", str(job.get("user", "")))


class Paces:
    """How often somebody may try to sign in, by their address and the name they give."""

    def __init__(self) -> None:
        self._paces: OrderedDict[tuple[str, str], Pace] = OrderedDict()
        self._lock = threading.Lock()
        #: Whether it was said that a proxy is not trusted.
        self.warned = False

    def take(self, address: str, name: str) -> bool:
        """Return whether one more attempt from *address* for *name* is listened to."""
        place = origin(address)
        with self._lock:
            return self._take((place, ""), _PACE_FROM_ADDRESS) and self._take((place, f"as {name}"), _PACE_FOR_NAME)

    def take_question(self, digest: str) -> bool:
        """Return whether the program that waits with the code of that *digest* does not ask too often."""
        with self._lock:
            return self._take((digest, ""), (1 / INTERVAL_SECONDS, 2.0))

    def forgive(self, address: str, name: str) -> None:
        """Forget the attempts from *address* for *name*: who made them has signed in."""
        with self._lock:
            self._paces.pop((origin(address), f"as {name}"), None)

    def _take(self, whose: tuple[str, str], rate: tuple[float, float]) -> bool:
        now = time.monotonic()
        pace = self._paces.setdefault(whose, Pace(*rate, now))
        self._paces.move_to_end(whose)
        if len(self._paces) > _REMEMBERED:
            self._paces.popitem(last=False)
        return pace.take(now)


class SignIn(FlaskForm):  # type: ignore[misc]
    name = StringField("Name", validators=[DataRequired("Who are you?"), Length(max=64)])
    password = PasswordField("Password", validators=[DataRequired("The password is missing"), Length(max=1000)])
    stay = BooleanField("Stay signed in on this machine")


class NewPassword(FlaskForm):  # type: ignore[misc]
    password = PasswordField(
        "Password", validators=[Length(PASSWORD_LEAST, 1000, f"A password has at least {PASSWORD_LEAST} characters")]
    )
    again = PasswordField("The same again", validators=[EqualTo("password", "The two are not the same")])


class FirstAdmin(NewPassword):
    name = StringField("Name", validators=[DataRequired("Choose a name"), Length(max=64)])


def install(app: Flask) -> None:
    """Let *app* know people."""
    manager.init_app(app)
    app.extensions["brender-paces"] = Paces()
    app.register_blueprint(blueprint)


@manager.user_loader  # type: ignore[untyped-decorator]
def _load(id: str) -> User | None:
    name, _, stamp = id.partition("\n")
    if name == _GUEST and _same(stamp, _guest_stamp()):
        # A guest looks around until there is somebody who could let them in.
        return None if there_are_users() else _guest()
    found = _user(name)
    return found if found is not None and _same(found._stamp, stamp) else None


@manager.request_loader  # type: ignore[untyped-decorator]
def _from_request(request: Request) -> User | None:
    """Who a program is that shows a token, or whom the reverse proxy says that somebody is."""
    settings = farm().settings
    if (
        settings.login_header
        and settings.proxies.trust(request.remote_addr or "")
        and (name := request.headers.get(settings.login_header))
    ):
        found = _user(name)
        if found is None:
            raise Forbidden(f"There is no user {name!r} here: an admin has to make one first")
        return found
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret:
        return None
    return _user(owner_of(secret.strip()))


@manager.unauthorized_handler  # type: ignore[untyped-decorator]
def _sign_in_first() -> Response:
    return redirect(url_for("people.login", next=request.full_path if request.query_string else request.path))


def _user(name: str) -> User | None:
    """Return the user *name*, where there is one who may come in."""
    try:
        with farm().reader.record() as record:
            row = record.tables.User.get_or_none(name=name)
    except BrenderError:
        return None
    if row is None or row.disabled is not None:
        return None
    return User(row.name, Role(row.role), hashlib.sha256(row.password.encode()).hexdigest()[:16])


def _guest() -> User:
    return User(_GUEST, Role.VIEWER, _guest_stamp(), is_guest=True)


def _guest_stamp() -> str:
    """Return a mark of the link that let a guest in: another one, at the dashboard's next start, ends their session."""
    return "guest " + hashlib.sha256(farm().settings.setup.encode()).hexdigest()[:16]


def there_are_users() -> bool:
    try:
        with farm().reader.record() as record:
            return bool(record.tables.User.select().exists())
    except BrenderError:
        return False


def still_signed_in(app: Flask, environ: dict[str, Any]) -> bool:
    """Return whether the sender of the earlier request *environ* would be let in now. Outside of any request."""
    with app.request_context(environ):
        try:
            return bool(current_user.is_authenticated)
        except HTTPException:
            return False


def need(action: str) -> None:
    """Check that the user of now may do *action*, for what the dashboard shows or keeps itself: what the server does, it is asked
    for, and says itself who may. Raises `Forbidden`."""
    if not current_user.may(action):
        raise NotAllowed(why_not(Actor(current_user.role), action, "") or "Sign in first: without an account you may not do that")


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> Response | str | tuple[str, int]:
    if current_user.is_authenticated:
        return redirect(_next())
    if not there_are_users():
        return render_template("login.html", form=None)
    form = SignIn()
    if not form.validate_on_submit():
        return render_template("login.html", form=form), 200 if request.method == "GET" else 400
    name = form.name.data.strip()
    if not may_try(name):
        raise TooManyRequests("Too many attempts: wait half a minute, then try again")
    with farm().reader.record() as record:
        row = record.tables.User.get_or_none(name=name)
    with _CHECKED_AT_ONCE:
        good = check_password_hash(row.password if row is not None else _NOBODY, form.password.data)
    found = _user(name) if good and row is not None else None
    if found is None:
        form.password.errors = [*form.password.errors, "Name and password do not fit together"]
        return render_template("login.html", form=form), 403
    paces_of_now().forgive(client_address(), name)
    session.clear()
    login_user(found, remember=form.stay.data)
    return redirect(_next())


@blueprint.route("/setup", methods=["GET", "POST"])
def setup() -> Response | str | tuple[str, int]:
    """The one-time link: who has it makes the first admin."""
    wanted, shown = farm().settings.setup, request.args.get("token", "")
    if there_are_users() or not wanted or not may_try("setup") or not _same(wanted, shown):
        raise Forbidden(
            "This link is not good (any more). Sign in, or start the dashboard again for a new one while there are no users"
        )
    form = FirstAdmin()
    if not form.validate_on_submit():
        return render_template("setup.html", form=form, token=shown), 200 if request.method == "GET" else 400
    try:
        with farm().own_client() as client:
            password = generate_password_hash(form.password.data)
            client.manage("set-user", name=form.name.data.strip(), role=Role.ADMIN.value, password=password, new=True)
    except BrenderError as error:
        form.name.errors = [*form.name.errors, str(error)]
        return render_template("setup.html", form=form, token=shown), 400
    found = _user(form.name.data.strip())
    assert found is not None, "the server has just made it"
    session.clear()
    login_user(found)
    return redirect(_next())


@blueprint.route("/look", methods=["GET", "POST"])
def look_around() -> Response:
    """With the one-time link one may also only look around, without an account."""
    wanted = farm().settings.setup
    if there_are_users() or not wanted or not may_try("setup") or not _same(wanted, request.values.get("token", "")):
        raise Forbidden("This link is not good (any more)")
    session.clear()
    login_user(_guest())
    return redirect(_next())


@blueprint.post("/logout")
def logout() -> Response:
    logout_user()
    session.clear()
    return redirect(url_for("people.login"))


@blueprint.route("/account", methods=["GET", "POST"])
def account() -> Response | str | tuple[str, int]:
    """One's own password and tokens."""
    form = NewPassword()
    if not form.validate_on_submit():
        return render_template("account.html", form=form), 200 if request.method == "GET" else 400
    farm().manage("set-user", name=current_user.name, password=generate_password_hash(form.password.data))
    found = _user(current_user.name)
    if found is not None:
        login_user(found)
    return redirect(url_for("people.account"))


def _same(one: str, other: str) -> bool:
    """Return whether they are the same, without telling by the clock how nearly they are."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def client_address() -> str:
    """Return the address that the request of now comes from, as the trusted proxies say."""
    return farm().settings.proxies.client(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""))


def paces_of_now() -> Paces:
    found: Paces = current_app.extensions["brender-paces"]
    return found


def may_try(name: str) -> bool:
    """Return whether one more attempt from the address of now for *name* is listened to."""
    paces = paces_of_now()
    address = client_address()
    if address == request.remote_addr and "X-Forwarded-For" in request.headers and not paces.warned:
        paces.warned = True
        log.warning(
            "a proxy at %s passes requests on and is not trusted, so all who sign in through it count as one address: name it "
            "with --proxy",
            address,
        )
    return paces.take(address, name)


def _next() -> str:
    """Return the page that somebody wanted to go to: a path of this site, and nothing else."""
    wanted = request.args.get("next", "")
    # Browsers leave out tabs and line ends, read \\ as /, and take what begins with two of these for another host.
    is_path = wanted.startswith("/") and not wanted.startswith("//")
    return wanted if is_path and wanted.isprintable() and "\\" not in wanted else url_for("pages.farm")

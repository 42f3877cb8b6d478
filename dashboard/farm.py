"""The application's connection to the farm: how to read it, and where to send actions and questions."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flask import current_app
from flask_login import current_user

from brender.bus.address import ServerAddresses
from brender.bus.client import Client
from brender.bus.keys import KeyPair
from brender.model.errors import Forbidden
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader
from dashboard.frame_files import FrameFiles
from dashboard.proxies import Proxies
from dashboard.pulse import Pulse
from dashboard.stream import Stream
from dashboard.uploads import Uploads

ACTION_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """How the dashboard is served. ``smtp`` and ``mail_from``: the mail server (HOST:PORT) that notifications go through, and
    who they come from; ``public_url``: what others reach the dashboard by. ``setup``: the secret of the link that makes the
    first admin. ``proxy``: the addresses of reverse proxies whose X-Forwarded-For is believed; ``login_header``: the header by
    which one of them, or one on this machine if none is named, says who a user is; "": no proxy does. ``secure``: it is
    reached by HTTPS. ``upload_quota`` and ``upload_total``: bytes of uploads that it keeps of one user and of all, 0: any;
    ``keep_free``: bytes of the disk that uploads leave free."""

    setup: str = ""
    login_header: str = ""
    proxy: tuple[str, ...] = ()
    secure: bool = False
    loopback_only: bool = True
    smtp: str = ""
    mail_from: str = ""
    public_url: str = ""
    upload_quota: int = 100 * 10**9
    upload_total: int = 500 * 10**9
    keep_free: int = 2 * 10**9

    @cached_property
    def proxies(self) -> Proxies:
        """The trusted proxies. Raises `BadInput`."""
        return Proxies.parse(self.proxy or (("127.0.0.1",) if self.login_header else ()))


@dataclass(frozen=True)
class Farm:
    reader: Reader
    server: ServerAddresses
    pair: KeyPair
    folder: DataFolder
    stream: Stream
    pulse: Pulse
    uploads: Uploads
    files: FrameFiles
    settings: Settings = field(default_factory=Settings)

    def client(self) -> Client:
        """Return a connection to the server, for one request, on behalf of the user of now. Raises `Forbidden` without one."""
        if not current_user.is_authenticated or current_user.is_guest:
            raise Forbidden("Who has no account changes nothing: sign in")
        return Client(self.server, self.pair, ACTION_SECONDS, user_name())

    def own_client(self) -> Client:
        """Return a connection to the server as the dashboard itself, for one request: while there are no users yet."""
        return Client(self.server, self.pair, ACTION_SECONDS)

    def question_client(self) -> Client:
        """Return a connection as `own_client` does, for a question of a page. Raises `Unreachable` at once while the server is
        silent: pages ask often, and each would wait."""
        self.pulse.check()
        return self.own_client()

    def manage(self, what: str, **arguments: Any) -> Any:
        """Have the server do *what*, on behalf of the user of now (`Manage` lists what there is)."""
        with self.client() as client:
            return client.manage(what, **arguments, by=user_name())  # (``by``: for a server of an earlier version)


def farm() -> Farm:
    found: Farm = current_app.extensions["brender"]
    return found


def user_name() -> str:
    """Who asks."""
    return str(getattr(current_user, "name", ""))

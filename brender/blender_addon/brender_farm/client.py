"""What the add-on says to a farm: the HTTP API of its dashboard. No bpy here: it runs in threads beside Blender."""

import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

_CONNECT_SECONDS = 10.0
#: A farm may have much to do before it answers: it reads a large scene, or takes in an upload.
_ANSWER_SECONDS = 600.0
_BLOCK = 2**18
_OFFERED_AT_ONCE = 500
_OLDER = "The farm is older than this add-on, and does not know what it sends: download its own from {address}/submit"
#: What a proxy, or the dashboard, answers while the farm behind it is away.
_AWAY = (502, 503, 504)
PREFIX = "/api/v1"
WHERE = "Preferences, Add-ons, brender"

Progress = Callable[[int, int], None]

#: What is said of a token that was good until lately.
EXPIRED = f"Your token for this farm has expired, by its date or for want of use: sign in again, under {WHERE}"


class FarmError(Exception):
    """What went wrong, as a sentence for an artist. ``code`` is the farm's word for what kind of problem it is, or "" if it did
    not say."""

    def __init__(self, said: str, code: str = "") -> None:
        super().__init__(said)
        self.code = code

    @property
    def is_unknown_there(self) -> bool:
        """Whether the farm is older than what it was asked for."""
        return self.code in ("404", "405")


class Away(FarmError):
    """The farm does not answer: what it was asked for can be tried again later."""


class SignedOut(FarmError):
    """The farm does not take the token: it has expired, or was revoked."""


class Canceled(FarmError):
    """The artist, or Blender's end, stopped what was going on."""


class Farm:
    """The farm whose dashboard is at *address*, asked with *token*. Each call has a connection of its own."""

    def __init__(self, address: str, token: str) -> None:
        self.address = checked_address(address)
        self._token = token
        self._stopped = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        #: What an artist who stops it is told.
        self.stopped_words = "Stopped: nothing is submitted"
        #: Whether it was stopped by Blender's end, and not by the artist.
        self.is_interrupted = False

    def stop(self) -> None:
        """Have what is being sent or fetched end with `Canceled`, also while the farm does not answer."""
        self._stopped.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):  # (it has ended meanwhile)
                connection.sock.shutdown(socket.SHUT_RDWR)

    def check_stopped(self) -> None:
        """Raises `Canceled` once `stop` was called."""
        if self._stopped.is_set():
            raise Canceled(self.stopped_words)

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the farm answers at *path*: to a GET, or to a POST of *body*. Raises `FarmError`."""
        self.check_stopped()
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        with self._answer("GET" if content is None else "POST", path, content, headers) as answer:
            return self._understood(answer.read())

    def offer(self, files: Sequence[tuple[str, str]], into: str) -> tuple[str, list[tuple[str, str]]]:
        """Offer *files* (each the path that it has in the upload, and where it is here) by their content to the upload *into*
        ("": a new one); return the upload, and those of the files that the farm lacks. Raises `FarmError`."""
        lacked: set[str] = set()
        for start in range(0, len(files), _OFFERED_AT_ONCE):
            offered = []
            for name, path in files[start : start + _OFFERED_AT_ONCE]:
                size, digest = digest_of(path, self.check_stopped)
                offered.append({"path": name, "digest": digest, "size": size})
            try:
                told = self.ask("/uploads/offer", {"upload": into, "files": offered})
            except FarmError as error:
                if error.is_unknown_there:
                    return into, list(files)
                raise
            into = told["upload"]
            lacked.update(told["lacks"])
        return into, [each for each in files if each[0] in lacked]

    def upload(self, files: Sequence[tuple[str, str]], into: str, progress: Progress) -> Any:
        """Send *files* (as `offer` takes them) to the upload *into* ("": a new one); *progress* hears bytes sent and bytes in
        all. Raises `FarmError`."""
        boundary = uuid.uuid4().hex
        parts = []
        for name, path in files:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{quoted}"\r\n\r\n'.encode()
            parts.append((head, path, _size(path)))
        end = f"--{boundary}--\r\n".encode()
        whole = sum(len(head) + size + 2 for head, _, size in parts) + len(end)
        # Asked first: an answer that comes while a large body is on its way is not always seen.
        self.ask(f"/uploads?more={whole}")  # (the farm says whether it has room)
        body = self._pieces(parts, end, whole, progress)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(whole)}
        with self._answer("POST", f"/uploads?upload={into}" if into else "/uploads", body, headers) as answer:
            return self._understood(answer.read())

    def download(self, path: str, target: str, progress: Progress) -> None:
        """Write what is at *path* to the file *target*, whole or not at all. Raises `FarmError`."""
        made = f"{target}.part"
        done = 0
        try:
            with self._answer("GET", path, None, {}) as answer, open(made, "wb") as file:
                whole = int(answer.headers.get("Content-Length") or 0)
                while block := answer.read(_BLOCK):
                    self.check_stopped()
                    file.write(block)
                    done += len(block)
                    progress(done, whole)
            if done < whole:
                self.check_stopped()
                raise Away(f"The farm at {self.address} went away in the middle of a file: try it again")
            os.replace(made, target)
        except OSError as error:
            raise FarmError(f"{target} cannot be written: {error.strerror or error}") from error
        finally:
            if os.path.exists(made):
                os.unlink(made)

    def _pieces(self, parts: Any, end: bytes, whole: int, progress: Progress) -> Any:
        sent = 0
        for head, path, size in parts:
            yield head
            left = size
            try:
                with open(path, "rb") as file:
                    while left:
                        self.check_stopped()
                        block = file.read(min(_BLOCK, left))
                        if not block:
                            raise FarmError(f"{path} became shorter while it was sent: nothing is submitted")
                        left -= len(block)
                        sent += len(block)
                        yield block
                        progress(sent, whole)
            except OSError as error:
                # (A lost connection raises where the block is sent, not here.)
                raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error
            yield b"\r\n"
        yield end

    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> "_Answer":
        where = urlsplit(self.address)
        secure = where.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(where.hostname or "", where.port, timeout=_CONNECT_SECONDS)
        connected = False
        try:
            connection.connect()
            connected = True
            connection.sock.settimeout(_ANSWER_SECONDS)
            self._connection = connection
            self.check_stopped()
            shown = {"Accept": "*/*", **headers}
            if self._token:
                shown["Authorization"] = f"Bearer {self._token}"
            connection.request(method, where.path.rstrip("/") + PREFIX + path, body, shown)
            answer = connection.getresponse()
        except FarmError:
            connection.close()
            raise
        except ssl.SSLError as error:
            connection.close()
            self.check_stopped()
            raise FarmError(f"{self.address} cannot be trusted, or speaks no HTTPS: {error.reason or error}") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.check_stopped()
            why = "it took too long" if isinstance(error, socket.timeout) else getattr(error, "strerror", None) or error
            if connected:
                said = f"The farm at {self.address} went away while it was asked ({why}): try it again"
            else:
                plain = ", perhaps with http:// in place of https://" if secure else ""
                said = f"No farm answers at {self.address} ({why}): is the address right{plain}, and the farm on? {WHERE}"
            raise Away(said) from error
        if answer.status != 200:
            with _Answer(connection, answer, self) as told:
                raise self._refused(told)
        return _Answer(connection, answer, self)

    def _refused(self, answer: "_Answer") -> FarmError:
        """Return the error that the *answer* means, one that is no 200."""
        if answer.status == 401:
            return SignedOut(self._why_signed_out(answer), "401")
        if 300 <= answer.status < 400:
            to = answer.headers.get("Location") or ""
            farm, _, asked = to.partition(PREFIX)
            is_elsewhere = urlsplit(to)[:2] != urlsplit(self.address)[:2]  # (with https in place of http too)
            if to.startswith(("http://", "https://")) and is_elsewhere:
                meant = f"enter {farm}" if asked else "enter the address of that farm"
                return FarmError(f"{self.address} leads on to {to}: {meant} under {WHERE}")
            return self._not_a_farm("does not answer as")
        said = answer.read(2**20)
        try:
            told = json.loads(said)
            words, code = str(told.get("error_description") or told["error"]), str(told.get("code", ""))
            if "unknown field" in words:
                return FarmError(f"{_OLDER.format(address=self.address)} ({words})", "405")
            return Away(words, code) if answer.status in _AWAY else FarmError(words, code)
        except (ValueError, KeyError, TypeError, AttributeError):
            kind = Away if answer.status in _AWAY else FarmError
            return kind(str(self._not_a_farm(f"answers {answer.status}, and not as")))

    @staticmethod
    def _why_signed_out(answer: "_Answer") -> str:
        try:
            is_expired = json.loads(answer.read(2**20)).get("code") == "token-expired"
        except (ValueError, AttributeError):
            is_expired = False
        if is_expired:
            return EXPIRED
        return f"The farm does not know your token (any more): sign in again, under {WHERE}"

    def _understood(self, said: bytes) -> Any:
        try:
            return json.loads(said)
        except ValueError as error:
            raise self._not_a_farm("does not answer as") from error

    def _not_a_farm(self, does: str) -> FarmError:
        """Return the error that the address is of something else, or of a page of the farm; *does*: what it does instead."""
        where = urlsplit(self.address)
        whole = f"{where.scheme}://{where.netloc}" if where.path else ""
        advice = f"if {where.path} is a page of the farm, enter {whole} alone" if whole else "check the address"
        return FarmError(f"{self.address} {does} a brender farm does: {advice} under {WHERE}")


class _Answer:
    """A farm's answer, and the connection that it comes by, for a ``with`` statement. A connection that breaks raises
    `FarmError`."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, farm: Farm) -> None:
        self._connection = connection
        self._answer = answer
        self._farm = farm
        self.status = answer.status
        self.headers = answer.headers

    def __enter__(self) -> "_Answer":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def read(self, most: "int | None" = None) -> bytes:
        try:
            return self._answer.read() if most is None else self._answer.read(most)
        except (OSError, http.client.HTTPException) as error:
            self._farm.check_stopped()
            raise Away(f"The farm at {self._farm.address} went away in the middle of its answer: try it again") from error


def checked_address(address: str) -> str:
    """Return *address* with its scheme, without a slash or a page's parameters at its end. Raises `FarmError`."""
    given = address.strip()
    if not given:
        raise FarmError(f"No farm is named: enter the address of its page under {WHERE}")
    whole = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(whole)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known or any(letter.isspace() for letter in whole):
        raise FarmError(f"{address!r} is not the address of a page, such as http://farm.example:8888: see {WHERE}")
    return whole.partition("?")[0].partition("#")[0].rstrip("/")


def is_own_machine(address: str) -> bool:
    """Return whether *address* is of this machine itself."""
    host = urlsplit(checked_address(address)).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


_digests: dict[tuple[str, int, int], str] = {}


def digest_of(path: str, check: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """Return the size of the file at *path* and the SHA-256 of its content; *check* is called now and then. Raises
    `FarmError`."""
    try:
        stat = os.stat(path)
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            made = hashlib.sha256()
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    check()
                    made.update(block)
            _digests[key] = made.hexdigest()
        return stat.st_size, _digests[key]
    except OSError as error:
        raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise FarmError(f"{path} cannot be read: {error.strerror or error}") from error


def unlike(farm: Farm, error: Exception) -> FarmError:
    """Return the error that an answer of *farm* without what is needed (a `KeyError` or such) means."""
    return FarmError(
        f"The farm is of another version than this add-on, which misses {error} there: download it again from {farm.address}"
    )

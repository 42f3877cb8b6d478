"""Telling people: by e-mail and by asking a web address, when a job is completed, has failed, or needs somebody.

The dashboard does it, since it hears what happens; of several on one farm, each that has the settings for it.
"""

import json
import logging
import queue
import smtplib
import threading
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from brender import __version__
from brender.model.errors import BrenderError
from brender.store import page_questions, questions
from brender.store.reader import Reader
from dashboard.farm import Settings

log = logging.getLogger("brender.dashboard")

_TRIES = 3
_TRY_AGAIN_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_WAITING_MOST = 1000
_REMEMBERED = 10_000


@dataclass(frozen=True)
class News:
    """What there is to tell of a job: ``event`` is ``completed``, ``failed`` or ``attention``."""

    event: str
    job: str
    name: str
    project: str
    status: str
    reason: str
    url: str

    @property
    def sentence(self) -> str:
        word = "needs somebody" if self.event == "attention" else f"is {self.status}"
        return " ".join((f"{self.name} {word}" + (f": {self.reason}" if self.reason else "")).split())


def news_of(job: dict[str, Any], fields: dict[str, Any], url: str) -> News | None:
    """What there is to tell after *fields* of the *job* changed; ``None``: nothing."""
    status, reason = str(fields.get("status", "")), str(fields.get("reason", ""))
    if status in ("completed", "failed"):
        event = status
    elif status == "queued" and reason.startswith("No worker can run it"):
        event = "attention"
    elif "warnings" in fields and any(str(text).startswith("Missing file") for text in fields["warnings"]):
        event, reason = "attention", "files are missing"
    else:
        return None
    return News(event, job["id"], job["name"], job["project"], job["status"], reason or job["reason"], f"{url}jobs/{job['id']}")


class Notifier:
    """Looks who wants to be told in the record of *reader*, and tells them as *settings* say. *url*: where the dashboard is."""

    def __init__(self, reader: Reader, settings: Settings, url: str) -> None:
        self._reader = reader
        self._settings = settings
        self._url = settings.public_url.rstrip("/") + "/" if settings.public_url else url
        self._waiting: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue(_WAITING_MOST)
        self._told: OrderedDict[tuple[str, str], str] = OrderedDict()
        threading.Thread(target=self._work, name="brender-notify", daemon=True).start()

    def hear(self, job: str, fields: dict[str, Any]) -> None:
        """Something of *job* has changed. From any thread; does not wait."""
        if "status" in fields or "warnings" in fields:
            try:
                self._waiting.put_nowait((job, fields))
            except queue.Full:
                log.warning("too much to tell; of the job %s nobody is told", job)

    def _work(self) -> None:
        while True:
            job, fields = self._waiting.get()
            try:
                self._tell(job, fields)
            except Exception:
                log.exception("nobody could be told of the job %s", job)

    def _tell(self, job: str, fields: dict[str, Any]) -> None:
        try:
            with self._reader.record() as record:
                known = questions.job(record, job)
                wanted = page_questions.subscriptions(record)
        except BrenderError:
            return
        news = news_of(known, fields, self._url)
        if news is None or self._told.get((job, news.event)) == news.reason:
            return
        self._told[job, news.event] = news.reason
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        for each in wanted:
            if news.event in each["events"] and each["project"] in ("", news.project):
                how: Callable[[str, News], None] = self._mail if each["kind"] == "email" else _ask
                _try(how, each["target"], news)

    def _mail(self, target: str, news: News) -> None:
        if not self._settings.smtp:
            raise OSError("no mail server is named (brender-dashboard --smtp)")
        message = EmailMessage()
        message["From"] = self._settings.mail_from or "brender@localhost"
        message["To"] = target
        message["Subject"] = news.sentence[:200]
        message.set_content(f"{news.sentence}\n\n{news.url}\n")
        host, _, port = self._settings.smtp.partition(":")
        with smtplib.SMTP(host, int(port or 25), timeout=_ANSWER_SECONDS) as server:
            server.send_message(message)


def _ask(target: str, news: News) -> None:
    """Post *news* to the web address *target*, as JSON; ``text`` is the sentence, as chat programs take it."""
    told = {"event": news.event, "text": f"{news.sentence} {news.url}", "job": news.job, "name": news.name}
    told |= {"project": news.project, "status": news.status, "reason": news.reason, "url": news.url}
    headers = {"Content-Type": "application/json", "User-Agent": f"brender/{__version__}"}
    request = urllib.request.Request(target, json.dumps(told).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):  # nosec B310
        pass


def _try(how: Callable[[str, News], None], target: str, news: News) -> None:
    for number in range(_TRIES):
        try:
            how(target, news)
            return
        except OSError as error:
            log.warning("%s could not be told that %s: %s", target, news.sentence, error)
            if number + 1 < _TRIES:
                time.sleep(_TRY_AGAIN_SECONDS)

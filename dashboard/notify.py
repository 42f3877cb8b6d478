"""Telling people by e-mail when a job is completed, has failed, or needs somebody.

The dashboard does it, since it has the settings for mail; of several on one farm, each that has. Web addresses and programs are
told by the server (brender.roles.server.hooks).
"""

import logging
import queue
import smtplib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from typing import Any

from brender.model.errors import BrenderError
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.job import MISSING_AT_WORKER
from brender.store import page_questions, questions
from brender.store.reader import Reader
from dashboard.deliveries import Deliveries
from dashboard.farm import Settings

log = logging.getLogger("brender.dashboard")

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
    """Return what there is to tell after *fields* of the *job* changed; ``None``: nothing."""
    status, reason = str(fields.get("status", "")), str(fields.get("reason", ""))
    if status in ("completed", "failed"):
        event = status
    elif status == "queued" and reason.startswith(NEEDS_SOMEBODY):
        event = "attention"
    elif "warnings" in fields and any(MISSING_AT_WORKER in str(text) for text in fields["warnings"]):
        event, reason = "attention", "files are missing"
    else:
        return None
    status = status or job["status"]
    return News(event, job["id"], job["name"], job["project"], status, reason or job["reason"], f"{url}jobs/{job['id']}")


class Notifier:
    """Looks who wants to be told in the record of *reader*, and tells them as *settings* say. *url*: where the dashboard is."""

    def __init__(self, reader: Reader, settings: Settings, url: str) -> None:
        self._reader = reader
        self._settings = settings
        self._url = settings.public_url.rstrip("/") + "/" if settings.public_url else url
        self._waiting: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue(_WAITING_MOST)
        #: Of each job and event the occasion that was told: when the job ended, or why it needs somebody.
        self._told: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._deliveries = Deliveries()
        threading.Thread(target=self._work, name="brender-notify", daemon=True).start()

    def hear(self, job: str, fields: dict[str, Any]) -> None:
        """Something of *job* has changed. From any thread; does not wait."""
        if "status" in fields or "warnings" in fields:
            try:
                self._waiting.put_nowait((job, fields))
            except queue.Full:
                log.warning("too many notifications wait: none is sent about the job %s", job)

    def _work(self) -> None:
        while True:
            job, fields = self._waiting.get()
            try:
                self._tell(job, fields)
            except Exception:
                log.exception("a notification about the job %s could not be sent", job)

    def _tell(self, job: str, fields: dict[str, Any]) -> None:
        try:
            with self._reader.record() as record:
                known = questions.job(record, job)
                wanted = page_questions.subscriptions(record)
        except BrenderError:
            return
        news = news_of(known, fields, self._url)
        if news is None:
            return
        # A job that was queued again ends again, at another time.
        occasion = news.reason if news.event == "attention" else fields.get("finished") or known["finished"]
        if self._told.get((job, news.event)) == occasion:
            return
        self._told[job, news.event] = occasion
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        for each in wanted:
            if each["kind"] == "email" and news.event in each["events"] and each["project"] in ("", news.project):
                # All letters go through one mail server.
                target = each["target"]
                self._deliveries.put("email", partial(self._mail, target, news), f"{target} that {news.sentence}")

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

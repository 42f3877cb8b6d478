"""The activity log: who did what, and when. Pure."""

from collections.abc import Callable

from brender.farm.farm import Farm
from brender.roles.effects import Effect, LogEvent, Now, Peer


class ActivityLog:
    """Writes entries into the ledger of *farm*, and lets the server's log say the same."""

    def __init__(self, farm: Farm, emit: Callable[[Effect], None]) -> None:
        self.farm = farm
        self.emit = emit
        self.by: Peer | None = None
        """The sender of the message that is handled now; ``None`` where it is no message."""

    @property
    def user(self) -> str:
        """The user who sent the message that is handled now, or "" if there is none."""
        return self.by.user if self.by is not None else ""

    def note(self, now: Now, action: str, text: str, job: str = "", user: str = "", worker: str = "") -> None:
        """Write an entry: as done by the sender of the message that is handled now, where there is one."""
        fields = {
            "wall": now.wall,
            "user": user or self.user,
            "principal": self.by.principal if self.by is not None else "",
            "origin": self.by.origin if self.by is not None else "",
            "action": action,
            "job": job,
            "worker": worker,
            "text": text,
        }
        self.farm.ledger.insert("activity", self.farm.next_activity, fields)
        self._log(action, text, job, str(fields["user"]), worker)
        self.farm.next_activity += 1

    def _log(self, action: str, text: str, job: str, user: str, worker: str) -> None:
        """Log what the activity log says, with the job's name and who did it."""
        known = self.farm.jobs.get(job)
        about = f"{known.spec.name}: " if known is not None and known.spec.name not in text else ""
        given = {"job": job, "worker": worker, "user": user}
        fields: dict[str, str] = {each: value for each, value in given.items() if value}
        self.emit(LogEvent(action, {"text": f"{about}{text}{f', by {user}' if user else ''}", **fields}))

"""Every metric that a role exports, in one table. Pure.

Labels have few values, which the code knows: no ids, and no names that people or machines have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from brender import __version__
from brender.model.bus_figures import Link

Value = float | Mapping[tuple[str, ...], float]
#: By name of a family, its value, or one for each combination of its labels' values.
Values = dict[str, Value]

BUS = ("server", "manager", "worker")
ALL = (*BUS, "dashboard")


@dataclass(frozen=True)
class Family:
    """A metric. ``roles``: those that export it."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    roles: tuple[str, ...] = ALL

    @property
    def is_counter(self) -> bool:
        return self.name.endswith("_total")


_SERVER, _MANAGER, _WORKER, _DASHBOARD = ("server",), ("manager",), ("worker",), ("dashboard",)

FAMILIES = {
    family.name: family
    for family in (
        Family("brender_info", "1, with the role and its version.", ("role", "version")),
        Family("brender_start_time_seconds", "When the role started, in seconds since 1970."),
        Family("brender_ready", "1 if the role is ready, as /readyz says it; else 0."),
        Family("brender_loop_age_seconds", "How long ago the role's loop turned last."),
        Family("brender_disk_free_bytes", "Free bytes of the disk that the data folder is on."),
        Family("brender_disk_bytes", "All bytes of that disk."),
        Family("brender_loop_rounds_total", "Rounds of the role's loop.", roles=BUS),
        Family("brender_loop_busy_seconds_total", "Seconds that these rounds took, without the waits between them.", roles=BUS),
        Family("brender_bus_messages_total", "Messages that passed through a socket.", ("link", "direction", "type"), BUS),
        Family("brender_bus_bytes_total", "Bytes that passed through a socket.", ("link", "direction"), BUS),
        Family("brender_bus_unsent_messages_total", "Messages that ZeroMQ did not take.", ("link",), BUS),
        Family("brender_bus_malformed_messages_total", "Messages that could not be decoded.", ("link",), BUS),
        Family("brender_bus_connections", "Connections that stand now.", ("link",), BUS),
        Family("brender_bus_connections_made_total", "Connections that were made.", ("link",), BUS),
        Family("brender_bus_connections_lost_total", "Connections that ended.", ("link",), BUS),
        Family("brender_bus_handshakes_failed_total", "Handshakes that failed.", ("link", "reason"), BUS),
        Family("brender_bus_refusals_total", "Messages that were refused at the role's doors.", roles=("server", "manager")),
        Family("brender_jobs", "Unfinished jobs, by status.", ("status",), _SERVER),
        Family("brender_jobs_submitted_total", "Jobs that were accepted since the server's start.", roles=_SERVER),
        Family("brender_jobs_ended_total", "Jobs that ended, by how.", ("status",), _SERVER),
        Family(
            "brender_oldest_queued_job_age_seconds", "Age of the oldest job that nothing has started of; 0: none.", (), _SERVER
        ),
        Family("brender_tasks", "Unfinished tasks: queued, granted to a worker, or active there.", ("status",), _SERVER),
        Family("brender_attempts_ended_total", "Attempts that ended, by their outcome.", ("outcome",), _SERVER),
        Family(
            "brender_frames_completed_total", "Frames that are done, without pieces of stills, copies and films.", roles=_SERVER
        ),
        Family("brender_frames_failed_total", "Frames that are given up, since their task failed too often.", roles=_SERVER),
        Family("brender_frames_unplaced", "Finished frames that are not in their jobs' folders yet.", roles=_SERVER),
        Family("brender_machine_seconds_total", "Seconds that workers spent on attempts that have ended.", roles=_SERVER),
        Family("brender_workers", "Workers, by status; those that are offline but for forgotten ones.", ("status",), _SERVER),
        Family("brender_workers_asleep", "Workers that are there and that their schedule lets sleep.", roles=_SERVER),
        Family("brender_managers", "Managers, likewise.", ("status",), _SERVER),
        Family("brender_record_commits_total", "Transactions that the server has written.", roles=_SERVER),
        Family("brender_record_rows_total", "Rows that were in them.", roles=_SERVER),
        Family("brender_record_writable", "1 while the record can be written; else 0.", roles=_SERVER),
        Family("brender_backup_failed", "1 if the last backup of the record could not be made; else 0.", roles=_SERVER),
        Family("brender_backup_made_timestamp_seconds", "When the newest backup was made, since 1970.", roles=_SERVER),
        Family("brender_managed_workers", "Workers that the manager has.", roles=_MANAGER),
        Family("brender_held_attempts", "Attempts that are held, begun or not; by a manager those of its workers.", (), BUS[1:]),
        Family("brender_round_trip_seconds", "From the last request for the lease to its answer.", roles=BUS[1:]),
        Family("brender_worker_rendering", "1 while an attempt runs; else 0.", roles=_WORKER),
        Family("brender_worker_frames_total", "Frames that this worker has finished.", roles=_WORKER),
        Family("brender_worker_frame_seconds_total", "Seconds that these took.", roles=_WORKER),
        Family(
            "brender_worker_attempts_total", "Attempts that ended here, by how: done, failed, stopped.", ("outcome",), _WORKER
        ),
        Family("brender_outbox_reports", "Reports that the server has not acknowledged.", roles=_WORKER),
        Family("brender_reports_resent_total", "Reports that were sent more than once.", roles=_WORKER),
        Family("brender_server_silent_seconds", "How long the server has not answered; 0: it does.", roles=_DASHBOARD),
        Family("brender_database_readable", "1 if the farm's database can be read; else 0.", roles=_DASHBOARD),
    )
}


def info(role: str, started: float) -> Values:
    """Return what every role exports of itself. *started*: seconds since 1970."""
    return {"brender_info": {(role, __version__): 1.0}, "brender_start_time_seconds": started}


def of_the_bus(links: tuple[Link, ...], rounds: tuple[int, float, float]) -> Values:
    """Return what a role exports of its *links* and of its loop's *rounds* (`Loop.rounds`). Links of one name count as one."""
    count, seconds, _ = rounds
    messages: dict[tuple[str, ...], float] = {}
    bytes_passed: dict[tuple[str, ...], float] = {}
    plain: dict[str, dict[tuple[str, ...], float]] = {}
    failed: dict[tuple[str, ...], float] = {}
    for link in links:
        for direction, counts in (("sent", link.sent), ("received", link.received)):
            for kind, number in counts.items():
                _add(messages, (link.name, direction, kind), number)
        _add(bytes_passed, (link.name, "sent"), link.bytes_sent)
        _add(bytes_passed, (link.name, "received"), link.bytes_received)
        for name, value in (
            ("brender_bus_unsent_messages_total", link.unsent),
            ("brender_bus_malformed_messages_total", link.malformed),
            ("brender_bus_connections", link.peers),
            ("brender_bus_connections_made_total", link.connected),
            ("brender_bus_connections_lost_total", link.lost),
        ):
            _add(plain.setdefault(name, {}), (link.name,), value)
        _add(failed, (link.name, "refused by key"), link.refused)
        _add(failed, (link.name, "other"), link.failed)
    return {
        "brender_loop_rounds_total": count,
        "brender_loop_busy_seconds_total": seconds,
        "brender_bus_messages_total": messages,
        "brender_bus_bytes_total": bytes_passed,
        "brender_bus_handshakes_failed_total": failed,
        **plain,
    }


def _add(to: dict[tuple[str, ...], float], labels: tuple[str, ...], number: float) -> None:
    to[labels] = to.get(labels, 0.0) + number

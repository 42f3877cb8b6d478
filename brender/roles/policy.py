"""The numbers by which roles decide. One frozen record; tests and sites choose their own."""

from dataclasses import dataclass

from brender.farm.refusals import RESTS_AFTER
from brender.model.beginning import NIGHT
from brender.model.failure_patterns import FailurePattern
from brender.model.farm_file import Said
from brender.model.power import NO_PLAN, PowerPlan


@dataclass(frozen=True)
class Policy:
    """Times in seconds."""

    heartbeat: float = 2.0
    """A node beats this often."""
    lease: float = 30.0
    """A node that was not heard for this long is lost."""
    suspicion: float = 7.0
    """A node that was not heard for this long is asked."""
    resend: float = 5.0
    """What was not confirmed is sent again after this long."""
    tries: int = 3
    """Attempts of one task that may fail before the task has failed."""
    losses: int = 10
    """Workers that may be lost while they run one task before the task has failed: it may be what kills them."""
    failure_limit: int = 30
    """Attempts of one job that may fail in a row, with no frame done between, before the job is stopped."""
    failure_window: int = 60
    """So many attempts of a job, the last ones, are looked at for how many failed."""
    failure_share: float = 0.75
    """The job is stopped where more than this share of them failed."""
    strikes: int = 3
    """Attempts of one job that may fail in a row at one worker before it is kept off that job."""
    drain_after: int = 3
    """Tasks that may fail in a row at one worker, and be completed by others, before the worker is drained; 0: any."""
    retry: float = 1.0
    """The first retry waits this long, each further one twice as long."""
    retry_most: float = 60.0
    memory_retry: float = 15.0
    """A worker whose GPU, or machine, had too little memory for a job that nobody else can run tries it again after this long,
    each further time after four times as long."""
    memory_retry_most: float = 60.0
    put_off: float = 60.0
    """A worker that cannot use a job's folders, which are full or do not answer, tries again after this long, each further time
    after twice as long."""
    put_off_most: float = 600.0
    refusals: int = RESTS_AFTER
    """Workers in a row that cannot begin a job now, before it rests (`brender.farm.refusals`)."""
    lacking: int = 20
    """Workers in a row whose machines lack what a job needs, before it ends and the others are not asked: a small farm asks all,
    of which the last may be the one that has it."""
    plan_slice: int = 1000
    """Tasks that are created, or loaded, in one tick."""
    plan_ahead: int = 4000
    """Queued tasks of one job that are kept in memory."""
    largest_file: int = 0
    """Bytes of a file that a client may send at most; 0: any."""
    least_free: int = 10**9
    """Bytes of the server's disk that files which clients send leave free."""
    cache_bytes: int = 20 * 2**30
    """What a manager, and the workers of one data folder, keep of files; those that were used least lately go first."""
    link_files: bool = True
    """Nodes on the same machine may take files by links."""
    blobs_keep: float = 30 * 86400.0
    """Files that were sent for a job are kept for so long after its end."""
    only_job: str = ""
    """A farm that runs for one render takes the job with this id and those of renders that were begun after it, and leaves others
    alone; "" if it renders all."""
    only_workers: int = 0
    """The workers that a farm for one job has: once so many are there, a job that none of them can run has failed."""
    night: str = NIGHT
    """The hours of the week in which jobs run that are for the night, as a schedule."""
    failure_patterns: tuple[FailurePattern, ...] = ()
    """The farm's own patterns of lines that mean failure."""
    hook_programs: tuple[str, ...] = ()
    """What hooks may run on the server's machine, by whole paths."""
    farm_tables: tuple[Said, ...] = ()
    """What the settings file says of shares, limits, licences and pools."""
    power: PowerPlan = NO_PLAN
    """Which machines sleep while they are idle, and how."""
    stats_record: float = 60.0
    """One row of statistics covers this long."""
    stats_keep: float = 7 * 86400.0
    """Statistics are kept for so long."""
    sign_in_days: float = 90.0
    """A program that was signed in by a code is signed out when it was not used for so many days; 0: never."""
    activity_keep: float = 365 * 86400.0
    """The activity log is kept for so long."""


def renewal_interval(left: float, lease: float) -> float:
    """Seconds between two requests for a lease of *lease* seconds of which *left* are left: now and then while it is long, soon
    again while it has run out (its parent may not have had its own yet), since frames wait for it."""
    return lease / 4 if left > lease / 4 else min(0.5, lease / 8)

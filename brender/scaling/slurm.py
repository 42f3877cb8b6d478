"""The provider of workers that are jobs of Slurm: one allocation a worker."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from brender.model.errors import BadInput
from brender.model.text import harmless
from brender.scaling.allocation_script import allocation_script
from brender.scaling.decisions import duration
from brender.scaling.fleet import Allocation
from brender.scaling.local import NOT_FOR_WORKERS, OWN_COMMAND
from brender.scaling.provider import FleetSettings, ProviderRefused

#: Seconds that one of Slurm's commands may take.
_PATIENCE = 60.0
#: What Slurm calls a job that has not begun, and one that has and is not over.
_WAITS = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING"}
_RUNS = {"RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"}
#: A time limit as sbatch takes it: minutes, minutes:seconds, or [days-]hours:minutes:seconds.
_TIME = re.compile(r"(?:--time=|-t)(?:(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)|(\d+))")
_PREFIX = re.compile(r"^(sbatch|squeue|scancel): (error|fatal): ")


class Slurm:
    """Workers as jobs of Slurm, by its own commands (``sbatch``, ``squeue``, ``scancel``) and with its options, which come as
    they are (``--sbatch-option``).

    They are called ``brender-FARM-WORKER``, by which they are found. Slurm signals each before its time is over.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._prefix = f"brender-{settings.farm}-"
        self._logs = settings.folder / "run"
        self._ids: dict[str, str] = {}
        """The jobs' ids by the names of their workers, as they were last listed."""
        limit = time_limit(settings.own.get("sbatch", ()))
        if limit is not None and limit <= settings.notice:
            raise BadInput(
                f"An allocation of {duration(limit)} (--time) is over before a worker has rendered anything: "
                f"it is asked to leave {duration(settings.notice)} before the end (--notice)"
            )

    def check(self) -> None:
        """Have Slurm look at a job as they would be, without running it."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._sbatch(self._settings.name, "", "--test-only")

    def start(self, name: str, join: str) -> None:
        """Hand in the job. The token is in its environment, which only its owner and Slurm see."""
        self._sbatch(name, join)

    def allocations(self) -> list[Allocation]:
        """Return this user's jobs that are called so, as long as they are not over."""
        said = self._run(["squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j"], "list its jobs")
        found, self._ids = [], {}
        for line in said.splitlines():
            number, state, reason, nodes, called = line.strip().split("|", 4)
            if not called.startswith(f"{self._prefix}{self._settings.name}-") or state not in _WAITS | _RUNS:
                continue
            name = called.removeprefix(self._prefix)
            self._ids[name] = number
            runs = state in _RUNS
            found.append(Allocation(name, runs, f"job {number} on {nodes}" if runs else f"job {number}: {reason}"))
        return found

    def withdraw(self, name: str, at_once: bool) -> None:
        """Cancel the job; one that has begun is only asked to leave, unless *at_once*."""
        if (number := self._ids.get(name)) is None:
            return
        if not at_once:
            self._run(["scancel", "--batch", "--signal=TERM", "--state=RUNNING", number], f"signal its job {number}")
            self._run(["scancel", "--state=PENDING", number], f"cancel its job {number}")
        else:
            self._run(["scancel", number], f"cancel its job {number}")

    def tidy(self, name: str) -> None:
        """Remove what the job has written."""
        self._log(name).unlink(missing_ok=True)

    def trace(self, name: str) -> str:
        """Return the last line that the job has written, where this machine sees its output."""
        try:
            lines = self._log(name).read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")] or lines
        return harmless(said[-1]) if said else ""

    # --- inside -------------------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return self._logs / f"slurm-{name}.log"

    def _sbatch(self, name: str, join: str, *more: str) -> None:
        settings = self._settings
        command = [*(settings.command or OWN_COMMAND), *settings.worker_words(name, None)]
        script = allocation_script(name, command, settings.data, settings.notice)
        words = [
            *("sbatch", "--parsable", "--no-requeue", f"--signal=B:TERM@{settings.notice:.0f}", f"--output={self._log(name)}"),
            *settings.own.get("sbatch", ()),
            f"--job-name={self._prefix}{name}",  # (the last one counts: it is found by it)
            *more,
        ]
        env = {key: value for key, value in os.environ.items() if key not in NOT_FOR_WORKERS}
        self._run(words, "start a worker", script, env | ({"BRENDER_JOIN": join} if join else {}))

    def _run(self, words: list[str], what: str, text: str = "", env: dict[str, str] | None = None) -> str:
        """Return what a command of Slurm prints. Raises `ProviderRefused`, or `BadInput` where there is no such command."""
        try:
            done = subprocess.run(
                words, input=text, capture_output=True, text=True, errors="replace", env=env, timeout=_PATIENCE, check=False
            )
        except FileNotFoundError as error:
            raise BadInput(
                f"There is no {words[0]} on this machine's PATH. `brender scale --provider slurm` runs where jobs are handed in "
                "to Slurm"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ProviderRefused(f"Slurm did not {what}: {words[0]} did not answer within {_PATIENCE:.0f} seconds") from error
        if done.returncode:
            raise ProviderRefused(f"Slurm did not {what}: {_reason(done.stderr) or f'{words[0]} ended with {done.returncode}'}")
        return done.stdout


def time_limit(options: Sequence[str]) -> float | None:
    """Return the time limit that *options* of sbatch set, in seconds; ``None`` where they set none, or say it otherwise."""
    found = [match for each in options if (match := _TIME.fullmatch(each))]
    if not found:
        return None
    days, hours, minutes, seconds, alone = (int(each) if each else 0 for each in found[-1].groups())
    return 60.0 * alone or float(((days * 24 + hours) * 60 + minutes) * 60 + seconds) or None


def _reason(said: str) -> str:
    """Return why one of Slurm's commands failed, by what it *said*: its last sentence."""
    lines = [_PREFIX.sub("", line).strip() for line in said.splitlines()]
    told = [line for line in lines if line and not line.startswith("Try ")]
    return harmless(told[-1]) if told else ""

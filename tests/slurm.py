"""A real Slurm for tests: munge, slurmctld and slurmd of this machine, which is its one node."""

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from brender.bus.address import free_ports

_CONFIGURATION = """\
ClusterName=brender
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={home}/munge/socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=2
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=60 State=UP
"""
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_STARTS_WITHIN = 30.0


class Slurm:
    """A Slurm of its own, with one node of two processors, running until `end`. Its commands find it by ``SLURM_CONF``."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="brender-slurm-"))
        self._home.chmod(0o755)
        self.configuration = self._home / "slurm.conf"
        self._processes: list[subprocess.Popen[bytes]] = []
        ports = free_ports(2)
        settings = {"node": platform.node().partition(".")[0], "port": ports, "node_port": ports + 1, "home": self._home}
        self.configuration.write_text(_CONFIGURATION.format(user=os.environ.get("USER") or "root", **settings))
        for folder in ("munge", "state", "spool"):
            (self._home / folder).mkdir()
        try:
            self._start()
        except BaseException:
            self.end()
            raise

    @staticmethod
    def is_missing() -> bool:
        """Return whether this machine lacks a program of it."""
        return any(_program(name) is None for name in _PROGRAMS)

    def ask(self, *words: str) -> str:
        """Return what one of its commands prints."""
        env = os.environ | {"SLURM_CONF": str(self.configuration)}
        return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout.strip()

    def jobs(self) -> dict[str, str]:
        """Return the states of the jobs that are not over, by their ids."""
        lines = self.ask("squeue", "--noheader", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def end(self) -> None:
        """End it, and the jobs that are left."""
        with contextlib.suppress(OSError, subprocess.CalledProcessError, AssertionError):
            self.ask("scancel", *self.jobs(), "--signal=KILL", "--full")
            self._await(lambda: not self.jobs())
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def _start(self) -> None:
        munge = self._home / "munge"
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o400)
        files = {"socket": "socket", "key-file": "key", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}
        # (as root it warns, and wants to be forced)
        self._run("munged", "--foreground", "--force", *(f"--{option}={munge / name}" for option, name in files.items()))
        self._await(lambda: (munge / "socket").exists())
        self._run("slurmctld", "-D", "-c")
        self._run("slurmd", "-D")
        self._await(self._is_ready)

    def _run(self, name: str, *words: str) -> None:
        program = _program(name)
        assert program is not None, name
        with (self._home / f"{name}.out").open("wb") as output:
            env = os.environ | {"SLURM_CONF": str(self.configuration)}
            made = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd="/")
        self._processes.append(made)

    def _is_ready(self) -> bool:
        try:
            return self.ask("sinfo", "--noheader", "--format=%T") == "idle"
        except subprocess.CalledProcessError:
            return False

    def _await(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not what():
            if time.monotonic() > deadline:
                said = {path.name: path.read_text("utf-8", "replace")[-500:] for path in self._home.glob("*.out")}
                raise AssertionError(f"Slurm did not start: {said}")
            time.sleep(0.1)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")

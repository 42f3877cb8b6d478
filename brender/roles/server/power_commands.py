"""Running the commands that put machines to sleep and wake them, each in a thread of its own: the control loop waits for none."""

import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable

from brender.roles.effects import RunPower
from brender.system.processes import APART, kill_group

log = logging.getLogger("brender.server")

_SECONDS = 60.0
_OUTPUT_KEPT = 2000
_PASSED = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "SYSTEMROOT", "TMPDIR", "TEMP", "SSH_AUTH_SOCK")


class PowerCommands:
    """Runs commands, and says by *tell* (machine, verb, why it failed: "" where it did not) what came of each."""

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._running: set[int] = set()

    def run(self, wanted: RunPower) -> None:
        """Run *wanted*. Does not wait."""
        threading.Thread(target=self._work, args=(wanted,), name="brender-power", daemon=True).start()

    def close(self) -> None:
        """Kill what runs."""
        for pid in list(self._running):
            kill_group(pid)

    def _work(self, wanted: RunPower) -> None:
        try:
            why = self._run(wanted)
        except Exception as error:
            log.exception("the command that was to %s %s failed in brender itself", wanted.verb, wanted.machine)
            why = f"brender itself failed: {type(error).__name__}"
        if why:
            log.warning("the machine %s: the command that was to %s it failed: %s", wanted.machine, wanted.verb, why)
        self._tell(wanted.machine, wanted.verb, why)

    def _run(self, wanted: RunPower) -> str:
        """Return why the command failed, with the last line that it said, or "" if it did not."""
        env = {name: os.environ[name] for name in _PASSED if name in os.environ} | wanted.env
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    wanted.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, **APART
                )
            except OSError as error:
                return f"{wanted.command[0]} cannot be run: {error.strerror or error}"
            self._running.add(process.pid)
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                kill_group(process.pid)
                process.wait()
                return f"{wanted.command[0]} ran for longer than {_SECONDS:.0f} seconds, and was killed"
            finally:
                self._running.discard(process.pid)
            output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT_KEPT))
            said = output.read().decode("utf-8", "replace").strip()
        if not process.returncode:
            return ""
        last = said.splitlines()[-1].strip()[:200] if said else ""
        return f"{wanted.command[0]} ended with exit code {process.returncode}" + (f": {last}" if last else "")

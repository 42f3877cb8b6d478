"""The supervisor: one small process above each render process, which it outlives and cleans up after.

Started by the worker as a plain script, with the standard library only. Its standard input is its lifeline: when that ends,
however the worker ended, the render process and everything that it started is killed, and its folder for temporary files
removed: killed programs leave theirs behind. Standard output goes to the child; standard error carries lines of JSON to the
worker: ``{"pid"}``, then ``{"returncode"}``, or ``{"error"}``.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

GRACE_SECONDS = 2.0
LOOK_SECONDS = 0.5


def say(**fields: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(json.dumps(fields) + "\n")
        sys.stderr.flush()


def become_subreaper() -> None:
    """On Linux, become the parent of whatever the child leaves behind, so that it can be found (prctl(2),
    PR_SET_CHILD_SUBREAPER)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def forbid_core_dumps() -> None:
    """What a crash would write is the memory of the scene, and large."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def kill_tree(pid: int) -> None:
    """Kill the process *pid* and all below it: asked first, forced after a moment."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
        return
    deadline = time.monotonic() + GRACE_SECONDS
    signal_all(pid, signal.SIGTERM)
    while time.monotonic() < deadline and below(pid):
        time.sleep(0.02)
    while below(pid):
        signal_all(pid, signal.SIGKILL)
        time.sleep(0.02)


def below(pid: int) -> list[int]:
    """Return the processes that are left: what runs below this one, but for zombies (only the child itself may be one)."""
    import psutil

    left = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                if process.pid != pid:
                    with contextlib.suppress(OSError):
                        os.waitpid(process.pid, os.WNOHANG)
            else:
                left.append(process.pid)
    return left


def anything_left(pid: int) -> bool:
    """Return whether the child *pid*, which has ended, left processes behind. Cheap, since nearly always it did not."""
    if os.name == "nt":
        return False
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        with contextlib.suppress(OSError):
            os.killpg(pid, 0)
            return True
        return False
    return True


def signal_all(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, number)
    for other in below(pid):
        with contextlib.suppress(OSError):
            os.kill(other, number)


def held_below() -> int:
    """Bytes of memory that the processes below this one hold together."""
    import psutil

    held = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            held += process.memory_info().rss
    return held


def watch_memory(pid: int, most: int) -> None:
    """End the process *pid*, and all below it, once they hold more than *most* bytes."""
    while held_below() <= most:
        time.sleep(LOOK_SECONDS)
    say(error=f"it took more than the {most // 2**20} MB of memory that this worker lets an attempt have (--limit-memory)")
    kill_tree(pid)


def main(memory: int, scratch: str, command: list[str]) -> None:
    become_subreaper()
    forbid_core_dumps()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN, which the child would inherit: the lifeline alone decides when this process ends.
        signal.signal(number, lambda *_: None)
    # 0x200: CREATE_NEW_PROCESS_GROUP.
    apart: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **apart)
    except OSError as error:
        shutil.rmtree(scratch, ignore_errors=True)
        say(error=f"{command[0]} cannot be started: {error.strerror or error}")
        return
    say(pid=child.pid)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        kill_tree(child.pid)

    threading.Thread(target=watch, daemon=True).start()
    if memory:
        threading.Thread(target=watch_memory, args=(child.pid, memory), daemon=True).start()
    returncode = child.wait()
    if anything_left(child.pid):
        kill_tree(child.pid)
    shutil.rmtree(scratch, ignore_errors=True)
    say(returncode=returncode)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])

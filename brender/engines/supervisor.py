"""The supervisor: one small process above each render process, which it outlives and cleans up after.

Its standard input is its lifeline: when that ends, however the worker ended, the render process and everything that it started is
killed, and its folder for temporary files removed: killed programs leave theirs behind. Standard output goes to the child;
standard error carries lines of JSON to the worker: ``{"pid"}``, then ``{"returncode"}``, or ``{"error"}``.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time

from brender.system.processes import Tree, adopt_descendants, forbid_core_dumps
from brender.system.removal import remove_tree

LOOK_SECONDS = 0.5


def say(**fields: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(json.dumps(fields) + "\n")
        sys.stderr.flush()


def held_below() -> int:
    """Bytes of memory that the processes below this one hold together."""
    import psutil

    held = 0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            held += process.memory_info().rss
    return held


def watch_memory(tree: Tree, most: int) -> None:
    """End *tree* once it holds more than *most* bytes."""
    while held_below() <= most:
        time.sleep(LOOK_SECONDS)
    say(error=f"it took more than the {most // 2**20} MB of memory that this worker lets an attempt have (--limit-memory)")
    tree.kill()


def main(words: list[str]) -> None:
    """Run and watch a command: *words* are the bytes of memory that it may take (0: any), its folder for temporary files, and
    itself."""
    memory, scratch, command = int(words[0]), words[1], words[2:]
    adopt_descendants()
    forbid_core_dumps()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN, which the child would inherit: the lifeline alone decides when this process ends.
        signal.signal(number, lambda *_: None)
    try:
        tree = Tree(command)
    except OSError as error:
        remove_tree(scratch)
        say(error=f"{command[0]} cannot be started: {error.strerror or error}")
        return
    say(pid=tree.process.pid)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        tree.kill()

    threading.Thread(target=watch, daemon=True).start()
    if memory:
        threading.Thread(target=watch_memory, args=(tree, memory), daemon=True).start()
    returncode = tree.process.wait()
    if tree.is_left():
        tree.kill()
    remove_tree(scratch)
    say(returncode=returncode)
    os._exit(0)

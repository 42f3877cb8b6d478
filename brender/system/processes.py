"""Trees of processes: a process, and whatever it has started, started apart from this one's terminal and ended together.

`Tree` is a process that was started so; the process that starts it must have called `adopt_descendants`. The other functions and
constants work on any process. Windows keeps a tree in a job object (`processes_windows`), other systems in a session and by
looking for descendants (`processes_posix`).
"""

import sys

if sys.platform == "win32":
    from brender.system.processes_windows import APART, IN_OWN_GROUP, Tree, adopt_descendants, forbid_core_dumps, kill_group
else:
    from brender.system.processes_posix import APART, IN_OWN_GROUP, Tree, adopt_descendants, forbid_core_dumps, kill_group

__all__ = ["APART", "IN_OWN_GROUP", "Tree", "adopt_descendants", "forbid_core_dumps", "is_process_of", "kill_group"]


def is_process_of(pid: int, started: int) -> bool:
    """Return whether the process *pid* is the one that was *started*, or what that stands for: in a virtual environment of
    Windows, Python is a small program that starts Python."""
    if pid == started:
        return True
    import psutil  # here, since the supervisor of each render needs little of this, and soon

    try:
        return psutil.Process(pid).ppid() == started
    except psutil.Error:
        return False

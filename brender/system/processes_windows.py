"""`brender.system.processes` for Windows: a tree is a job object, which ends with the last handle to it.

So everything in it ends with the process that holds it, however that ends. See Microsoft's "Job Objects"; since Windows 8 a
process may be in several.
"""

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_CREATE_SUSPENDED, _CREATE_NEW_PROCESS_GROUP = 0x4, 0x200
#: Words for `subprocess.Popen`: Ctrl-C at the console does not reach the process.
APART: dict[str, Any] = {"creationflags": _CREATE_NEW_PROCESS_GROUP}
IN_OWN_GROUP: dict[str, Any] = APART

_ACCOUNTING, _EXTENDED_LIMITS = 1, 9
_KILL_ON_CLOSE = 0x2000
_TERMINATE_AND_SET_QUOTA = 0x0101
#: What killed processes end with: as on other systems, less a signal's number.
_KILLED = 1


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = [
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    ]


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = [
        ("basic", BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    ]


class Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION."""

    _fields_ = [
        ("times", ctypes.c_int64 * 4),
        ("page_faults", ctypes.c_uint32),
        ("all_processes", ctypes.c_uint32),
        ("active_processes", ctypes.c_uint32),
        ("terminated_processes", ctypes.c_uint32),
    ]


def adopt_descendants() -> None:
    """Do nothing: a job object finds all that was started in it."""


def forbid_core_dumps() -> None:
    """Do nothing: Windows writes none unless its owner has set it up to."""


def kill_group(pid: int) -> None:
    """Do nothing: what was in a job object ended with the process that held it."""


if sys.platform == "win32":

    def _kernel() -> ctypes.WinDLL:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p]
        kernel.OpenProcess.argtypes = [ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32]
        kernel.SetInformationJobObject.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32]
        kernel.QueryInformationJobObject.argtypes = [*kernel.SetInformationJobObject.argtypes, ctypes.c_void_p]
        kernel.AssignProcessToJobObject.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        kernel.TerminateJobObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        kernel.CloseHandle.argtypes = [ctypes.c_void_p]
        return kernel

    class Tree:
        """The process *command* and all below it. Its standard error goes where its output goes. Raises `OSError`."""

        def __init__(self, command: Sequence[str]) -> None:
            import psutil

            self._kernel = _kernel()
            self._job = self._kernel.CreateJobObjectW(None, None)
            limits = ExtendedLimits()
            limits.basic.flags = _KILL_ON_CLOSE
            self._ask(self._job)
            self._ask(
                self._kernel.SetInformationJobObject(self._job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
            )
            # Suspended, so that it starts nothing before it is in the job.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                creationflags=_CREATE_NEW_PROCESS_GROUP | _CREATE_SUSPENDED,
            )
            try:
                handle = self._kernel.OpenProcess(_TERMINATE_AND_SET_QUOTA, False, self.process.pid)
                self._ask(handle)
                try:
                    self._ask(self._kernel.AssignProcessToJobObject(self._job, handle))
                finally:
                    self._kernel.CloseHandle(handle)
                psutil.Process(self.process.pid).resume()
            except (OSError, psutil.Error) as error:
                self.process.kill()
                raise error if isinstance(error, OSError) else OSError(str(error)) from error

        def is_left(self) -> bool:
            """Return whether the process, which has ended, left others behind."""
            found = Accounting()
            self._kernel.QueryInformationJobObject(self._job, _ACCOUNTING, ctypes.byref(found), ctypes.sizeof(found), None)
            return bool(found.active_processes)

        def kill(self) -> None:
            """Kill the process and all below it, at once: Windows has no way to ask a process without a window."""
            self._kernel.TerminateJobObject(self._job, _KILLED)

        def _ask(self, answer: object) -> None:
            if not answer:
                raise ctypes.WinError(ctypes.get_last_error())

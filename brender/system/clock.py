"""The clock that leases and waits are measured by: it never goes back, and goes on while the machine sleeps.

``time.monotonic`` stands still while Linux or macOS sleeps: a laptop that wakes after a night would think that it may still
publish what was given to others hours ago. (Windows' goes on; see `clock_gettime(2)` of Linux, CLOCK_BOOTTIME, and of macOS,
CLOCK_MONOTONIC.)
"""

import sys
import time

if sys.platform == "linux":

    def steady() -> float:
        """Seconds since some moment in the past, those included in which the machine slept."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

elif sys.platform == "darwin":

    def steady() -> float:
        """Seconds since some moment in the past, those included in which the machine slept."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:
    steady = time.monotonic

"""Whether the machine was started since: what was written shortly before a power cut may be on its disk without its content."""

from pathlib import Path

import psutil

_DIFFERENT_SECONDS = 60.0


def this_boot() -> str:
    """Return a note of the machine's present start, for `is_this_boot`."""
    return str(psutil.boot_time())


def is_this_boot(noted: Path) -> bool:
    """Return whether the file *noted* holds what `this_boot` returned since the machine was started."""
    try:
        # (The clock may have been set since.)
        return abs(float(noted.read_text()) - psutil.boot_time()) < _DIFFERENT_SECONDS
    except (OSError, ValueError):
        return False

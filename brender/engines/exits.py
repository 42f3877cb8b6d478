"""How a process ended, in words."""

import signal


def describe_exit(returncode: int) -> str:
    """Return *returncode*, as `subprocess` gives it, in words; "" for 0.

    >>> describe_exit(-9)
    'it was killed by SIGKILL'
    """
    if returncode == 0:
        return ""
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        return f"it was killed by {name}"
    return f"it ended with exit code {returncode}"

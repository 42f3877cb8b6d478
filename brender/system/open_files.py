"""How many files and connections a role may have open at once."""

import sys

#: What a manager has open for each of its workers: three connections.
_A_WORKER = 3
#: What a role has open besides, and about as many workers as one manager is made for.
_OWN, _PLENTY = 100, 1000


def allow_many_files() -> str:
    """Let this process open as many files as the system allows it. Returns a sentence where that is not enough for a large farm,
    "" where it is."""
    if sys.platform == "win32":
        return ""  # it has no such limit
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # macOS says that there is no limit, and has one: what was allowed stays so
    workers = (soft - _OWN) // _A_WORKER
    if soft == resource.RLIM_INFINITY or workers >= _PLENTY:
        return ""
    return (
        f"This system lets one program have {soft:,} files and connections open: enough for about {max(0, workers):,} "
        f"worker{'' if workers == 1 else 's'}. "
        "`ulimit -n 8192` before the start, or LimitNOFILE=8192 in the service's unit, makes room for more"
    )

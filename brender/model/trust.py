"""Scripts and drivers of a .blend that run only where its job is trusted. Pure."""

from brender.model.errors import BadInput
from brender.model.job import FileFacts

_SHOWN = 3


def check_trust(facts: FileFacts, trusted: bool | None, yes: str, no: str) -> tuple[str, ...]:
    """Return the warnings for a job of the file that *facts* are of, which is *trusted* or not; ``None``: nobody has chosen.

    *yes* and *no* are what lets its scripts run, or has it rendered without them. Raises `BadInput` where that must be chosen.
    """
    count = len(facts.needs_trust)
    if not count or trusted:
        return ()
    shown = ", ".join(facts.needs_trust[:_SHOWN]) + (f" and {count - _SHOWN} more" if count > _SHOWN else "")
    if trusted is None:
        things = "1 thing needs" if count == 1 else f"{count} things need"
        raise BadInput(
            f"{things} trust in {facts.path}: {shown}. Choose {yes} to let {'it' if count == 1 else 'them'} run, or "
            f"{no} to render without: what {'it moves' if count == 1 else 'they move'} then stands still"
        )
    runs = "does" if count == 1 else "do"
    return (f"Not trusted: {shown} {runs} not run, and what {'it moves' if count == 1 else 'they move'} stands still",)

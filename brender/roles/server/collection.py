"""How the server's process looks for garbage: seldom, and never twice among what it has found to live."""

import gc


def collect_seldom() -> None:
    """Let Python look for unreachable cycles seldom, and only among what is new since the last full look.

    The farm in memory is large, lives long, and has no cycles: a look at all of a million tasks would hold up a round for a
    second (Python's documentation of `gc.freeze`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    gc.callbacks.append(_leave_alone)


def _leave_alone(phase: str, about: dict[str, int]) -> None:
    if phase == "stop" and about["generation"] == 2:
        gc.freeze()

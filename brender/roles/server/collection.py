"""How the server's process looks for garbage: in small steps, and never twice among what it has found to live."""

import gc

#: Objects that are new since the last look, and the looks at these after which those that are left are looked at once more:
#: some 15 ms of work.
_NEW, _LOOKS = 25_000, 2


def collect_in_steps() -> None:
    """Let Python look for unreachable cycles only among what is new.

    The farm in memory is large, lives long, and has no cycles: a look at a million tasks would hold up a round for a second.
    What was found to live twice is not looked at again (Python's documentation of `gc.freeze`); it is freed all the same when
    nobody refers to it any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _LOOKS, _LOOKS)
    gc.callbacks.append(_leave_alone)


def _leave_alone(phase: str, about: dict[str, int]) -> None:
    if phase == "stop" and about["generation"] > 0:
        gc.freeze()

"""How the server's process looks for garbage: in small steps between rounds, and never twice among what it has found to live."""

import gc

#: Objects that are new since the last look, beyond which Python looks by itself, within a round; so many come in none.
_NEW = 50_000
#: Objects that were looked at once, beyond which they are looked at once more, and then left alone: some 4 ms of work.
_LOOKED_AT = 15_000
_NEVER = 1_000_000


def collect_in_steps() -> None:
    """Let Python look for unreachable cycles only among what is new; the server then calls `collect_a_step` after each round.

    The farm in memory is large, lives long, and has no cycles: a look at a million tasks would hold up a round for a second.
    What was found to live twice is not looked at again (Python's documentation of `gc.freeze`); it is freed all the same when
    nobody refers to it any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _NEVER, _NEVER)


def collect_a_step() -> None:
    """Look at what has come since the last step, for about as long as that took to make.

    Python itself counts new objects less those that were freed. In a farm at work, where as many end as begin, it would not look
    for minutes, and then at hundreds of thousands at once.
    """
    gc.collect(0)
    if len(gc.get_objects(1)) > _LOOKED_AT:
        gc.collect(1)
        gc.freeze()

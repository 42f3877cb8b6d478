"""How the program of a task has failed: by its own word, or because this machine cannot run it."""

from brender.engines.attempt import AttemptFailed
from brender.engines.process import Supervised
from brender.model.failure_patterns import Follows


def program_failed(process: Supervised, said: str, before: str = "") -> AttemptFailed:
    """Return how the attempt ends whose *process* has failed, which is *said* where it ran; *before* begins the sentence.

    Where it could not be started, or took more memory than this worker gives, the machine is at fault: another may have the
    program, or more memory.
    """
    if process.error:
        return AttemptFailed(before + process.error, permanent=True, follows=Follows.ELSEWHERE)
    return AttemptFailed(before + said, out_of_memory=process.ran_out_of_memory)

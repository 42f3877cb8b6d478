"""How the program of a task has failed: by its own word, or because this machine cannot run it."""

from brender.engines.attempt import AttemptFailed
from brender.engines.process import Supervised
from brender.model.failure_patterns import Follows
from brender.model.text import harmless

#: Characters of a program's last line that a reason has room for; and how lines of the log begin that are brender's own.
_LINE_MOST, _OWN = 200, "[brender"


def program_failed(process: Supervised, said: str, before: str = "", last_line: str = "") -> AttemptFailed:
    """Return how the attempt ends whose *process* has failed, which is *said* where it ran; *before* begins the sentence, and the
    *last_line* of its log ends it, if that is the program's.

    Where it could not be started, or took more memory than this worker gives, the machine is at fault: another may have the
    program, or more memory.
    """
    if process.error:
        return AttemptFailed(before + process.error, permanent=True, follows=Follows.ELSEWHERE)
    last = harmless(last_line.strip())[:_LINE_MOST]
    printed = f". Its last line: {last}" if last and not last.startswith(_OWN) else ""
    return AttemptFailed(before + said + printed, out_of_memory=process.ran_out_of_memory)

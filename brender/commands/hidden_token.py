"""Keep a join token that is written on a command line out of the machine's list of processes."""

import os
import re
import sys

_TOKEN = re.compile(r"(--join=)?brender-[A-Za-z0-9_-]{80,}")


def hide_token() -> None:
    """A token among the words of this command would stand in the machine's list of processes: start over with it in the
    environment, where only its owner sees it."""
    words = [word for word in sys.orig_argv if not _TOKEN.fullmatch(word)]
    if os.name != "posix" or len(words) == len(sys.orig_argv):
        return
    token = next(word for word in sys.orig_argv if _TOKEN.fullmatch(word)).removeprefix("--join=")
    words = [word for word in words if word != "--join"]
    os.execve(sys.executable, words, {**os.environ, "BRENDER_JOIN": token})

"""Enter the sandbox: open the folders that it is to have, and become bwrap.

Started as a plain script, with the standard library only. Its first argument is JSON: ``words``, bwrap's own, in which
``{"root", "below", "option", "at"}`` stands for a folder to bind. No link is followed below a root, and bwrap gets
descriptors, so that a process which can write there cannot have another folder bound than the one that was looked at.
"""

import json
import os
import stat
import sys

_OPEN = getattr(os, "O_PATH", 0) | getattr(os, "O_NOFOLLOW", 0)


def opened(root: str, below: str) -> int:
    """Return a descriptor of the file or folder *below* the folder *root*. Raises `OSError`."""
    descriptor = os.open(root, getattr(os, "O_PATH", 0))
    for name in below.split("/") if below else ():
        if name in {"", ".", ".."}:
            raise OSError(f"{below} leads out of {root}")
        inner = os.open(name, _OPEN, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):  # O_PATH opens the link itself
            raise OSError("a link stands on the way")
    return descriptor


def main(spec: str, command: list[str]) -> None:
    """Become bwrap by *spec*, running *command* in it."""
    words: list[str] = []
    for word in json.loads(spec):
        if isinstance(word, str):
            words.append(word)
            continue
        try:
            descriptor = opened(word["root"], word["below"])
        except OSError as error:
            if word["try"]:
                continue
            sys.exit(
                f"The sandbox cannot have {word['root']}/{word['below']}, without following links: {error.strerror or error}"
            )
        os.set_inheritable(descriptor, True)
        words += [word["option"], str(descriptor), word["at"]]
    os.execvp("bwrap", ["bwrap", *words, "--", *command])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

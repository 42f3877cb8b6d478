"""An attempt's log as a person reads it: what Blender says all the time is folded to a count. Pure.

What is noise is decided here alone (`NOISE`): `brender log`, the end of a failed render's log, and the job's page fold by it.
"""

import re
from collections.abc import Iterator

from brender.model.text import harmless, plural

#: Lines that a log's end shows.
_LINES = 25
#: What stands for folded lines, after their number.
FOLDED = "of Blender's own"
#: What a line of no interest has in it: regular expressions, as Python and JavaScript understand them alike. ``(?i)`` at the
#: beginning: in small letters or large. Of brender's own lines only that which names the program is one.
NOISE = (
    r"^\s*$",
    r"^\[brender ?[\d:]*\] starting /",
    r"^Fra:",
    r"\bMem: ?\d",
    r"\bSample \d+/\d+",
    r"^Rendering \d+ / \d+ samples",
    r"^Rendered \d+/\d+ Tiles",
    r"^\s*Time: \d",
    r"(?i)^(?!\[brender).*\b(EGL|GLX|libGL|MESA|DRI[23]|vulkan|ALSA|AL lib|XDG_RUNTIME_DIR|CUEW)",
    r"^(?!\[brender).*\bGHOST",
    r"^Read (prefs|blend)",
    r"^Blender \d",
    r"^Saved: ",
    r"^Append frame",
    r"^\d\d:\d\d[.:]\d+ +[\w.]+ +\| (Saved|INFO|Read)",
    r"DeprecationWarning",
    r"region type",
    r"^Color management: ",
    r"^Blender quit",
    r"^Device with name ",
)
_NOISE = tuple(map(re.compile, NOISE))


def log_end(text: str, most: int = _LINES) -> list[str]:
    """Return the last lines of the log *text*, *most* of them, folded (`folded`).

    >>> log_end("Fra:1 Mem:2M\\nFra:1 Mem:3M\\nRuntimeError: broken", 1)
    ['RuntimeError: broken']
    """
    return list(folded(text))[-most:]


def folded(text: str) -> Iterator[str]:
    """Yield the lines of the log *text*, with one line for each stretch of noise between them.

    >>> list(folded("Fra:1 Mem:2M\\nFra:1 Mem:3M\\nRuntimeError: broken"))
    ["(2 lines of Blender's own)", 'RuntimeError: broken']
    """
    quiet = 0
    for line in [*text.rstrip().splitlines(), None]:
        if line is not None and any(words.search(line) for words in _NOISE):
            quiet += bool(line.strip())
            continue
        if quiet:
            yield f"({plural(quiet, 'line')} {FOLDED})"
            quiet = 0
        if line is not None:
            yield harmless(line, kept="\t")

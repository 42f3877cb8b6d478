"""The end of an attempt's log as a person reads it: what Blender says all the time is folded to a count. Pure.

The job's page is given the same expressions (`NOISE`) to fold by.
"""

import re

from brender.model.text import harmless

#: Lines that a log's end shows.
_LINES = 25
#: What a line of no interest has in it: regular expressions, as Python and JavaScript understand them alike. ``(?i)`` at the
#: beginning: in small letters or large.
NOISE = (
    r"^\s*$",
    r"^Fra:",
    r"\bMem: ?\d",
    r"\bSample \d+/\d+",
    r"^Rendering \d+ / \d+ samples",
    r"^Rendered \d+/\d+ Tiles",
    r"^\s*Time: \d",
    r"(?i)EGL|GLX|libGL|MESA|DRI[23]|vulkan|GHOST|ALSA|AL lib|XDG_RUNTIME_DIR|CUEW",
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
    """Return the last lines of the log *text*, *most* of them, with a line for each stretch of noise between them.

    >>> log_end("Fra:1 Mem:2M\\nFra:1 Mem:3M\\nRuntimeError: broken")
    ["(2 lines of Blender's own)", 'RuntimeError: broken']
    """
    lines: list[str] = []
    quiet = 0
    for line in [*text.rstrip().splitlines(), None]:
        if line is not None and any(words.search(line) for words in _NOISE):
            quiet += bool(line.strip())
            continue
        if quiet:
            lines.append(f"({quiet} {'line' if quiet == 1 else 'lines'} of Blender's own)")
            quiet = 0
        if line is not None:
            lines.append(harmless(line, kept="\t"))
    return lines[-most:]

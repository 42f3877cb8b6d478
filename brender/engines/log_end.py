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
#: What a line says that may tell why a render went wrong: it is shown, whatever else it looks like.
_TELLS = (
    r"error|fail|fatal|cannot|could not|not found|out of memory|no such|exception|traceback|does not exist|segmentation fault"
)
#: What Blender's own messages begin with since 5.0: the time, and who says it.
_SAID = r"\d\d:\d\d[.:]\d+ +[\w.]+ +\| "
#: Whole lines of no interest: what Blender, and the libraries that it loads, say in good renders. Of brender's own only the one
#: that names the program.
_USUAL = (
    r"\s*",
    r"\[brender ?[\d:]*\] starting /.*",
    r"Fra:-?\d+ .*",
    rf"(?:{_SAID})?(?:Time: ?[\d:.]+ *\| *)?(?:Remaining: ?[\d:.]+ *\| *)?Mem: ?\d.*",
    r"(?:.*\| *)?Sample \d+/\d+(?: \(.*\))?",
    r"(?:.*\| *)?Rendering \d+ / \d+ samples",
    r"(?:.*\| *)?Rendered \d+/\d+ Tiles(?:, .*)?",
    r"\s*Time: \d[\d:.]*(?: \(Saving: [\d:.]+\))?",
    rf"{_SAID}(?:Saved|INFO|Read|Video append frame)\b.*",
    r"Read (?:prefs|blend): .*",
    r"Blender \d[\w. ]*(?:\(.*\))?",
    r"Blender quit",
    r"Saved: .*",
    r"Append frame -?\d+",
    rf"(?:{_SAID}WARNING |Warning: )region type \d+ missing in space type .*",
    r"Color management: Using .* as a configuration file",
    r"Device with name .*",
    r"\S.*:\d+: DeprecationWarning: .*",
    r"Managed to successfully fallback to surfaceless EGL rendering!",
    rf"{_SAID}WARNING Unable to initialize a Vulkan [\d.]+ instance\.",
    r"WARNING: lavapipe is not a conformant vulkan implementation, testing use only\.",
    r"lib(?:GL|EGL) (?:warning|info): .*",
    r"MESA(?:-\w+)?: .*",
    r"GHOST(?:/\w+)?: .*",
    r"\w+: XDG_RUNTIME_DIR (?:is )?not set.*",
    r"ALSA lib \S+\.c:\d+:\(\w+\) .*",
    r"AL lib: \(\w\w\) .*",
)
#: The lines of no interest, as regular expressions that Python and JavaScript understand alike; ``(?i)`` at the beginning: in
#: small letters or large. Two that say "error" are among them, by their every word: a Blender without a GPU says them always.
NOISE = (
    r"^\d\d:\d\d\.\d+ +cycles +\| WARNING CUEW initialization failed: Error opening the library$",
    r"^EGL Error \(0x[0-9A-Fa-f]+\): EGL_BAD_MATCH: Arguments are inconsistent(?: \(for example, [\w ]+\)\.)?$",
    *(rf"(?i)^(?!.*(?:{_TELLS}))(?:{line})$" for line in _USUAL),
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

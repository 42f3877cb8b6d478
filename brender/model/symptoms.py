"""Which symptom a message shows, and where the documentation says what to do about it. Pure.

Each symptom is a section of ``docs/howto/troubleshooting.rst``, called so there; the tests hold the two to each
other. The patterns are read by the pages' script too, so they use only what Python and JavaScript read alike.
"""

import re

from brender.model.job import MISSING_AT_WORKER, MISSING_FILE

#: Sections of the page Troubleshooting, each with the messages that lead there. The first that fits counts.
SYMPTOMS: dict[str, str] = {
    "pink-frames": rf"files? (?:is|are) missing: |^{MISSING_FILE}|{MISSING_AT_WORKER}",
    "black-frames": r"is all black|pixels that are no numbers|is exactly empty",
    "wrong-colors": r"OCIO configuration|OpenColorIO",
    "needs-trust": r"--accept-trusted|Not trusted: |--trusted",
    "not-the-files": r"not what the job .* has under (?:its|their) names?|changed since the job rendered",
    "same-files": r"writes (?:to )?the same files",
    "disk-full": r"No room (?:on the disk|for a backup)|GB free, and ",
    "out-of-memory": r"ran out of memory|CUDA out of memory|more memory than",
    "hangs": r"seems stuck: |no sign of progress",
    "newer-blender": r"saved by Blender \d",
    "no-blender": r"no Blender\b",
    "slow": r"workers without one render it on the CPU",
    "blender-crashes": r"was killed by SIG",
    "server-silent": r"did not answer|server silent|There is no farm in|server of the data folder|No server runs",
    "key-refused": r"key is not admitted any more|does not admit this machine's key|new token \(--join\)",
    "nothing-renders": r"No worker (?:can run it|is connected)",
}


def symptom_of(message: str) -> str | None:
    """Return the section of the page Troubleshooting that is about *message*, or ``None``.

    >>> symptom_of("No worker is connected. Start one with `brender-worker`")
    'nothing-renders'
    """
    return next((name for name, pattern in SYMPTOMS.items() if re.search(pattern, message)), None)


def more_about(message: str) -> str | None:
    """Return a sentence that names the command which opens the section about *message*; ``None`` where there is no such section.

    >>> more_about("Frame 3 is all black")
    'More: `brender docs black-frames`'
    """
    symptom = symptom_of(message)
    return symptom and f"More: `brender docs {symptom}`"

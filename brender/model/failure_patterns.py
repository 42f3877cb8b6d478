"""What lines in a program's output mean: the table of patterns, brender's own and the farm's, and how people write one. Pure.

The farm's own come from the server's settings (``--failure-pattern``) and travel with each job's order; a worker asks them first,
then brender's. What a pattern lets follow is carried out by the server (brender.roles.server.work), as for any failed attempt.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache

import msgspec

from brender.model.causes import WORDS, Cause
from brender.model.errors import BadInput


class Follows(StrEnum):
    """What follows where an attempt has failed and printed such a line."""

    FAIL = "fail"
    """The job fails for good: the same would happen anywhere."""
    ELSEWHERE = "elsewhere"
    """Another worker tries again, and this one is kept off the job, if another can run it. Else as `RETRY`."""
    LATER = "later"
    """No failure: the worker does without the job for a minute, each further time for twice as long, up to ten minutes."""
    RETRY = "retry"
    """It is tried again as after any other failure; the pattern only says why it failed."""
    IGNORE = "ignore"
    """Nothing: the line is not looked at by the patterns after this one."""


class FailurePattern(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that contains ``pattern``, a regular expression, and what it means."""

    pattern: str
    follows: Follows = Follows.RETRY
    cause: Cause = Cause.OTHER
    always: bool = False
    """It fails the frame although its program says that all went well."""


#: brender's own, beside those of devices that fail under Blender (brender.engines.device_errors). They count only where the
#: attempt has failed: a program may say such a thing and go on.
BUILT_IN: tuple[FailurePattern, ...] = (
    FailurePattern(
        r"(?i:out of (?:GPU|device|video) (?:and shared host )?memory)|(?:CUDA|HIP|oneAPI|OPTIX|Metal)\w*\b.*\b[Oo]ut of memory"
        r"|[Oo]ut of memory in (?:cu|hip)[A-Z]|Out of memory - couldn't allocate integrator state|GL_OUT_OF_MEMORY"
        r"|(?:ERROR_OUT_OF_DEVICE|OPTIX_ERROR_DEVICE_OUT_OF)_MEMORY"
        # (OptiX's denoiser where the driver was installed without its weights, as in some containers.)
        r"|Unable to load denoiser weights",
        Follows.ELSEWHERE,
        Cause.DEVICE,
    ),
    FailurePattern(
        r"std::bad_alloc|\b[MC]alloc\w* returns (?:null|nil)|^MemoryError\b|\bCannot allocate memory\b|\bNot enough memory\b",
        Follows.ELSEWHERE,
        Cause.MEMORY,
    ),
    FailurePattern(
        r"\b(?i:(?:could not|cannot|can't|failed to|unable to) (?:obtain|acquire|check ?out|get) (?:an? |the )?"
        r"(?:\S+ )?licen[cs]es?"
        r"|licen[cs]e (?:check-?out|request) (?:failed|denied)|no (?:more )?licen[cs]es? (?:is |are )?(?:available|left|free)"
        r"|licensed number of users already reached)\b",
        Follows.LATER,
        Cause.LICENCE,
    ),
    FailurePattern(r"(?i:\bdevice (?:was )?lost\b)|VK_ERROR_DEVICE_LOST|GL_CONTEXT_LOST", Follows.RETRY, Cause.DEVICE),
)

#: How Blender 5 begins its lines: time, source, level. The time differs from attempt to attempt, the failure does not.
BLENDER_PREFIX = re.compile(r"^\s*\d+:\d\d\.\d+\s+\S+\s+\|\s*(?:ERROR|WARNING|FATAL)?\s*")
#: Characters of a line that patterns look at, and those of it that a sentence quotes.
_LOOKED_AT, _QUOTED = 2000, 300
_HOW = (
    "write WHAT: PATTERN, where WHAT is fail, elsewhere, later, retry or ignore, with a cause "
    f"({', '.join(Cause)}) and the word always after commas if you like: 'later, licence: No seat left'"
)


class Match(msgspec.Struct, frozen=True):
    """A ``line`` that contains a ``pattern``."""

    line: str
    pattern: FailurePattern

    @property
    def said(self) -> str:
        """The sentence that names the line."""
        cause = "" if self.pattern.cause is Cause.OTHER else f" ({WORDS[self.pattern.cause]})"
        return f"Its output says{cause}: {self.line}"


def match(line: str, own: Iterable[FailurePattern]) -> Match | None:
    """Return what the first pattern that *line* contains makes of it, of the farm's *own* before brender's; ``None`` if none
    fits.

    >>> match("terminate called after throwing an instance of 'std::bad_alloc'", ()).pattern.follows
    <Follows.ELSEWHERE: 'elsewhere'>
    >>> match("Fra:1 Mem:12.00M (Peak 12.00M)", ())
    """
    looked_at = line[:_LOOKED_AT]
    for pattern in own:
        if _compiled(pattern.pattern).search(looked_at):
            return Match(_quoted(looked_at), pattern)
    if not _ANY.search(looked_at):
        return None
    found = next(each for each in BUILT_IN if _compiled(each.pattern).search(looked_at))
    return Match(_quoted(looked_at), found)


def read_pattern(text: str) -> FailurePattern:
    """Return the pattern that a person has written as *text*, such as ``later, licence: No seat left``. Raises `BadInput`.

    >>> read_pattern("fail, always: ^FATAL")
    FailurePattern(pattern='^FATAL', follows=<Follows.FAIL: 'fail'>, cause=<Cause.OTHER: 'other'>, always=True)
    """
    before, colon, pattern = text.partition(":")
    words, pattern = [word.strip().lower() for word in before.split(",")], pattern.strip()
    if not colon or not pattern:
        raise BadInput(f"The failure pattern {text!r} has nothing to look for: {_HOW}")
    if words[0] not in set(Follows):
        raise BadInput(f"The failure pattern {text!r} begins with {words[0]!r}: {_HOW}")
    cause, always = Cause.OTHER, False
    for word in words[1:]:
        if word == "always":
            always = True
        elif word in set(Cause):
            cause = Cause(word)
        else:
            raise BadInput(f"The failure pattern {text!r} has {word!r}, which is not a cause. The causes are: {_HOW}")
    try:
        expression = _compiled(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadInput(f"The failure pattern {text!r} is not a regular expression: {error}") from error
    if expression.search(""):
        raise BadInput(f"The failure pattern {text!r} is found in every line: name words that only a failure prints")
    return FailurePattern(pattern, Follows(words[0]), cause, always)


def _quoted(line: str) -> str:
    return BLENDER_PREFIX.sub("", line).strip()[:_QUOTED]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_ANY = re.compile("|".join(f"(?:{each.pattern})" for each in BUILT_IN))

"""Text for people: names from elsewhere made harmless for terminals and logs, numbers that agree with their nouns. Pure."""

import re
from collections.abc import Sequence

from brender.model.errors import BadInput

_SIZE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) *([kKmMgGtT]i?[bB]?)?")


def harmless(text: str, kept: str = "") -> str:
    """Return *text* without what a terminal would obey or what would turn its reading around: each such character becomes a
    dot, but for those *kept*.

    >>> harmless("a\\x1b[2Jb")
    'a·[2Jb'
    """
    return "".join(character if character.isprintable() or character in kept else "·" for character in text)


def once_each(text: str) -> str:
    """Return *text* with each of its lines once, in their order.

    >>> once_each("Out of memory\\nOut of memory")
    'Out of memory'
    """
    return "\n".join(dict.fromkeys(text.splitlines()))


#: Characters of a job's id by which people are told of it, and may name it.
SHORT_ID = 8


def short_id(id: str) -> str:
    """Return as much of *id* as people are told, and as a command takes.

    >>> short_id("88921bf52911a7eb")
    '88921bf5'
    """
    return id[:SHORT_ID]


def job_in_words(id: str, name: str) -> str:
    """Return how a sentence for people calls the job: by its name, and by as much of its id as a command takes.

    >>> job_in_words("88921bf52911a7eb", "shot")
    'shot (88921bf5)'
    """
    return f"{harmless(name)} ({short_id(id)})"


def plural(count: float, noun: str) -> str:
    """Return *count* things, with a *noun* that agrees.

    >>> plural(1, "worker"), plural(1200, "worker"), plural(0.5, "minute")
    ('1 worker', '1,200 workers', '0.5 minutes')
    """
    number = f"{count:,}" if isinstance(count, int) else f"{count:,g}"
    return f"{number} {noun}{'' if count == 1 else 's'}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """Return *names* as a sentence lists them, of more than *most* only the first and how many more there are.

    >>> some_of(["a"]), some_of(["a", "b", "c"]), some_of(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', 'a, b, c and 2 more')
    """
    shown, more = names[:most], len(names) - most
    words = [*shown, f"{more:,} more"] if more > 0 else list(shown)
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def with_article(noun: str) -> str:
    """Return *noun* with its article.

    >>> with_article("artist"), with_article("worker")
    ('an artist', 'a worker')
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def times(count: int) -> str:
    """Return how often something was: once, twice, 3 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def read_size(text: str) -> int:
    """Return the bytes that *text* names: ``8GB``, ``500 MB`` or ``12GiB``; a plain number is of GB. Raises `BadInput`.

    >>> read_size("1.5 GB"), read_size("2GiB"), read_size("8")
    (1500000000, 2147483648, 8000000000)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} is not a size of memory: write it as 8GB or 500MB")
    unit = (found[2] or "GB").upper()
    return int(float(found[1]) * (1024 if "I" in unit else 1000) ** ("KMGT".index(unit[0]) + 1))


def size_in_words(count: float) -> str:
    """Return so many bytes, in words.

    >>> size_in_words(1_500_000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"

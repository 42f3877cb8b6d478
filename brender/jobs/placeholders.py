"""Placeholders in the words of a command line, such as ``{frame:04d}`` and ``{output}``; ``{{`` and ``}}`` are plain braces.

Pure.
"""

import re
from collections.abc import Mapping, Sequence

from brender.model.errors import BadInput

#: The placeholders of a command: the frame number, and the job's output folder.
OF_COMMANDS: Mapping[str, type] = {"frame": int, "output": str}
_PIECE = re.compile(
    r"(?P<plain>[^{}]+)|(?P<brace>\{\{|\}\})"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)(?::(?P<width>[0-9]{1,3}d|d))?\}|(?P<odd>\{[^{}]*\}?|\})"
)
#: Digits of a number, and characters of an argument (Linux takes 128 KiB of bytes: MAX_ARG_STRLEN), at most.
_WIDEST, _LONGEST = 32, 131_000


def check_words(words: Sequence[str], names: Mapping[str, type] = OF_COMMANDS) -> None:
    """Check that *words* have no placeholders but those of *names*, each with the type of its value. Raises `BadInput`."""
    for word in words:
        _pieces(word, names)


def fill_words(words: Sequence[str], values: Mapping[str, int | str]) -> list[str]:
    """Return *words* with their placeholders replaced by *values*. Raises `BadInput` for a placeholder that has none, and for a
    word that becomes longer than a program takes.

    >>> fill_words(["--frame", "{frame:04d}"], {"frame": 7})
    ['--frame', '0007']
    """
    return [filled(word, values, _LONGEST) for word in words]


def filled(text: str, values: Mapping[str, int | str], longest: int) -> str:
    """Return *text*, likewise, which must become no longer than *longest* characters."""
    pieces = []
    length = 0
    for plain, name, width in _pieces(text, {name: type(value) for name, value in values.items()}):
        pieces.append(plain if not name else format(values[name], width))
        length += len(pieces[-1])
        if length > longest:
            raise BadInput(
                f"The argument that begins with {text[:40]!r} becomes longer than {longest:,} characters, which no program takes"
            )
    return "".join(pieces)


def _pieces(word: str, names: Mapping[str, type]) -> list[tuple[str, str, str]]:
    """Return what *word* is made of: plain text, or a placeholder's name and the format of its number. Raises `BadInput`."""
    pieces = []
    for found in _PIECE.finditer(word):
        plain, name, width = found["plain"] or (found["brace"] or "")[:1], found["name"] or "", found["width"] or ""
        unknown = bool(name) and (name not in names or (bool(width) and names[name] is not int))
        if found["odd"] is not None or unknown:
            raise BadInput(f"{found[0]} in {word[:200]!r} is not a placeholder: {_there_are(names)}")
        if int(width.rstrip("d") or 0) > _WIDEST:
            raise BadInput(f"{found[0]} in {word[:200]!r} is too wide: a frame number has {_WIDEST} digits at most")
        pieces.append((plain, name, width))
    return pieces


def _there_are(names: Mapping[str, type]) -> str:
    shown = [
        each for name, kind in names.items() for each in ([f"{{{name}}}", f"{{{name}:04d}}"] if kind is int else [f"{{{name}}}"])
    ]
    listed = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
    return f"there are {listed}; write {{{{ and }}}} for plain braces"

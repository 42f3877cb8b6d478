"""What people write to see less: words, and ``name:word`` for one thing, such as ``job:sh_020 level:warning``. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from brender.model.errors import BadInput
from brender.model.log_events import LEVELS

#: Levels of messages, the least first.


@dataclass(frozen=True)
class Filter:
    """What a line has to hold: all ``words`` anywhere in it, and each of ``named`` in what is called so. The level is the least
    that is shown."""

    words: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)
    level: str = ""

    def fits(self, text: str, named: Mapping[str, str], level: str = "") -> bool:
        """Return whether a line that says *text*, and has these *named* things and this *level*, is shown."""
        if self.level and level and LEVELS.index(level) < LEVELS.index(self.level):
            return False
        if any(word not in named.get(name, "").lower() for name, word in self.named.items()):
            return False
        if not self.words:
            return True
        whole = f"{text} {' '.join(named.values())}".lower()
        return all(word in whole for word in self.words)


def parse_filter(text: str, names: tuple[str, ...]) -> Filter:
    """Return what *text* asks for, where these *names* are known. Raises `BadInput`.

    >>> parse_filter("Frame job:SH_020 level:warning", ("job", "level"))
    Filter(words=('frame',), named={'job': 'sh_020'}, level='warning')
    """
    words, named, level = [], {}, ""
    for each in text.lower().split():
        name, colon, word = each.partition(":")
        if colon and name == "level" and "level" in names:
            if word not in LEVELS:
                raise BadInput(f"There is no level {word!r}; there are {', '.join(LEVELS)}")
            level = word
        elif colon and name in names:
            named[name] = word
        elif colon and name.isalpha():
            raise BadInput(f"Nothing is called {name!r} here: write {', '.join(f'{known}:…' for known in names)}, or words alone")
        else:
            words.append(each)
    return Filter(tuple(words), named, level)

"""Text from elsewhere, made harmless for terminals and logs. Pure."""


def harmless(text: str, kept: str = "") -> str:
    """Return *text* without what a terminal would obey or what would turn its reading around: each such character becomes a
    dot, but for those *kept*.

    >>> harmless("a\\x1b[2Jb")
    'a·[2Jb'
    """
    return "".join(character if character.isprintable() or character in kept else "·" for character in text)

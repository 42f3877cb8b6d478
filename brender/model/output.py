"""Which files a job writes: a folder and a name pattern. Pure."""

Output = tuple[str, str]
"""The folder that files lie in, and their name pattern there; "" as the pattern: names, there and below, that nobody knows."""


def output_of(folder: str, pattern: str) -> Output:
    """Return the output of a job with the output *folder* and that name *pattern*. What folders the pattern leads through belong
    to the folder, so that one file has one output however it is split.

    >>> output_of("/renders/shot", "beauty/a_####")
    ('/renders/shot/beauty', 'a_####')
    """
    below, _, name = pattern.rpartition("/")
    return (f"{folder.rstrip('/')}/{below}" if below else folder, name)

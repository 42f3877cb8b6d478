"""Where the documentation is: the pages that ``docs/build.py`` makes, and that a released wheel has."""

from pathlib import Path

#: In the package, so that a wheel has it. A checkout has none before ``docs/build.py`` was run.
FOLDER = Path(__file__).parent.parent / "manual"
#: The text that it is made of, which a checkout has.
SOURCE = Path(__file__).parents[2] / "docs"
#: The page of symptoms, whose sections are named by `brender.model.symptoms.SYMPTOMS`.
TROUBLESHOOTING = "howto/troubleshooting.html"


def has_manual() -> bool:
    """Return whether this installation has the documentation."""
    return (FOLDER / "index.html").is_file()


def pages() -> dict[str, str]:
    """Return the pages by name: each file below `FOLDER`, and its name without ``.html`` and folder."""
    found = sorted(FOLDER.rglob("*.html"))
    return {path.stem: path.relative_to(FOLDER).as_posix() for path in found if not path.stem.startswith(("search", "genindex"))}


def sources() -> dict[str, Path]:
    """Return the text of each page by its name, where this is a checkout."""
    if not (SOURCE / "index.rst").is_file():
        return {}
    return {path.stem: path for path in sorted([*SOURCE.rglob("*.rst"), *SOURCE.rglob("*.md")])}

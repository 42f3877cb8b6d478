"""Builds the documentation into the package, where `brender docs` opens it and dashboards serve it: ``python docs/build.py``.

``python docs/build.py --links`` asks each address outside that the pages name, and builds nothing.

A release is built after this, so that its wheel has the pages. Warnings are errors.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
INTO = HERE.parent / "brender" / "manual"
_SCRIPT = re.compile(r"<script>(.+?)</script>", re.DOTALL)
#: Kinds of fonts that every browser of today does without, since it reads woff2.
_OLD_FONTS = ("*.eot", "*.ttf", "*.woff", "*webfont.svg")


def build(into: Path) -> None:
    """Build all pages into the folder *into*, in the place of what was there."""
    shutil.rmtree(into, ignore_errors=True)
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "html_copy_source=0", "-d", f"{into}.doctrees"]
    try:
        subprocess.run([*words, HERE, into], check=True, cwd=HERE.parent)
    finally:
        shutil.rmtree(f"{into}.doctrees", ignore_errors=True)
    for page in into.rglob("*.html"):
        page.write_text(_without_scripts(page.read_text("utf-8"), into, len(page.relative_to(into).parts) - 1), "utf-8")
    for pattern in _OLD_FONTS:
        for font in (into / "_static").rglob(pattern):
            font.unlink()


def _without_scripts(page: str, into: Path, depth: int) -> str:
    """Return *page* with its scripts in files of their own: the dashboard lets no script run that stands in a page."""

    def apart(found: re.Match[str]) -> str:
        name = f"_static/page-{hashlib.sha256(found[1].encode()).hexdigest()[:12]}.js"
        (into / name).write_text(found[1], "utf-8")
        return f'<script src="{"../" * depth}{name}"></script>'

    return _SCRIPT.sub(apart, page)


def check_links() -> int:
    """Ask each address outside that the pages name, by Sphinx's linkcheck, which needs a network; return its exit code: 0 where
    all answered."""
    with tempfile.TemporaryDirectory() as into:
        return subprocess.run([sys.executable, "-m", "sphinx", "-b", "linkcheck", "-q", HERE, into], cwd=HERE.parent).returncode


if __name__ == "__main__":
    if sys.argv[1:] == ["--links"]:
        sys.exit(check_links())
    build(INTO)
    print(f"{INTO} has the documentation: brender docs")

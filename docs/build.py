"""Builds the documentation into the package, where `brender docs` opens it and dashboards serve it: ``python docs/build.py``.

``python docs/build.py --links`` checks the links instead: those within the pages, and, where there is a network, each address
outside that they or the README name. Its last line says what came out; its exit code is 0 where every link leads somewhere, 1
where one does not, 3 where some addresses could not be asked from here.

A release is built after this, so that its wheel has the pages. Warnings are errors.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import links

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
    """Build the pages into a temporary folder, check all their links, print what came out, and return the exit code."""
    with tempfile.TemporaryDirectory() as temporary:
        into = Path(temporary) / "pages"
        build(into)
        broken = links.broken_within(into)
        print(*broken, f"Links within the pages that lead nowhere: {len(broken)}", sep="\n", flush=True)
        code = links.report(links.outside(into, sorted(HERE.parent.glob("*.md"))))
    return 1 if broken else code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", action="store_true", help="check all links of the pages in place of building them")
    if parser.parse_args().links:
        sys.exit(check_links())
    build(INTO)
    print(f"{INTO} has the documentation: brender docs")

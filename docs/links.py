"""The links of the built documentation: those within it lead to a file and an anchor that exist, those out of it answer."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

TIMEOUT_SECONDS = 20
#: Answers by which a server says that the page does not exist. Others, such as 403 to a program, say nothing of the page.
_GONE = (404, 410)


class _Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.links += [values[name] for name in ("href", "src") if name in values and tag != "link"]


def broken_within(folder: Path) -> list[str]:
    """Return a line for each link of the pages in *folder* that leads to no file there, or to no anchor of its page."""
    pages = {path.resolve(): _Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if "://" in link or link.startswith(("mailto:", "data:")):
                continue
            target, anchor = urldefrag(link)
            file = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            if not file.exists() or (anchor and file in pages and unquote(anchor) not in pages[file].anchors):
                broken.append(f"{path.relative_to(folder.resolve())} links to {link}")
    return broken


def outside(folder: Path, texts: Iterable[Path] = ()) -> dict[str, str]:
    """Return the web addresses that the pages in *folder* and the Markdown files *texts* link to, each with one of these."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.html")):
        for link in _Page(path.read_text("utf-8")).links:
            if link.startswith(("http://", "https://")):
                found.setdefault(urldefrag(link)[0], str(path.relative_to(folder)))
    for path in texts:
        for link in re.findall(r"\]\((https?://[^)\s]+)\)", path.read_text("utf-8")):
            found.setdefault(urldefrag(link)[0], path.name)
    return found


def report(addresses: dict[str, str]) -> int:
    """Ask each of *addresses*, print what is wrong and how many answered, and return the exit code.

    0: all answered. 1: a page does not exist. 3: nothing is known to be wrong, but some could not be asked from here.
    """
    with ThreadPoolExecutor(8) as threads:
        answers = dict(zip(addresses, threads.map(_ask, addresses), strict=True))
    gone = [address for address, answer in answers.items() if answer in _GONE]
    unknown = [address for address, answer in answers.items() if answer not in (200, *_GONE)]
    answered = len(answers) - len(gone) - len(unknown)
    for address in gone:
        print(f"{address}: does not exist (HTTP {answers[address]}), named in {addresses[address]}")
    for address in unknown:
        print(f"{address}: could not be checked ({answers[address]}), named in {addresses[address]}")
    counts = f"{answered} answered, {len(gone)} do not exist, {len(unknown)} could not be checked from here"
    print(f"Addresses outside: {counts}")
    return 1 if gone else 3 if unknown else 0


def _ask(address: str) -> int | str:
    """Return 200 if *address* answers with a page, another status of HTTP, or why it could not be asked."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (brender's documentation)"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return 200 if answer.status < 300 else int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))

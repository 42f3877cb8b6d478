"""`brender docs`: open the documentation."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import click

from brender.commands.output import say
from brender.model.errors import BadInput, NotFound
from brender.model.symptoms import SYMPTOMS
from brender.system import manual


@click.command(short_help="Open the documentation, or one page of it.")
@click.argument("page", default="")
@click.option("--print", "only_print", is_flag=True, help="Print the page's address, and open nothing.")
@click.option("--list", "lists", is_flag=True, help="List the pages and the symptoms.")
def docs(page: str, only_print: bool, lists: bool) -> None:
    """Open the documentation of this version in the browser: all of it, a PAGE (`services`), or a symptom (`black-frames`).

    It is read from this machine. A farm's dashboard serves the same pages at /docs/.
    """
    if not manual.has_manual():
        raise NotFound(
            "This installation has no built documentation, as a checkout has none at first. In the checkout, "
            f"`pip install -e '.[docs]' && python docs/build.py` builds it. {_text_of(page)}"
        )
    if lists:
        say("Pages: " + ", ".join(sorted(manual.pages())))
        say("Symptoms: " + ", ".join(SYMPTOMS))
        return
    page = _whole(page, [*SYMPTOMS, *manual.pages()])
    address = (manual.FOLDER / "index.html").as_uri().replace("index.html", _place(page))
    say(address)
    if not only_print:
        _open(address)


def _open(address: str) -> None:
    """Open *address* in the browser. If there is none, the user still has the printed address."""
    if sys.platform == "linux":  # (xdg-open says in many lines that it has found none)
        quiet = subprocess.DEVNULL
        with contextlib.suppress(OSError):
            subprocess.Popen(["xdg-open", address], stdin=quiet, stdout=quiet, stderr=quiet)
    else:
        click.launch(address)


def _whole(name: str, there: Sequence[str]) -> str:
    """Return the only one of *there* that begins with *name*; *name* as it is where it is one of them, or none or several do.

    >>> _whole("black", ["black-frames", "services"])
    'black-frames'
    """
    found = [each for each in there if name and each.startswith(name)]
    return found[0] if len(found) == 1 and name not in there else name


def _text_of(name: str) -> str:
    """Return a sentence that says where the text of the page or symptom *name* is. Raises `BadInput` if there is no such text."""
    texts = {page: str(path) for page, path in manual.sources().items()}
    name = _whole(name, [*SYMPTOMS, *texts])
    if not texts:
        return "It comes with a release"
    if name in SYMPTOMS:
        return f"The section {name} is in {texts['troubleshooting']}"
    return f"Its text is in {_named(name, texts) if name else texts['index']}"


def _place(name: str) -> str:
    """Return where in the documentation the page or symptom *name* is. Raises `BadInput`."""
    if not name:
        return "index.html"
    if name in SYMPTOMS:
        return f"{manual.TROUBLESHOOTING}#{name}"
    return _named(name, manual.pages())


def _named(name: str, there: Mapping[str, str]) -> str:
    """Return what *there* has for the page *name*. Raises `BadInput`."""
    wanted = name.rpartition("/")[2].removesuffix(".html").replace("-", "_")
    if wanted not in there:
        known = [*SYMPTOMS, *there]
        near = [each for each in known if each.startswith(name)][:1] or get_close_matches(name, known, 1)
        meant = f"Is {near[0]} meant? " if near else ""
        raise BadInput(f"There is no page {name!r} in the documentation. {meant}`brender docs --list` lists them")
    return there[wanted]

"""`brender docs`: open the documentation."""

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
            "`pip install -e '.[docs]' && python docs/build.py` builds it; its text is in docs/, which begins with docs/index.rst"
        )
    if lists:
        say("Pages: " + ", ".join(sorted(manual.pages())))
        say("Symptoms: " + ", ".join(SYMPTOMS))
        return
    address = (manual.FOLDER / "index.html").as_uri().replace("index.html", _place(page))
    say(address)
    if not only_print:
        click.launch(address)


def _place(name: str) -> str:
    """Return where in the documentation the page or symptom *name* is."""
    if not name:
        return "index.html"
    if name in SYMPTOMS:
        return f"{manual.TROUBLESHOOTING}#{name}"
    there = manual.pages()
    wanted = name.rpartition("/")[2].removesuffix(".html").replace("-", "_")
    if wanted not in there:
        near = get_close_matches(name, [*there, *SYMPTOMS], 1)
        meant = f"Is {near[0]} meant? " if near else ""
        raise BadInput(f"There is no page {name!r} in the documentation. {meant}`brender docs --list` lists them")
    return there[wanted]

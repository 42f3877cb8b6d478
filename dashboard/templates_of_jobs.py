"""Templates of Open Job Description that are posted: compiled as `brender submit TEMPLATE.yaml` does, without their folder.

A template comes as text. What lies beside it on its owner's machine is not here, so that a path in it has to be a whole one.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec

from brender.engines.openjd_templates import SUFFIXES, Compiled, compile_template, parameters_of
from brender.jobs.declare import Setting
from brender.model.errors import BadInput

_TEXT_MOST = 1_000_000


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template: the ``text`` of a file that is called ``name``."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    text: Annotated[str, msgspec.Meta(max_length=_TEXT_MOST)]


def parameters(template: Template) -> tuple[Setting, ...]:
    """Return what a form asks for before *template* can be submitted. Raises `BadInput`."""
    with _as_file(template) as file:
        return parameters_of(file)


def compiled(template: Template, given: Mapping[str, Any]) -> Compiled:
    """Return the job of *template* with the parameters *given*. Raises `BadInput`."""
    with _as_file(template) as file:
        made = compile_template(file, {name: str(value) for name, value in given.items() if value is not None}, file.parent)
        if f"{file.parent}" in made.settings["steps"]:
            lost = [said for said in made.settings["given"] if f"{file.parent}" in said]
            names = ", ".join(said.partition(":")[0] for said in lost) or "A path of it"
            raise BadInput(
                f"{names} is a path beside the template, which is not on the farm: give the whole path, as the workers see it"
            )
        return made


@contextmanager
def _as_file(template: Template) -> Iterator[Path]:
    """Yield *template* as a file in a folder of its own; what is said of that names the template alone. Raises `BadInput`."""
    if not template.name.lower().endswith(SUFFIXES) or "/" in template.name or "\\" in template.name or "\0" in template.name:
        raise BadInput(f"{template.name!r} is not a template: the name of one ends with {', '.join(SUFFIXES)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / template.name
        try:
            file.write_text(template.text, "utf-8")
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise BadInput(f"The template {template.name!r} cannot be written to a file of that name: {why}") from error
        try:
            yield file
        except BadInput as error:
            raise BadInput(str(error).replace(f"{folder}/", "")) from error

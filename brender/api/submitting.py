"""From what is to be submitted to a job that the farm has, over the bus: `brender submit` and `Farm.submit` alike."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from brender.api.connection import Asking, Notify, silent
from brender.api.job_types import check_needs_no_blend, check_said_once, option_settings, with_script, with_whole_paths
from brender.api.jobspec import (
    blender_job,
    check_facts,
    chosen_configuration,
    command_job,
    other_job,
    placed_folder,
    seen_elsewhere,
    shared_folder,
    shared_path,
)
from brender.api.place import Place
from brender.api.replaced import with_what_it_replaces
from brender.api.sending import Showing, send_addons, send_files, send_pack
from brender.blendfile.facts import inspect
from brender.blendfile.packing import Packed
from brender.bus.client import Client
from brender.engines.destination import output_folder
from brender.jobs.blender_still import PIECES
from brender.jobs.declare import job_type
from brender.jobs.no_blend import has_blend
from brender.jobs.video import main_of, to_send
from brender.model.errors import BadInput, BrenderError
from brender.model.job import JobSpec
from brender.store.datafolder import DataFolder

_THEIR_OWN_PATHS = "The workers have to see these files under the same paths; --send sends them"


@dataclass
class Wanted:
    """A job to be submitted, of the type *kind*, which *chosen* declares (brender's own, or one of a file), with the
    settings *given*. *options*: those of a render (`brender.commands.jobspec.render_options`); *words*: the .blend, or a program
    and its arguments; *called*: its name, unless it is the type's; *more*: what else its `JobSpec` has; *send*: its files travel
    to the farm; *site*: where this machine stands, for paths."""

    chosen: Any
    kind: str
    given: dict[str, Any]
    options: dict[str, Any]
    words: Sequence[str] = ()
    called: str | None = None
    more: dict[str, Any] | None = None
    send: bool = False
    site: str = ""


def submit(
    wanted: Wanted,
    place: Place,
    showing: Showing,
    may_begin: Callable[[Asking], None],
    notify: Notify = silent,
) -> tuple[JobSpec, dict[str, Any]]:
    """Submit what is *wanted* to the farm at *place*; returns the job, and what the farm says of it. *may_begin* is asked before
    anything is sent, and raises `BadInput` where it may not; *showing* shows how far files are. Raises `BrenderError`."""
    spec = specified(wanted, place, showing, may_begin, notify)
    with place.client() as connection:
        if not wanted.send:
            may_begin(connection)
        return spec, handed_in(connection, spec, place)


def handed_in(connection: Client, spec: JobSpec, place: Place) -> dict[str, Any]:
    """Submit *spec* by *connection*, with a warning of the files that it replaces; returns what the farm says of it."""
    # (What was sent is rendered to a folder of the server's machine, which this one may not be.)
    is_seen = not spec.bundle or place.is_here
    return connection.submit(with_what_it_replaces(connection, spec) if is_seen else spec)


def specified(
    wanted: Wanted, place: Place, showing: Showing, may_begin: Callable[[Asking], None], notify: Notify = silent
) -> JobSpec:
    """Return the job that is *wanted*, with its files on the farm where they travel. Raises as `submit` does."""
    chosen, kind, given, called, options, words = (
        wanted.chosen,
        wanted.kind,
        wanted.given,
        wanted.called,
        dict(wanted.options),
        wanted.words,
    )
    more = dict(wanted.more or {})
    check_said_once(options, given)
    if not hasattr(chosen, "prepare"):  # it is of a file
        given = option_settings(options, chosen.settings, kind) | given if not chosen.base else given
        kind, given = chosen.compile(given)
        called = called or chosen.label
    if kind == "script":
        given = with_script(given)
    given = with_whole_paths(given)
    if has_blend(job_type(kind).settings):
        return _render(wanted, kind, given, options, more, place, showing, may_begin, notify)
    if wanted.send and kind != "video":
        raise BadInput(f"A job of the type {kind} runs programs of the workers, and has no files that travel: leave out --send")
    check_needs_no_blend(options, wanted.kind, job_type(kind).engine)
    if hasattr(chosen, "prepare") or chosen.base:
        given |= option_settings(options, job_type(kind).settings, wanted.kind)
    is_program = wanted.kind == "command" and (words or "program" not in given)
    if words and not is_program:
        raise BadInput(
            f"A job of the type {wanted.kind} has its files and values by --set, and no use for {words[0]}: leave it out"
        )
    more["site_addons"] = not options["no_site_addons"]
    output = _folder(wanted, place, options["output"])
    if given.get("copy_to"):
        given["copy_to"] = _folder(wanted, place, given["copy_to"])
    if is_program:
        return command_job(tuple(words), given, called, output, **more)
    if wanted.send:
        given, more["bundle"] = _sent(given, place, showing, may_begin, notify)
    return other_job(kind, given, called, output, **more)


def _folder(wanted: Wanted, place: Place, named: str | Path | None) -> str:
    """Return the one spelling of a folder that is *named* for what a job that renders no .blend writes, or "". Raises
    `BrenderError`."""
    output = str(named or "")
    if output.startswith("//") and os.name != "nt":  # (where a server's name begins with two slashes)
        raise BadInput(f"{output} is a folder beside the .blend, and a job of the type {wanted.kind} has none: give a whole path")
    if not output or wanted.send:
        return output_folder(output) if output else ""
    with place.client() as connection:
        variables = connection.ask("paths")
    return placed_folder(Path(output_folder(output)), partial(shared_folder, variables=variables, site=wanted.site))


def _sent(
    given: dict[str, Any],
    place: Place,
    showing: Showing,
    may_begin: Callable[[Asking], None],
    notify: Notify,
) -> tuple[dict[str, Any], str]:
    """Send the pictures and the sound of a film of pictures; return the settings of its job then, and its bundle."""
    ocio = chosen_configuration(given.get("ocio"))
    settings, files = to_send(given)
    with place.client() as connection:
        may_begin(connection)
    pack = Packed(main_of(settings), {path: Path(file) for path, file in files.items()})
    sent = send_pack(pack, place, ocio, notify, showing)
    return settings | {"ocio": sent["ocio"]}, sent["bundle"]


def _render(
    wanted: Wanted,
    kind: str,
    given: dict[str, Any],
    options: dict[str, Any],
    more: dict[str, Any],
    place: Place,
    showing: Showing,
    may_begin: Callable[[Asking], None],
    notify: Notify,
) -> JobSpec:
    """Return the job of the type *kind* that renders a .blend."""
    options |= {name: value for name, value in given.items() if options.get(name) in (None, ())}
    if kind == "blender-still" and options["pieces"] is None:
        options["pieces"] = PIECES
    options["progressive"] |= kind == "blender-progressive"
    if len(wanted.words) != 1:
        raise BadInput("Name one .blend to submit")
    file = Path(wanted.words[0])
    facts = inspect(file)
    if wanted.send:
        check_facts(facts, options)
        with place.client() as connection:
            may_begin(connection)
        ocio = chosen_configuration(options["ocio"])
        more["addons"] = send_addons(options["addons"], place, showing)
        facts, sent = send_files(file, facts, place, ocio, notify, showing)
        more |= sent
        options["ocio"] = more.pop("ocio")
    elif not DataFolder(place.data).local_key.exists():
        notify(_THEIR_OWN_PATHS)
    try:
        with place.client() as connection:
            variables = connection.ask("paths")
        if not wanted.send:
            more["addons"] = send_addons(options["addons"], place, showing)
    except BrenderError:
        check_facts(facts, options)  # what is wrong with the file is said first
        raise
    if not wanted.send:
        facts = seen_elsewhere(facts, variables, wanted.site)
    known = {"variables": variables, "site": wanted.site}
    shared, placed = partial(shared_path, **known), partial(shared_folder, **known)
    return blender_job(file, options, shared, facts, placed, kind, notify, **more)

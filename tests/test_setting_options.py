"""The command line has an option for each setting that brender's job types for renders declare, made from the declaration."""

from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from brender.commands.changes import change_options
from brender.commands.edits import clone, edit
from brender.commands.farm import render
from brender.commands.jobspec import render_options
from brender.commands.setting_options import help_of, help_of_change, option_of
from brender.commands.submit import submit
from brender.jobs import declare
from brender.jobs.declare import NEXT, PICTURE, Setting, edited_settings, job_type, render_settings, submitted_types
from brender.model.errors import BadInput

BLENDER = ("blender-animation", "blender-progressive", "blender-still", "blender-bake")
#: Those that the command line had before they were made from the declarations: scripts name them.
EARLIER = {
    *("--frames", "--chunk", "--pieces", "--split", "--progressive", "--passes", "--noise", "--until", "--order", "--scene"),
    *("--view-layer", "--camera", "--engine", "--resolution", "--samples", "--format", "--film", "--denoise-after", "--copy-to"),
    *("--pattern", "--output", "--overwrite", "--process", "--device", "--persistent", "--blender-series", "--ocio", "--trusted"),
    *("--addon", "--no-site-addons", "--allow-missing", "--name"),
}
#: And those of `brender edit` and `brender clone`.
EARLIER_CHANGES = {
    *("--name", "--project", "--new-project", "--priority", "--tag", "--no-tags", "--stall-minutes", "--limit-minutes"),
    *("--most-workers", "--licence", "--no-licences", "--pool", "--cores", "--gpu-memory", "--set"),
    *("--frames", "--samples", "--resolution", "--format", "--pattern", "--engine", "--camera"),
}


@pytest.mark.parametrize("kind", BLENDER)
def test_every_setting_that_a_blender_type_declares_has_its_option_with_its_help(kind: str) -> None:
    for command in (submit, render):
        options = {each.name: each for each in command.params if isinstance(each, click.Option)}
        for setting in job_type(kind).settings:
            if setting.hidden or setting.name == "file":
                continue
            option = options[setting.name]
            assert setting.flag in option.opts
            if (command, setting.name) != (render, "threads"):  # (which is of the workers there)
                assert option.help == help_of(render_settings()[setting.name])


@pytest.mark.parametrize("kind", submitted_types())
def test_every_setting_of_a_type_that_an_edit_or_a_clone_may_change_has_its_option_there_with_its_help(kind: str) -> None:
    named, of_renders = {edit: edited_settings(), clone: edited_settings() | render_settings()}, kind in BLENDER
    for command, settings in named.items():
        options = {each.name: each for each in command.params if isinstance(each, click.Option)}
        for setting in job_type(kind).settings:
            may_change = setting.edit or (of_renders and command is clone)
            if not setting.hidden and setting.name != "file" and may_change:
                option = options[setting.name]
                assert setting.flag in option.opts
                assert option.help == help_of_change(settings[setting.name], of_edit=command is edit)
            elif command is edit and setting.name not in settings:
                assert setting.name not in options, "it is refused"


def test_no_option_that_there_was_has_another_name() -> None:
    for command in (submit, render):
        assert {name for each in command.params for name in each.opts} >= EARLIER
    for command in (edit, clone):
        assert {name for each in command.params for name in each.opts} >= EARLIER_CHANGES


def test_a_help_has_the_options_of_a_render_in_the_groups_of_their_settings() -> None:
    said = CliRunner().invoke(submit, ["--help"]).output
    places = [said.index(f"\n{group}:\n") for group in ("Options", *declare.GROUPS)]
    assert places == sorted(places)
    *_, files, film, machines = places
    assert files < said.index("--copy-to PATH") < film < said.index("--film-codec") < machines < said.index("--threads")


def test_a_setting_of_a_type_that_is_added_gets_its_option_its_help_and_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (
        Setting("grain", int, "how coarse it is", lowest=1, highest=9, default=2, group=PICTURE, spelled=(("fine", 1),)),
        Setting("glow", bool, "whether it glows", default=False, option="--shine", group=PICTURE, edit=NEXT),
        Setting("tones", list, "its tones", default=[], group=PICTURE),
    )
    monkeypatch.setattr(declare, "BUILT_IN", (*declare.BUILT_IN, "blender_print"))
    monkeypatch.setitem(declare._loaded(), "blender-print", SimpleNamespace(name="blender-print", settings=settings))
    given: dict[str, Any] = {}

    @click.command()
    @render_options()
    def command(**options: Any) -> None:
        given.update({each.name: options[each.name] for each in settings})

    words = ["--grain", "fine", "--no-shine", "--tones", "a", "--tones", "b"]
    assert CliRunner().invoke(command, words).exit_code == 0
    assert given == {"grain": 1, "glow": False, "tones": ("a", "b")}
    assert "How coarse it is (1 to 9). [default: 2]" in " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "is neither a whole number nor fine" in CliRunner().invoke(command, ["--grain", "coarse"]).output
    with pytest.raises(BadInput, match="it goes from 1 to 9"):
        settings[0].check(10)
    for of_edit, names in ((True, {"glow"}), (False, {"grain", "glow", "tones"})):
        changing = click.command(change_options(of_edit=of_edit)(lambda **options: None))
        options = {each.name: each for each in changing.params if isinstance(each, click.Option)}
        assert options.keys() & {"grain", "glow", "tones"} == names
        assert (options["glow"].help or "").endswith("Finished frames stay.") == of_edit


def test_a_choice_may_be_written_in_small_letters() -> None:
    option = option_of(render_settings()["film_codec"])
    assert option.type.convert("prores", option, None) == "PRORES"

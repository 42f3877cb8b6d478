"""The documentation says what is so: its command lines are understood, its links lead somewhere, and messages lead to it."""

import http.server
import importlib.util
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks.__main__ import NAMES, figure_of, machine, page
from brender.commands.config import run
from brender.commands.main import brender
from brender.commands.roles import dashboard_main, manager_main, monitor_main, server_main, worker_main  # noqa: F401
from brender.engines.disk_space import shortage
from brender.model.errors import BadInput
from brender.model.stuck import STUCK
from brender.model.symptoms import SYMPTOMS, more_about, symptom_of
from brender.scheduling.reasons import NO_WORKER
from brender.store.datafolder import DataFolder
from brender.system import manual
from tests.tools import command
from tests.web import Browser, application, make_users

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.rst")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
PAGES = [each for each in PAGES if "generated" not in each.parts]
TROUBLESHOOTING = (ROOT / "docs" / "howto" / "troubleshooting.rst").read_text("utf-8")
#: Programs of the documentation that are roles of their own, by the word that `brender role` has for them.
ROLES = {f"brender-{name}": name for name in ("server", "manager", "worker", "dashboard", "monitor")}


def quoted(text: str) -> Iterator[str]:
    """The command lines of brender that a page quotes: those in blocks of code, and those in a sentence."""
    for line in code(text.splitlines()):
        if found := re.match(r"\s*(?:\$ )?(?:sudo (?:-u \w+ )?)?(brender(?:-\w+)?(?: .*)?)$", line):
            yield found[1]
    for found in re.finditer(r"``?(brender(?:-(?:server|manager|worker|dashboard|monitor))?(?: [^`]*)?)``?", text):
        yield found[1]


def code(lines: list[str]) -> Iterator[str]:
    """The lines of a page that are in blocks of code."""
    fenced, margin = False, None
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
        indent = len(line) - len(line.lstrip())
        if margin is not None and line.strip() and indent <= margin:
            margin = None
        if fenced or margin is not None:
            yield line
        elif re.search(r"::$|^\s*\.\. code-block::", line) and ".. list-table" not in line:
            margin = indent


def parts(line: str) -> Iterator[list[str]]:
    """The words of each of brender's commands in *line*, without what a shell does with them."""
    for piece in re.split(r"&&|\|(?=\s)|;|\s&(?:\s|$)", re.sub(r"\s#\s.*|\s{2,}[#→].*", "", line)):
        try:
            words = shlex.split(piece.strip(), comments=False)
        except ValueError:
            continue
        if words and (words[0] == "brender" or words[0] in ROLES):
            yield ["role", ROLES[words[0]], *words[1:]] if words[0] in ROLES else words[1:]


def check(words: list[str]) -> None:
    """Raise `click.UsageError` where the command line does not know such a command, or it has no such option."""
    group: click.Command = brender
    context = click.Context(group, info_name="brender")
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        if not re.fullmatch(r"[a-z-]+", words[0]):
            return  # a placeholder, such as COMMAND or …
        found = group.get_command(context, words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]!r}")
        group, words = found, words[1:]
        context = click.Context(group, **(group.context_settings | {"allow_extra_args": True}))
    if words and not isinstance(group, click.Group):
        group.make_parser(context).parse_args([word for word in words if word not in ("…", "...")])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_command_line_that_a_page_quotes_is_one_that_brender_knows(path: Path) -> None:
    wrong = []
    for line in quoted(path.read_text("utf-8")):
        for words in parts(line):
            try:
                check(words)
            except click.BadOptionUsage:
                continue  # a sentence names an option without its value
            except click.UsageError as error:
                wrong.append(f"{line}: {error.format_message()}")
    assert not wrong


def test_a_command_line_that_brender_does_not_know_is_noticed() -> None:
    for line in ("brender sumbit shot.blend", "brender submit shot.blend --framez 1-3", "brender-worker --jion TOKEN"):
        with pytest.raises(click.UsageError):
            check(next(parts(line)))


@pytest.mark.parametrize(
    "path", [each for each in PAGES if each.suffix == ".md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_links_of_pages_in_markdown_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8"))
    assert [each for each in links if "://" not in each and not (path.parent / each).exists()] == []


def test_a_link_within_the_pages_that_leads_nowhere_is_noticed_and_an_address_outside_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a><a href="#top">4</a>'
        '<a href="https://x.example/page#part">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="https://x.example/page">6</a>')
    links = docs_module("links")
    assert links.broken_within(tmp_path) == ["a.html links to b.html#gone", "a.html links to c.html"]
    assert links.outside(tmp_path) == {"https://x.example/page": "a.html"}


def test_an_address_that_does_not_exist_is_told_from_one_that_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        links = docs_module("links")
        assert links.report({f"{here}/": "a"}) == 0
        assert links.report({f"{here}/": "a", f"{here}/no-such-page": "b", "http://127.0.0.1:1/": "c"}) == 1
        server.shutdown()
    assert links.report({"http://127.0.0.1:1/": "c"}) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Addresses outside: 0 answered, 0 do not exist, 1 could not be checked from here"
    assert f"{here}/no-such-page: does not exist (HTTP 404), named in b" in lines


def docs_module(name: str) -> Any:
    """Import the program *name* of docs, which is not a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^   ((?:tutorials|howto|reference|explanation)/\S+)$", (ROOT / "docs" / "index.rst").read_text(), re.M)
    there = {each.relative_to(ROOT / "docs").with_suffix("").as_posix() for each in PAGES if each.is_relative_to(ROOT / "docs")}
    assert there - {"index"} == {each for each in listed if "generated" not in each}


def test_every_symptom_is_a_section_of_the_page_of_symptoms() -> None:
    assert set(SYMPTOMS) == set(re.findall(r"^\.\. _([\w-]+):$", TROUBLESHOOTING, re.M))


def test_each_page_that_a_message_names_exists() -> None:
    sources = [path for part in ("brender", "dashboard") for path in (ROOT / part).rglob("*.py") if "manual" not in path.parts]
    named = {name for path in sources for name in re.findall(r"`brender docs ([a-z][a-z-]*)`", path.read_text("utf-8"))}
    assert named and {name for name in named if name.replace("-", "_") not in manual.sources()} <= set(SYMPTOMS)


def test_messages_lead_to_the_section_about_their_symptom() -> None:
    assert symptom_of(NO_WORKER) == "nothing-renders"
    assert symptom_of("Frame 3 is all black") == "black-frames"
    assert symptom_of(f"first {STUCK}: frame 7 of shot shows no progress for 3 minutes and computes nothing") == "hangs"
    assert symptom_of("Missing file: /tmp/field.hdr (used by image field.hdr of shot.blend)") == "pink-frames"
    assert symptom_of(shortage([ROOT], 2**80)) == "disk-full"
    assert symptom_of("The job is completed") is None and more_about("The job is completed") is None


def test_an_error_names_the_section_that_helps_where_people_read_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(command(capsys, "jobs", "--data", tmp_path).err.splitlines()) == 1
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert command(capsys, "jobs", "--data", tmp_path).err.splitlines()[-1] == "More: `brender docs server-silent`"


def test_a_checkout_without_built_pages_says_how_they_are_built(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual, "FOLDER", tmp_path)
    said = command(capsys, "docs")
    assert said.code == 2 and "python docs/build.py" in said.err


def test_pages_and_symptoms_are_opened_by_name(capsys: pytest.CaptureFixture[str], built: Path) -> None:
    assert command(capsys, "docs", "services", "--print").out.strip() == (built / "howto" / "services.html").as_uri()
    assert command(capsys, "docs", "howto/services", "--print").out == command(capsys, "docs", "services", "--print").out
    assert command(capsys, "docs", "black-frames", "--print").out.strip().endswith("troubleshooting.html#black-frames")
    said = command(capsys, "docs", "servises")
    assert said.code == BadInput.exit_code and "Is services meant?" in said.err
    assert command(capsys, "docs", "black", "--print").out == command(capsys, "docs", "black-frames", "--print").out
    assert "Is needs-trust meant?" in command(capsys, "docs", "n").err


def test_a_machine_without_a_browser_prints_the_address_alone(
    capfd: pytest.CaptureFixture[str], built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text("#!/bin/sh\necho no method available >&2\nexit 3\n")
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SystemExit):
        run(brender, ["docs", "services"])
    assert capfd.readouterr() == (f"{(built / 'howto' / 'services.html').as_uri()}\n", "")


def test_a_dashboard_serves_the_pages_before_anybody_signs_in(folder: DataFolder, built: Path) -> None:
    browser = Browser(application(folder), name="")
    assert browser.get("/docs/").text == "all pages"
    answer = browser.get("/docs/howto/services.html")
    assert answer.text == "of services" and "script-src 'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
    assert browser.get("/docs/../pages.py").status_code == 404


def test_pages_lead_from_what_they_say_to_the_documentation_where_it_is_there(
    folder: DataFolder, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_users(folder)
    assert "black-frames" in Browser(application(folder)).get("/").text
    monkeypatch.setattr(manual, "FOLDER", built / "nowhere")
    assert "black-frames" not in Browser(application(folder)).get("/").text


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "howto").mkdir()
    (tmp_path / "index.html").write_text("all pages")
    (tmp_path / "howto" / "services.html").write_text("of services")
    monkeypatch.setattr(manual, "FOLDER", tmp_path)
    return tmp_path


def test_one_command_runs_every_benchmark() -> None:
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "report(" in path.read_text("utf-8")}
    assert set(NAMES) == programs - {"report", "__main__"}


def test_the_page_of_a_run_of_benchmarks_names_the_machine_and_each_figure() -> None:
    figure = figure_of("dispatch", '{"figure": "tasks a second", "value": 18000.0, "unit": "1/s", "against": "", "ratio": null}')
    assert figure is not None and figure_of("dispatch", "warming up") is None
    text = page(machine(), [figure], ["keys"])
    assert machine()["machine"] in text and "``benchmarks.dispatch``" in text and "18,000.0 1/s" in text and "keys" in text


@pytest.mark.thorough
@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="Sphinx is not installed")
def test_the_documentation_is_built_without_a_warning_and_runs_no_script_that_stands_in_a_page(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, 'docs'); import build, links, pathlib; into = pathlib.Path({str(tmp_path / 'out')!r}); "
        "build.build(into); print(*links.broken_within(into), sep='\\n', end='')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "links that lead nowhere"
    pages = list((tmp_path / "out").rglob("*.html"))
    assert len(pages) > 40 and not any("<script>" in each.read_text("utf-8") for each in pages)

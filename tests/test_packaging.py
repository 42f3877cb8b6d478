"""What is installed is all of it."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages

ROOT = Path(__file__).parent.parent


def test_every_folder_with_code_is_in_the_wheel_and_tests_are_not() -> None:
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    include = settings["options.packages.find"]["include"].split()
    packed = set(find_namespace_packages(str(ROOT), include=include))
    folders = {path.parent.relative_to(ROOT) for top in ("brender", "dashboard") for path in (ROOT / top).rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} <= packed
    assert not [name for name in packed if name.split(".")[0] in ("tests", "benchmarks", "docs")]


def test_every_browser_library_has_its_licence_beside_it() -> None:
    for folder in (ROOT / "dashboard" / "static" / "vendor").iterdir():
        assert list(folder.glob("[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*")), folder.name

"""OpenColorIO configurations: whose is in force, whether it can be read, which files it needs, and how it travels with a job."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brender.model.errors import BadInput
from brender.model.paths import BUILT_IN

#: What names the configuration to Blender: the first from 5.0 on.
VARIABLES = ("BLENDER_OCIO", "OCIO")
_FOLDER = "_ocio"
_SEARCH_PATH = re.compile(r"^search_path:[ \t]*(?P<value>\[[^\]]*\]|[^\n]+|(?:\n[ \t]*-[^\n]*)+)", re.MULTILINE)
_FILE = re.compile(r"""!<FileTransform>[^}]*?\bsrc:\s*(?P<src>"[^"]*"|'[^']*'|[^,}\n]+)""", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?|%(\w+)%")
_TOO_NEW = "This version of the OpenColorIO library"


@dataclass(frozen=True)
class Configuration:
    """A configuration's file, and what it says: the folders that it searches, and the LUTs that it names with the file that each
    is (``None`` if that file is missing)."""

    path: Path
    text: str
    folders: tuple[str, ...]
    luts: dict[str, Path | None]

    @property
    def files(self) -> list[Path]:
        """All that it needs: itself, and its LUTs that are there."""
        return [self.path, *(lut for lut in self.luts.values() if lut is not None)]

    @property
    def warnings(self) -> list[str]:
        """What the job's owner should know of it."""
        missing = [name for name, lut in self.luts.items() if lut is None]
        if not missing:
            return []
        return [f"The OCIO configuration {self.path} names LUTs that are not there: {', '.join(missing[:10])}"]


def own_configuration() -> str:
    """Return the configuration that this process's environment names, or "" if it names none."""
    return next((value for name in VARIABLES if (value := os.environ.get(name, ""))), "")


def environment_of(configuration: str) -> dict[str, str]:
    """Return the environment in which Blender uses *configuration*; nothing for ""."""
    return dict.fromkeys(VARIABLES, configuration) if configuration else {}


def check_configuration(name: str) -> None:
    """Raise `BadInput` where the configuration *name* (a path, or one of OpenColorIO's own) is not there or cannot be read."""
    import OpenImageIO as oiio

    remedy = "Name another with --ocio, or --ocio none to leave it to the workers"
    if not name.startswith(BUILT_IN) and not Path(name).is_file():
        raise BadInput(f"There is no OCIO configuration {name}. {remedy}")
    configuration = oiio.ColorConfig(name)
    problem = configuration.geterror()
    if problem and _TOO_NEW not in problem:  # (too new for what is installed here: the workers' Blenders may know it)
        raise BadInput(f"The OCIO configuration {name} cannot be read: {problem.strip().splitlines()[0]}. {remedy}")
    if not problem and not configuration.getDisplayNames():
        raise BadInput(f"The OCIO configuration {name} has no displays, so Blender would use its own instead. {remedy}")


def read_configuration(path: Path) -> Configuration:
    """Read what the configuration *path* says of files. Raises `BadInput`."""
    if path.suffix.lower() == ".ocioz":
        return Configuration(path, "", (), {})  # an archive, with all that it needs
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The OCIO configuration {path} cannot be read: {error}") from error
    folders = tuple(_folders(text)) or ("",)
    names = dict.fromkeys(_unquoted(match["src"]) for match in _FILE.finditer(text))
    return Configuration(path, text, folders, {name: _found(path.parent, folders, name) for name in names})


def configuration_files(name: str) -> list[Path]:
    """Return the files of the configuration *name*, as far as it can be read; none for "" or one of OpenColorIO's own."""
    if not name or name.startswith(BUILT_IN):
        return []
    try:
        return read_configuration(Path(name)).files
    except BadInput:
        return [Path(name)]


def configuration_to_send(name: str, folder: Path, within: Path | None = None) -> tuple[str, dict[str, Path]]:
    """Return the path that the configuration *name* has among a job's files, and for each path that it adds to them the file
    that is to lie there: itself and its LUTs, those *within* that folder only. A copy with other paths, where it needs one, is
    written to *folder*. Raises `BadInput`."""
    if not name or name.startswith(BUILT_IN):
        return name, {}
    read = read_configuration(Path(name).absolute())
    root = read.path.parent
    stays = [folder for folder in read.folders if _is_below(root / _expanded(folder), root)]
    text, files = read.text, {}
    for number, (lut, path) in enumerate(read.luts.items()):
        if path is None or (within is not None and not _is_below(path, within)):
            continue
        if stays == list(read.folders) and _is_below(path, root) and not _VARIABLE.search(lut) and not Path(lut).is_absolute():
            files[f"{_FOLDER}/{Path(os.path.normpath(path)).relative_to(root).as_posix()}"] = path
            continue
        place = f"luts/{number}-{path.name}"
        files[f"{_FOLDER}/{place}"] = path
        text = re.sub(rf"""(\bsrc:\s*)(?:(["']){re.escape(lut)}\2|{re.escape(lut)}(?=\s*[,}}\n]))""", rf'\1"{place}"', text)
    source = read.path
    if text != read.text:
        text = _SEARCH_PATH.sub("search_path: " + ":".join([".", *filter(None, stays)]), text)
        source = folder / "config.ocio"
        source.write_text(text, "utf-8")
    main = f"{_FOLDER}/{read.path.name}"
    return main, files | {main: source}


def _is_below(path: Path, root: Path) -> bool:
    """Return whether *path* lies in *root*, by its name and in truth."""
    return Path(os.path.normpath(path)).is_relative_to(root) and path.resolve().is_relative_to(root.resolve())


def _folders(text: str) -> Iterator[str]:
    found = _SEARCH_PATH.search(text)
    value = found["value"].strip() if found else ""
    if value.startswith("["):
        values = value[1:-1].split(",")
    elif value.startswith("-"):
        values = [line.strip().removeprefix("-") for line in value.splitlines()]
    else:
        values = _unquoted(value).split(":")
    yield from (_unquoted(each) for each in values if each.strip())


def _found(root: Path, folders: tuple[str, ...], name: str) -> Path | None:
    """Return the file that the LUT *name* of a configuration in *root* is, by its *folders* in turn."""
    places = [root / _expanded(folder) / _expanded(name) for folder in (*folders, "")]
    return next((place for place in places if place.is_file()), None)


def _expanded(text: str) -> str:
    """Return *text* with this process's environment for the variables in it."""
    return _VARIABLE.sub(lambda match: os.environ.get(match[1] or match[2], match[0]), text)


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()

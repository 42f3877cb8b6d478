"""Path variables: one folder that machines share, and where each platform and site has it. Pure.

``{projects}`` may be ``/mnt/projects`` on Linux, ``P:\\`` on Windows and ``/Volumes/projects`` on macOS, and elsewhere again at
another site. A path is kept with the variable at its beginning, and each machine reads its own place there.
"""

import ntpath
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

import msgspec

from brender.model.errors import BadInput

Platform = Literal["linux", "windows", "macos"]
PLATFORMS: tuple[Platform, ...] = ("linux", "windows", "macos")

#: How the names of OCIO configurations begin that are part of OpenColorIO itself, and no files.
BUILT_IN = "ocio://"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"\{([a-z][a-z0-9_-]{0,31})\}(?=[/\\]|$)")
#: Settings that name files in the output folder: braces in them stand for other things.
_NAMES_OF_FILES = {"pattern", "film"}
_OF_WINDOWS = re.compile(r"/?[A-Za-z]:[/\\]|\\\\")
_SITE = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


class PathVariable(msgspec.Struct, frozen=True):
    """Where one platform has the folder that the variable ``name`` stands for. ``site`` "": at every site that has no own."""

    name: str
    platform: Platform
    path: str
    site: str = ""


def platform_of(system: str) -> Platform:
    """Return the platform of a machine that says of itself what ``platform.platform`` or ``platform.system`` do.

    >>> platform_of("Linux-6.1-x86_64"), platform_of("Windows-11"), platform_of("macOS-14.5-arm64")
    ('linux', 'windows', 'macos')
    """
    word = system.lower()
    return "windows" if word.startswith("win") else "macos" if word.startswith(("mac", "darwin")) else "linux"


def check_variable(variable: PathVariable) -> PathVariable:
    """Return *variable*, its path without an end that means nothing. Raises `BadInput` if it is not a path variable."""
    if not _NAME.fullmatch(variable.name):
        raise BadInput(
            f"{variable.name!r} cannot be a path variable's name: it begins with a letter, and has up to 32 small letters, "
            "digits, - and _"
        )
    if variable.platform not in PLATFORMS:
        raise BadInput(f"{variable.platform!r} is not a platform; there are: {', '.join(PLATFORMS)}")
    check_site(variable.site)
    pure = _pure(variable.platform, variable.path)
    if not pure.is_absolute() or ".." in pure.parts:
        example = "P:\\projects" if variable.platform == "windows" else "/mnt/projects"
        raise BadInput(f"{variable.path!r} is not an absolute path on {variable.platform}: give one such as {example}")
    return msgspec.structs.replace(variable, path=str(pure))


def check_site(site: str) -> str:
    """Return *site*, if it can be a site's name. Raises `BadInput`."""
    if site and not _SITE.fullmatch(site):
        raise BadInput(f"{site!r} cannot be a site's name: it has up to 32 small letters, digits, '.', - and _")
    return site


def places(variables: Iterable[PathVariable], platform: Platform, site: str = "") -> dict[str, str]:
    """For a machine of *platform* at *site*: where it has each variable's folder."""
    mine = [each for each in variables if each.platform == platform and each.site in ("", site)]
    return {each.name: each.path for each in sorted(mine, key=lambda each: each.site != "")}


def paths_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return those of a job's *settings* that may be paths, which a variable can begin."""
    return {name: value for name, value in settings.items() if isinstance(value, str) and name not in _NAMES_OF_FILES}


def variables_in(*texts: str) -> frozenset[str]:
    """Return the names of the variables that begin any of *texts*."""
    return frozenset(found.group(1) for text in texts if (found := _VARIABLE.match(text)))


def expand(text: str, here: Mapping[str, str], platform: Platform) -> str:
    """Return *text* with the variable at its beginning read from *here* (`places`). Raises `BadInput` where that has no such
    variable.

    >>> expand("{projects}/shot/a.blend", {"projects": "P:\\\\"}, "windows")
    'P:\\\\shot\\\\a.blend'
    """
    found = _VARIABLE.match(text)
    if found is None:
        return text
    name = found.group(1)
    if name not in here:
        raise BadInput(
            f"{{{name}}} has no place on this machine ({platform}): `brender path set {name} --{platform} FOLDER` gives it one"
        )
    rest = [part for part in re.split(r"[/\\]+", text[found.end() :]) if part]
    return str(_pure(platform, here[name]).joinpath(*rest))


def collapse(path: str, variables: Iterable[PathVariable], platform: Platform, site: str = "") -> str:
    """Return *path*, of a machine of *platform* at *site*, with a variable for its beginning where one fits; the longest, where
    several do. The other way round of `expand`.

    >>> collapse("P:\\\\shot\\\\a.blend", [PathVariable("projects", "windows", "P:\\\\")], "windows")
    '{projects}/shot/a.blend'
    """
    pure = _pure(platform, path)
    best: tuple[int, str] | None = None
    for name, root in places(variables, platform, site).items():
        base = _pure(platform, root)
        if pure.is_relative_to(base) and ".." not in pure.parts and (best is None or len(base.parts) > best[0]):
            rest = pure.relative_to(base).as_posix()
            best = len(base.parts), f"{{{name}}}" if rest == "." else f"{{{name}}}/{rest}"
    return path if best is None else best[1]


def spelled(path: str, platform: Platform) -> str:
    """Return *path*, of a machine of *platform*, as one is compared with others: it lies below those that it begins with.

    A volume of macOS usually finds a file by any case, and by either coding of an "é". Where one does not, the machine itself
    refuses what lies elsewhere.

    >>> spelled("/mnt//show/../a", "linux"), spelled("P:/Show", "windows"), spelled("/Volumes/Show", "macos")
    ('/mnt/a/', 'p:\\\\show\\\\', '/volumes/show/')
    """
    flavor = ntpath if platform == "windows" else posixpath
    if platform == "macos":
        path = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    normal: str = flavor.normcase(flavor.normpath(path))
    return normal if normal.endswith(flavor.sep) else normal + flavor.sep


def parent_of(path: str, platform: Platform) -> str:
    """Return the folder that *path*, of a machine of *platform*, lies in."""
    return str(_pure(platform, path).parent)


def is_foreign(path: str, platform: Platform) -> bool:
    """Return whether *path* is one of Windows, and *platform* another."""
    return platform != "windows" and _OF_WINDOWS.match(path) is not None


def in_own_words(path: str) -> str:
    """Return *path*, one of Windows as that writes it, though the machine that read it has made ``/P:/tex/a.png`` of it.

    >>> in_own_words("/P:/tex/a.png"), in_own_words("/mnt/tex/a.png")
    ('P:\\\\tex\\\\a.png', '/mnt/tex/a.png')
    """
    return str(PureWindowsPath(path.lstrip("/"))) if re.match(r"/?[A-Za-z]:[/\\]", path) else path


def adopt(path: str, variables: Iterable[PathVariable], platform: Platform) -> str:
    """Return *path*, or, where it is one of Windows and this machine is of another *platform*, *path* with the variable at its
    beginning that fits. Raises `BadInput` if no variable fits.

    >>> adopt("P:\\\\shot", [PathVariable("projects", "windows", "P:\\\\")], "linux"), adopt("/mnt/shot", [], "linux")
    ('{projects}/shot', '/mnt/shot')
    """
    if not is_foreign(path, platform):
        return path
    known = list(variables)
    for site in sorted({each.site for each in known} | {""}):
        if (found := collapse(path, known, "windows", site)) != path:
            return found
    start = PureWindowsPath(path).anchor
    raise BadInput(
        f"{path} is a path of Windows, and this machine is of {platform}: give the folder as this machine has it, or say once "
        f"where each has it, with `brender path set NAME --windows {start} --{platform} FOLDER`"
    )


def from_elsewhere(path: str, variables: Iterable[PathVariable], here: Mapping[str, str]) -> str | None:
    """Return where this machine, with its places *here*, has the file that a machine elsewhere calls *path*, or "" if it has no
    place for the variable; ``None``: no variable fits.

    A .blend may have its paths in Windows' words, in which it does not matter how they are written: capitals, which slashes.
    """
    for each in sorted(variables, key=lambda each: -len(each.path)):
        for given in dict.fromkeys((path, path.lstrip("/") if _OF_WINDOWS.match(path) else path, "/" + path)):
            if each.path == here.get(each.name) or ".." in re.split(r"[/\\]", given):
                continue
            pure, base = _pure(each.platform, given), _pure(each.platform, each.path)
            if pure.is_relative_to(base) and pure.is_absolute():
                return str(PurePosixPath(here[each.name], *pure.relative_to(base).parts)) if each.name in here else ""
    return None


def foreign(variables: Iterable[PathVariable], here: Mapping[str, str]) -> list[tuple[str, str]]:
    """For a machine with its places *here*: the folders that others have for the same variables, each with its own; the longest
    first, as the beginnings of paths are to be looked for."""
    pairs = {(each.path, here[each.name]) for each in variables if each.name in here and each.path != here[each.name]}
    return sorted(pairs, key=lambda pair: (-len(pair[0]), pair))


def _pure(platform: Platform, path: str) -> PurePosixPath | PureWindowsPath:
    if platform == "windows":
        return PureWindowsPath(path)
    # macOS finds a file by either coding of an "é", one code or two, and may say the two; other systems tell them apart, and have
    # the one.
    return PurePosixPath(unicodedata.normalize("NFC", path) if platform == "macos" else path)

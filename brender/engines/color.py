"""What Blender says of color management: names that it does not know, and configurations that it cannot read. Pure.

Blender puts a default in the place of a view, look, display or color space that its configuration lacks, prints a line, and
renders on. The words are the same from 2.8 to 5.3 but for how the line begins (`colormanagement.cc`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_BEGINNING = re.compile(
    r"^(?:\s*\d+:\d\d\.\d+\s+color_management\s*\|\s*(?:WARNING|ERROR)?\s*|(?:Blender )?[Cc]olor management: )"
)
_UNKNOWN = re.compile(
    r'(?:(?P<display>display) "(?P<device>[^"]*)" used by (?P<user>[\w ]+)|(?P<what>[\w ]+) (?P<kind>view|look|colorspace) '
    r'"(?P<name>[^"]*)") not found, (?:setting (?:to )?(?:default )?\(?"(?P<instead>[^"]*)"|will use default)',
    re.IGNORECASE,
)
_ERROR = re.compile(r"OpenColorIO Error: (?:Error: )?(?P<text>.*)")
#: Of a configuration that OpenColorIO can read and Blender cannot use (from 4.5 on); it renders with its own instead.
_UNUSABLE = re.compile(r"^(?:Error, )?could not find any (?P<lacking>displays)|^failed to load config\b", re.IGNORECASE)
#: Formats that hold the scene's linear light, which no view has been applied to.
_LINEAR = {"OPEN_EXR", "OPEN_EXR_MULTILAYER", "HDR"}
#: What two configurations call the same (Blender 5 knows so too).
_SAME = {"Standard", "Un-tone-mapped"}


@dataclass(frozen=True)
class Unknown:
    """A ``name`` that Blender does not know: of a ``kind`` (display, view, look, colorspace), used by ``user`` (scene, image …),
    and what it has put ``instead`` ("" for the default)."""

    kind: str
    user: str
    name: str
    instead: str


@dataclass(frozen=True)
class ColorRemarks:
    """What Blender has said while it started and opened a file."""

    unknown: tuple[Unknown, ...] = ()
    errors: tuple[str, ...] = ()


def color_line(line: str) -> str | None:
    """Return *line* without its beginning, if it is about what color management lacks."""
    said = _BEGINNING.sub("", line).strip()
    return said if _UNKNOWN.match(said) or _ERROR.search(said) or _UNUSABLE.match(said) else None


def read_remarks(lines: Sequence[str]) -> ColorRemarks:
    """Return what *lines*, those that `color_line` has picked, say.

    >>> read_remarks(['scene view "MyView" not found, setting default "Standard".']).unknown
    (Unknown(kind='view', user='scene', name='MyView', instead='Standard'),)
    """
    unknown, errors = [], []
    for line in lines:
        if (error := _ERROR.search(line)) is not None:
            errors.append(error["text"].strip())
        elif (unusable := _UNUSABLE.match(line)) is not None:
            errors.append(f"it has no {unusable['lacking']}" if unusable["lacking"] else line)
        elif (found := _UNKNOWN.match(line)) is not None:
            name = found["device"] if found["display"] else found["name"]
            unknown.append(
                Unknown((found["display"] or found["kind"]).lower(), found["user"] or found["what"], name, found["instead"] or "")
            )
    return ColorRemarks(tuple(dict.fromkeys(unknown)), tuple(dict.fromkeys(errors)))


def color_refusal(
    remarks: ColorRemarks, scene: str, saved: Sequence[str], format: str, blender: str, configuration: str
) -> str | None:
    """Return why *blender* would render *scene* in wrong colors to *format*; ``None`` where it would not.

    *saved*: the display, view and look that the scene was saved with, "" or nothing where that is not known. *configuration*: the
    path of the OCIO configuration that the job names, "" for none.
    """
    if configuration and remarks.errors:
        return f"{blender} cannot read the OCIO configuration {configuration}: {remarks.errors[0]}"
    if format in _LINEAR:
        return None
    lacking = [each for each in remarks.unknown if _is_of(each, saved) and not _is_alike(each)]
    if not lacking:
        return None
    wanted = " and ".join(f"the {each.kind} {each.name!r}" for each in lacking)
    instead = " and ".join(repr(each.instead) for each in lacking)
    where = f"the OCIO configuration {configuration}" if configuration else f"{blender} on this worker"
    return (
        f"The scene {scene!r} has {wanted}, which {where} does not know and would replace by {instead}. Submit it with the OCIO "
        "configuration that it was made with (--ocio, or the environment variable OCIO), or choose what Blender has"
    )


def color_loss(remarks: ColorRemarks, file: Path, blender: str, configuration: str) -> str | None:
    """Return why a copy of *file* that *blender* writes with the OCIO *configuration* would have other colors; ``None`` where it
    would not. Blender saves what it has put in the place of names that it does not know."""
    lost = [f"the {each.kind} {each.name!r} of the {each.user}" for each in remarks.unknown if not _is_alike(each)]
    if not lost:
        return None
    where = f"the OCIO configuration {configuration}" if configuration else f"{blender} here"
    return (
        f"{file} names files by absolute paths or outside of its folder, so that a copy with other paths must be sent, and "
        f"{' and '.join(lost)} would be lost in it: {where} does not know that. Name the OCIO configuration that it was made "
        "with (--ocio, or the environment variable OCIO), or put those files into its folder and make their paths relative"
    )


def color_warnings(remarks: ColorRemarks, saved: Sequence[str], images: Sequence[str], blender: str) -> list[str]:
    """Return what the job's owner should know of the *remarks* where they are no reason not to render. *images*: those whose
    color space is unknown, as far as Blender says which."""
    found = [f"{blender} cannot read the worker's own OCIO configuration and uses its own: {text}" for text in remarks.errors]
    for each in remarks.unknown:
        if each.user == "scene" and not _is_of(each, saved):
            continue  # another scene's
        of = f" ({', '.join(images)})" if each.user == "image" and images else ""
        instead = repr(each.instead) if each.instead else "the default"
        found.append(
            f"Color management: {blender} does not know the {each.kind} {each.name!r} of the {each.user}{of} and uses {instead}"
        )
    return found


def _is_of(each: Unknown, saved: Sequence[str]) -> bool:
    """Return whether it is the scene's own, as far as is known what that was *saved* with."""
    names = dict(zip(("display", "view", "look"), saved or ("", "", ""), strict=True))
    return each.user == "scene" and names.get(each.kind) in ("", each.name)


def _is_alike(each: Unknown) -> bool:
    """Return whether it is the same by another name, as Blender 5 looks for such."""
    one, other = each.name, each.instead
    return bool(other) and (one.startswith(other) or other.startswith(one) or {one, other} == _SAME)

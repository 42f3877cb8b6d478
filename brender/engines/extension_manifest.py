"""What Blender requires of the ``blender_manifest.toml`` of an extension: it enables none whose manifest lacks it.

The rules are those that Blender itself has in ``bl_pkg``, and that its manual describes (advanced/extensions/getting_started).
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from brender.model.errors import BadInput

_TEXTS = ("schema_version", "id", "version", "name", "tagline", "type", "maintainer", "blender_version_min")
#: A semantic version (https://semver.org), as Blender reads it.
_SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_WHEEL_PARTS = (5, 6)


def check_manifest(told: Mapping[str, Any], where: str) -> None:
    """Raise `BadInput` where a manifest that says *told* lacks what Blender requires. *where*: which manifest it is."""
    for key in _TEXTS:
        if key not in told:
            raise BadInput(f"{where} has no {key}, and Blender enables no extension without one")
        if not isinstance(told[key], str) or not told[key].strip():
            raise BadInput(f"{where} has a {key} that is not text: Blender enables no such extension")
    for key in ("schema_version", "version"):
        if not _SEMANTIC.fullmatch(told[key]):
            raise BadInput(f"{where} says the {key} {told[key][:50]!r}, and Blender takes three numbers only, such as 1.0.0")
    for key in ("name", "maintainer"):
        if told[key] != told[key].strip() or not told[key].isprintable():
            raise BadInput(f"{where} has a {key} with blanks around it or control characters: Blender enables no such extension")
    if "license" not in told:
        raise BadInput(f"{where} has no license, and Blender enables no extension without one")
    for key in ("license", "tags", "platforms"):
        if key in told and not _is_list_of_texts(told[key]):
            raise BadInput(f"{where} has {key} that are not a list of texts: Blender enables no such extension")
    if not isinstance(told.get("wheels", []), list):
        raise BadInput(f"{where} has wheels that are not a list of texts: Blender enables no such extension")
    for wheel in told.get("wheels", []):
        if len(PurePosixPath(str(wheel)).stem.split("-")) not in _WHEEL_PARTS or not str(wheel).endswith(".whl"):
            raise BadInput(f"{where} names {wheel!r}, which is not the name of a wheel: Blender enables no such extension")


def check_id(id: str, where: str) -> None:
    """Raise `BadInput` where Blender enables no extension of that *id*."""
    if not id.isidentifier() or "__" in id or id != id.strip("_"):
        raise BadInput(f"{where} has the id {id!r}, and Blender takes letters, digits and single underscores between them only")


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) and each.strip() for each in value)

"""The text of a template as plain data, within bounds: a few hundred bytes of YAML can stand for gigabytes.

Anybody who may submit can post a template, which the dashboard reads in its own process.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from brender.model.errors import BadInput

#: Bytes of a template, lists and mappings inside each other, and characters of a number in it, at most.
BYTES_MOST, DEPTH_MOST, _NUMBER_MOST = 1_000_000, 50, 100
_OF_NUMBERS = frozenset("+-0123456789_.:")


def read_document(file: Path) -> dict[str, Any]:
    """Return what the template *file*, YAML or (``.json``) JSON, says. Raises `BadInput` where it is too large, too deep or uses
    aliases; `OSError`, and `ValueError` if it is neither."""
    from openjd import model

    if (size := file.stat().st_size) > BYTES_MOST:
        raise BadInput(f"{file} has {size:,} bytes; a template has at most {BYTES_MOST:,}")
    text = file.read_text("utf-8")
    is_json = file.suffix == ".json"
    if not is_json:
        _check_yaml(text, file)
    kind = model.DocumentType.JSON if is_json else model.DocumentType.YAML
    try:
        plain = model.document_string_to_object(document=text, document_type=kind)
    except RecursionError:
        raise too_deep(file) from None
    _check_depth(plain, file)
    return plain


def too_deep(file: Path) -> BadInput:
    """Return that the template *file* is nested too deeply."""
    return BadInput(f"{file} is nested too deeply: a template has at most {DEPTH_MOST} lists or mappings inside each other")


def _check_yaml(text: str, file: Path) -> None:
    """Look through YAML before anything is made of it. What is no YAML is said when it is read."""
    import yaml

    depth = 0
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.AliasEvent):
                raise BadInput(
                    f"{file} uses the YAML alias *{event.anchor} (line {line}), which brender does not accept: write out what it "
                    "stands for"
                )
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEPTH_MOST:
                raise too_deep(file)
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > _NUMBER_MOST and _is_number(event):
                raise BadInput(f"{file} has a number of {len(event.value):,} digits (line {line})")
    except yaml.YAMLError:
        return


def _is_number(scalar: Any) -> bool:
    """Whether *scalar* is read as a number. One to the base of 60 (1:30:00) takes time with the square of its length."""
    return bool(scalar.implicit[0] or scalar.tag) and _OF_NUMBERS.issuperset(scalar.value)


def _check_depth(plain: Any, file: Path) -> None:
    level, depth = [plain], 0
    while level := [child for each in level for child in _inside(each)]:
        depth += 1
        if depth > DEPTH_MOST:
            raise too_deep(file)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()

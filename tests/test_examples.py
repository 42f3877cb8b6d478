"""What the examples in docstrings say is so."""

import doctest
import importlib
from pathlib import Path

import pytest

import brender

ROOT = Path(brender.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(("brender", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if "    >>> " in path.read_text("utf-8") and "inside" not in path.parts  # (what is inside Blender needs its Python)
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted and not results.failed

"""What the fuzzer found worth keeping, again (tests/fuzz.py)."""

from pathlib import Path

import pytest

from tests.fuzzing import TARGETS

CORPUS = Path(__file__).parent / "fuzz_seeds"


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_the_fuzzer_found_is_still_handled(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert len(inputs) >= 20
    for each in inputs:
        TARGETS[name](each.read_bytes())

"""A few simulated histories, as many as can be run for each mutant."""

import pytest

from tests.simulation.farm import Simulation


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_in_a_few_histories(seed: int) -> None:
    Simulation(seed).run()

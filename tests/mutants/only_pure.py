"""A plugin of pytest's that leaves out what starts a process, a Blender, PostgreSQL or a browser: too slow for each mutant."""

import hypothesis
import pytest

_SLOW = {"farm", "module_farm", "apart", "blender", "bpy", "running", "page", "postgresql", "database", "small_disk"}

# A test that is slow on a busy machine has not noticed anything.
hypothesis.settings.register_profile("mutants", deadline=None)
hypothesis.settings.load_profile("mutants")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = [item for item in items if _SLOW & set(getattr(item, "fixturenames", ())) or item.get_closest_marker("blender")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]

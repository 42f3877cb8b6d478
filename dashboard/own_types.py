"""The job types that the farm adds by files of its data folder, as the pages and the API have them."""

from brender.engines.type_files import TypeFile, all_problems, own_type, type_files
from dashboard.farm import farm


def own_types() -> dict[str, TypeFile]:
    """Return the farm's own job types, by name."""
    return type_files(farm().folder.job_types)[0]


def type_named(name: str) -> TypeFile | None:
    """Return the farm's own job type *name*, or ``None`` if there is none. Raises `BadInput` where its file cannot be used."""
    return own_type(farm().folder.job_types, name)


def broken_types() -> list[str]:
    """Return a sentence for each job type that others wrote and that cannot be used."""
    return all_problems(farm().folder.job_types)

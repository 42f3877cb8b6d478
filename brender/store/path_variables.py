"""What path variables mean, as the record has it."""

from brender.model.paths import PathVariable
from brender.store.tables import Tables


def path_variables(tables: Tables) -> tuple[PathVariable, ...]:
    return tuple(PathVariable(row.name, row.platform, row.path, row.site) for row in tables.PathVariable.select())

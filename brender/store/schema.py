"""The schema of the record: which migrations a database knows, and bringing it to this software's.

Each migration runs in one transaction with the row that says it was applied, on SQLite and on PostgreSQL: one that is cut off has
changed nothing, and the next start runs it again.
"""

from pathlib import Path

from peewee import Database
from playhouse.migrations import Runner

from brender.model.errors import BadInput

MIGRATIONS = Path(__file__).parent / "migrations"


def applied(database: Database) -> list[str]:
    """Return the names of the migrations that *database* knows, the newest last; none where it is no farm's."""
    return sorted(Runner(database, str(MIGRATIONS)).applied())


def check_known(database: Database, shown: str) -> list[str]:
    """Return as `applied` does. Raises `BadInput` where *database*, for a person *shown*, was made by a newer brender."""
    names = applied(database)
    if unknown := sorted(set(names) - set(_known(database))):
        raise BadInput(
            f"The database {shown} was made by a newer brender (it knows {', '.join(unknown)}). "
            "Install that version, or give another data folder with --data"
        )
    return names


def pending(database: Database) -> list[str]:
    """Return the names of the migrations that *database* still needs, in their order."""
    done = set(applied(database))
    return [name for name in _known(database) if name not in done]


def migrate(database: Database, up_to: str | None = None) -> None:
    """Apply all pending migrations to *database*, or those up to and with *up_to*."""
    Runner(database, str(MIGRATIONS)).up(up_to)


def _known(database: Database) -> list[str]:
    return [migration.name for migration in Runner(database, str(MIGRATIONS)).migrations() if migration.path]

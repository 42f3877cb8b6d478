"""What the shell completes with what the farm knows: ids and names of jobs, names of workers, projects and users.

The shell waits while it asks, so that no answer, or none in time, completes nothing.
"""

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from brender.bus.client import Client
from brender.commands.options import client
from brender.commands.output import line
from brender.model.text import plural
from brender.store.datafolder import DataFolder

#: How long the shell is kept waiting, and the server asked for: less, so that the connection is closed in time.
_WAIT_SECONDS, _ASK_SECONDS = 1.0, 0.7
#: Jobs that are looked at, the newest.
_JOBS_LOOKED_AT = 500
_PLAIN = re.compile(r"[\w.@+-]+")

F = TypeVar("F", bound=Callable[..., Any])
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_Found = Iterable[tuple[str, str]]


def _completion(find: Callable[[Client, str], _Found]) -> Complete:
    """Return a completion with what *find* finds for a beginning: values, each with a description."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found: list[CompletionItem] = []

        def ask() -> None:
            given: dict[str, Any] = context.params
            try:
                with client(given.get("server"), Path(given.get("data") or DataFolder.default()), _ASK_SECONDS) as connection:
                    for value, text in find(connection, incomplete):
                        if value.startswith(incomplete) and _PLAIN.fullmatch(value):
                            found.append(CompletionItem(value, help=line(text)))
            except Exception:
                return

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(_WAIT_SECONDS)
        return list(found)

    return complete


def _jobs(connection: Client, incomplete: str) -> _Found:
    rows = connection.ask("jobs", limit=_JOBS_LOOKED_AT)
    by_id = bool(incomplete) and any(row["id"].startswith(incomplete) for row in rows)
    seen = set()
    for row in rows:
        value = row["id"][:8] if by_id or not _PLAIN.fullmatch(row["name"]) or row["name"] in seen else row["name"]
        seen.add(row["name"])
        yield value, f"{row['name']}, {row['status']}"


def _workers(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], row["status"]) for row in connection.ask("workers")]


def _nodes(connection: Client, incomplete: str) -> _Found:
    return [*_workers(connection, incomplete), *((row["name"], "manager") for row in connection.ask("managers"))]


def _projects(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], plural(row["jobs"], "job")) for row in connection.ask("projects")]


def _users(connection: Client, incomplete: str) -> _Found:
    return [(row["name"], row["role"]) for row in connection.manage("users")]


complete_job = _completion(_jobs)
complete_worker = _completion(_workers)
complete_node = _completion(_nodes)
complete_project = _completion(_projects)
complete_user = _completion(_users)


def job_argument(function: F) -> F:
    """``ID``: a job, by its id, the beginning of that, or its name."""
    return click.argument("id", shell_complete=complete_job)(function)

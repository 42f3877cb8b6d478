"""Files on their way to the farm and from it, shown in a terminal."""

import contextlib
import sys
from collections.abc import Iterator

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from brender.api.connection import Bytes


def transfer_bar() -> Progress:
    """Return a progress bar for files on their way, which goes when it is done. Nothing is shown where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, transient=True, disable=not sys.stdout.isatty())


@contextlib.contextmanager
def shown(what: str) -> Iterator[Bytes]:
    """Show how many bytes of *what* are done, in a bar that goes at the end of the block."""
    with transfer_bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

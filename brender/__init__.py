"""brender, a render farm for Blender. From Python: ``from brender import Farm`` (docs/reference/python.rst)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brender.api.connection import Change as Change
    from brender.api.farm import Farm as Farm
    from brender.api.farm import Job as Job
    from brender.api.in_asyncio import AsyncFarm as AsyncFarm
    from brender.api.in_asyncio import AsyncJob as AsyncJob
    from brender.api.in_asyncio import AsyncWorker as AsyncWorker
    from brender.api.worker import Worker as Worker
    from brender.model.errors import BadInput as BadInput
    from brender.model.errors import BrenderError as BrenderError
    from brender.model.errors import Conflict as Conflict
    from brender.model.errors import Forbidden as Forbidden
    from brender.model.errors import NotFound as NotFound
    from brender.model.errors import Paused as Paused
    from brender.model.errors import RenderFailed as RenderFailed
    from brender.model.errors import Unreachable as Unreachable

__version__ = "3.0.0.dev1"

#: Where each public name is: imported when it is asked for, since every command imports this package and few need them.
_PUBLIC = {
    "Change": "brender.api.connection",
    **dict.fromkeys(("Farm", "Job"), "brender.api.farm"),
    "Worker": "brender.api.worker",
    **dict.fromkeys(("AsyncFarm", "AsyncJob", "AsyncWorker"), "brender.api.in_asyncio"),
    **dict.fromkeys(
        ("BadInput", "BrenderError", "Conflict", "Forbidden", "NotFound", "Paused", "RenderFailed", "Unreachable"),
        "brender.model.errors",
    ),
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'brender' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

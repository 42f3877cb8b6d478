"""The job type of one job, which others may have written: where it raises, its job fails and nothing else. Pure."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from brender.jobs.declare import JobType
from brender.model.errors import BrenderError

#: What a job type may do without, and what is so then.
_OPTIONAL: dict[str, Any] = {"rank": lambda spec, index, measured: 0.0, "first_serves_all": False}


class JobTypeFailed(Exception):
    """The job type of ``job`` raised where it must not."""

    def __init__(self, job: str, text: str) -> None:
        super().__init__(text)
        self.job = job


def guarded(kind: JobType, job: str, may_refuse: bool = False) -> JobType:
    """Return *kind* such that whatever its methods raise becomes a `JobTypeFailed` of *job*. *may_refuse*: but for what they say
    to people (`BrenderError`), as they may until the job is accepted."""
    return cast(JobType, _Guarded(kind, job, may_refuse))


def missing(name: str, job: str) -> JobType:
    """Return what stands for the job type *name* of *job*, which this server does not have: whatever is asked of it fails."""
    return cast(JobType, _Missing(name, job))


class _Guarded:
    def __init__(self, kind: JobType, job: str, may_refuse: bool) -> None:
        self._kind, self._job, self._may_refuse = kind, job, may_refuse

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._kind, name, _OPTIONAL.get(name))
        if value is None:
            raise JobTypeFailed(self._job, f"The job type {self._kind.name} cannot be used: it has no {name!r}")
        if callable(value):
            value = _raising_so(value, self._kind.name, self._job, (BrenderError,) if self._may_refuse else ())
        self.__dict__[name] = value
        return value


class _Missing:
    settings: tuple[Any, ...] = ()
    engine = ""

    def __init__(self, name: str, job: str) -> None:
        self.name, self._job = name, job

    def __getattr__(self, name: str) -> Any:
        raise JobTypeFailed(self._job, f"This server does not have the job type {self.name}: install it, and queue the job again")


def _raising_so(call: Callable[..., Any], kind: str, job: str, passed: tuple[type[Exception], ...]) -> Callable[..., Any]:
    @wraps(call)
    def guarded_call(*args: Any, **more: Any) -> Any:
        try:
            return call(*args, **more)
        except passed:
            raise
        except (Exception, SystemExit) as error:
            raise JobTypeFailed(job, f"The job type {kind} failed: {type(error).__name__}: {error}") from error

    return guarded_call

"""How far jobs are, as people count it: columns for a list of jobs, and what is made of a row."""

from typing import Any

import msgspec
from peewee import Case

from brender.model.passes import weights_of
from brender.model.units import Shape, shape_of, units_of_shape


def listed_columns(job: Any, without: tuple[str, ...] = ()) -> list[Any]:
    """Return the columns of the table *job* that a list of jobs has, for `with_progress`: all but what is long, and *without*
    these."""
    text = job.settings.cast("text")
    # ("" is no film, and no folder.)
    left_out = ("facts", "settings", "addons", "after_jobs", *without)
    return [
        *(field for name, field in job._meta.fields.items() if name not in left_out),
        makes_film(job).alias("has_film"),
        _is_denoised(text).alias("is_denoised"),
        _is_copied(text).alias("is_copied"),
        # (Of few jobs: most go over their frames once.)
        Case(None, [(job.passes > 0, text)], "").alias("passing"),
    ]


def is_in_steps(job: Any) -> Any:
    """Return the condition that several steps finish each frame of a row of the table *job*."""
    text = job.settings.cast("text")
    return _is_denoised(text) | _is_copied(text)


def _is_denoised(text: Any) -> Any:
    return _has(text, '"denoise_after":{}true')


def _is_copied(text: Any) -> Any:
    return _has(text, '"copy_to":{}"') & ~_has(text, '"copy_to":{}""')


def makes_film(job: Any) -> Any:
    """Return the condition that a row of the table *job* makes a film of its frames."""
    text = job.settings.cast("text")
    return _has(text, '"film":{}"') & ~_has(text, '"film":{}""')


def _has(text: Any, words: str) -> Any:
    """Return the condition that the JSON *text* has *words*, with what may stand between name and value for ``{}``."""
    # (As SQLite keeps JSON, and as PostgreSQL writes it.)
    return text.contains(words.format("")) | text.contains(words.format(" "))


def with_progress(row: dict[str, Any]) -> dict[str, Any]:
    """Return *row*, of a job, with its ``progress`` (0 to 1), and that as people count it: ``units_done`` of ``units``, each a
    ``unit`` (frame, piece, film or run); where each is finished by several steps, ``steps_done`` of ``steps`` (else 0 of 0); and
    its ``pass_number``, of its ``passes`` (0: it renders each frame once), with the ``pass_weights`` of these (`weights_of`).
    ``done_words``: all that in words."""
    completed, parts = row["completed_parts"], row["part_count"]
    row["progress"] = completed / parts if parts else 0.0
    if "has_film" in row:
        steps = bool(row.pop("has_film")), bool(row.pop("is_denoised")), bool(row.pop("is_copied"))
        shape = Shape(row["job_type"], *steps, row["passes"])
        row["pass_weights"] = weights_of(msgspec.json.decode(row.pop("passing") or "{}"))
    else:
        shape, row["pass_weights"] = shape_of(row["settings"]), weights_of(row["settings"])
    counted = units_of_shape(shape, completed, parts, row["finished_frames"])
    row |= {"unit": counted.noun, "units_done": counted.done, "units": counted.total, "pass_number": counted.number}
    return row | {"steps_done": counted.steps_done, "steps": counted.steps, "done_words": str(counted)}

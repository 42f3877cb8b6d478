"""The stages of a job that renders frames: what is done with each of them, and with all. Pure.

Frames that are added to a job that does more than render them get stages of their own, after those that there are. What is made
of all frames is then made by the last of its stages, and those before have nothing to do any more.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from brender.jobs.numbering import numbering_of
from brender.jobs.stages import Run, Stage, Wait
from brender.model.units import steps_of

FRAMES, DENOISED, FILM_STAGE, COPIES, FILM_COPY = "frames", "denoise", "film", "copies", "copy of the film"


def runs_of_frames(settings: Mapping[str, Any]) -> Iterator[Run]:
    """Yield what a prepared job with these *settings* does, in an order in which it can be done."""
    numbering, done = numbering_of(settings), list[Wait]()
    if steps_of(settings) == 1 and not settings["film"]:
        yield Run(FRAMES, numbering.task_count)
        return
    for number, count in enumerate(numbering.run_tasks, start=1):
        last = DENOISED if settings.get("denoise_after") else FRAMES
        yield run_of_added(number, FRAMES, count)
        if last == DENOISED:
            yield run_of_added(number, DENOISED, count, Wait(called(FRAMES, number), by_frame=True))
        done.append(Wait(called(last, number)))
        if settings["film"]:
            yield run_of_added(number, FILM_STAGE, 1, *done, of_frames=False)
        if settings.get("copy_to"):
            yield run_of_added(number, COPIES, count, Wait(called(last, number), by_frame=True))
            if settings["film"]:
                yield run_of_added(number, FILM_COPY, 1, Wait(called(FILM_STAGE, number)), of_frames=False)


def place_in(stages: Sequence[Stage], index: int) -> tuple[str, int] | None:
    """Return which of *stages* task *index* is of, by its title, and its number among all tasks of stages with that; ``None``
    where a later stage does what it is there for."""
    stage = next(each for each in stages if index <= each.last_task)
    same = [each for each in stages if each.title == stage.title]
    if not stage.of_frames and stage is not same[-1]:
        return None
    return stage.title, index - stage.first_task + sum(each.count for each in same[: same.index(stage)])


def run_of_added(number: int, stage: str, tasks: int, *after: Wait, of_frames: bool = True) -> Run:
    """Return *stage*, with so many *tasks*, for the frames that were added as *number*, from 1, to the job."""
    return Run(called(stage, number), tasks, after, of_frames, goes_on=stage if number > 1 else "")


def called(stage: str, number: int) -> str:
    """Return the name of *stage* for the frames that were added as *number* to the job.

    >>> called("frames", 1), called("frames", 2)
    ('frames', 'frames, added 1')
    """
    return stage if number == 1 else f"{stage}, added {number - 1}"

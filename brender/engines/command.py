"""The engine for tasks that are programs: one process a part, its exit code its word."""

import time

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.environment import clean_environment, reserved_cores
from brender.engines.events import PartFinished, Progressed
from brender.engines.failed_program import program_failed
from brender.engines.job_files import make_output_folder
from brender.engines.step_task import StepTask
from brender.jobs.command import fill
from brender.jobs.steps import steps_of
from brender.model.errors import BadInput


class CommandEngine:
    """Runs the program of a grant for each of its parts."""

    def run(self, attempt: Attempt) -> None:
        grant, order = attempt.grant, attempt.order
        if (steps := steps_of(order.settings)) is not None:
            StepTask(attempt, steps).run()
            return
        if order.output:
            make_output_folder(attempt)
        program, arguments = order.settings["program"], order.settings["arguments"]
        env = clean_environment(attempt.place.env) | reserved_cores(order.cores)
        for index, part in enumerate(grant.parts):
            began = time.monotonic()
            try:
                command = fill([program, *arguments], frame=part.frame, output=order.output)
            except BadInput as error:
                raise AttemptFailed(str(error), permanent=True) from error
            attempt.emit(Progressed(part.frame, index / len(grant.parts), attempt.log.last_line, attempt.log.received))
            process = attempt.start_process(command, env)
            while not process.wait(1.0):
                attempt.emit(Progressed(part.frame, index / len(grant.parts), attempt.log.last_line, attempt.log.received))
            attempt.check()
            if process.ending:
                said = f"{program} failed at frame {part.frame}: {process.ending}"
                raise program_failed(process, said, last_line=attempt.log.last_line)
            attempt.check_output(f"Frame {part.frame}")
            attempt.emit(PartFinished(part.id, time.monotonic() - began))

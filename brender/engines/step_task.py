"""Tasks of jobs in steps: files that a step brings, what is set up around its programs, and the programs themselves.

A program may print what Open Job Description lets it: ``openjd_env: NAME=VALUE``, ``openjd_unset_env: NAME`` (from an
environment's programs), ``openjd_progress: PERCENT``, ``openjd_status: TEXT`` and ``openjd_fail: TEXT``.
"""

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.environment import clean_environment, reserved_cores
from brender.engines.events import PartFinished, Progressed
from brender.engines.failed_program import program_failed
from brender.engines.job_files import make_output_folder
from brender.engines.linewatch import LineWatch
from brender.jobs.placeholders import fill_words, filled
from brender.jobs.steps import FILE_MARK, WORK, BroughtFile, Environment, Step, Steps
from brender.model.errors import BadInput
from brender.model.grant import PartGrant

_SAID = re.compile(r"^openjd_(?P<what>env|unset_env|progress|status|fail): ?(?P<text>.*)$")
_LONGEST_FILE = 16_000_000
#: Seconds between two looks at a program that runs.
_LOOK_SECONDS = 1.0
Values = dict[str, int | str]


class StepTask:
    """What *attempt* does for the *steps* of its job."""

    def __init__(self, attempt: Attempt, steps: Steps) -> None:
        self._attempt = attempt
        self._steps = steps
        self._env = clean_environment(attempt.place.env) | reserved_cores(attempt.order.cores)
        self._share, self._status = 0.0, ""

    def run(self) -> None:
        """Run the programs of all parts. Raises `AttemptFailed` or `AttemptStopped`."""
        parts = self._attempt.grant.parts
        steps = {part.layer for part in parts}
        if len(steps) != 1 or (step := self._steps.by_name.get(parts[0].layer)) is None:
            raise AttemptFailed(f"The job has no step {parts[0].layer!r}", permanent=True)
        if self._attempt.order.output:
            make_output_folder(self._attempt)
        work = self._attempt.folder / WORK
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        entered: list[Environment] = []
        try:
            for environment in step.environments:
                entered.append(environment)
                self._enter(environment, parts[0], work)
            for index, part in enumerate(parts):
                self._run_part(step, part, index / len(parts), work)
        finally:
            # Each that was begun is left again, as long as the attempt is not being ended.
            for environment in reversed(entered):
                if environment.exit and not self._attempt.stopping:
                    self._leave(environment, parts[0], work)

    def _enter(self, environment: Environment, part: PartGrant, work: Path) -> None:
        values = self._values({}, environment.files, part.frame, work)
        self._env |= {name: self._text(text, values) for name, text in environment.variables.items()}
        if not environment.enter:
            return
        limit = environment.limit_seconds
        entered = f"entering {environment.name}"
        for what, text in self._start(entered, environment.enter, environment.files, {}, part.frame, work, limit):
            name, equals, value = text.partition("=")
            if what == "env" and equals:
                self._env[name.strip()] = value
            elif what == "unset_env":
                self._env.pop(text.strip(), None)

    def _leave(self, environment: Environment, part: PartGrant, work: Path) -> None:
        limit, left = environment.limit_seconds, f"leaving {environment.name}"
        self._start(left, environment.exit, environment.files, {}, part.frame, work, limit)

    def _run_part(self, step: Step, part: PartGrant, done: float, work: Path) -> None:
        began = time.monotonic()
        self._share, self._status = done, ""
        self._start(step.name, step.command, step.files, step.values_of(part.frame), part.frame, work, step.limit_seconds)
        self._attempt.emit(PartFinished(part.id, time.monotonic() - began))

    def _start(
        self,
        what: str,
        words: tuple[str, ...],
        files: tuple[BroughtFile, ...],
        more: Values,
        frame: int,
        work: Path,
        limit: int,
    ) -> list[tuple[str, str]]:
        """Run the program that *words* name, with *files* written first, for *limit* seconds at most (0: any); return what it
        told. Raises `AttemptFailed`, which begins with *what*."""
        attempt = self._attempt
        values = self._values(more, files, frame, work)
        for file in files:
            _write(Path(str(values[FILE_MARK + file.name])), self._text(file.text, values), file.is_program)
        try:
            command = fill_words(words, values)
        except BadInput as error:
            raise AttemptFailed(f"{what}: {error}", permanent=True) from error
        heard = LineWatch(_said)
        told: list[tuple[str, str]] = []
        process, began = attempt.start_process(command, self._env, heard.feed), time.monotonic()
        while True:
            ended = process.wait(_LOOK_SECONDS)
            for line in heard.take():
                kind, _, text = line.partition(" ")
                told.append((kind, text))
                self._take(kind, text)
            attempt.emit(Progressed(frame, self._share, self._status or attempt.log.last_line, attempt.log.received))
            if ended:
                break
            if limit and time.monotonic() - began > limit:
                process.stop()
                raise AttemptFailed(f"{what}: {Path(command[0]).name} ran for longer than {limit} seconds, which is its limit")
        attempt.check()
        failed = next((text for kind, text in told if kind == "fail"), "")
        if process.ending:
            said = failed or f"{Path(command[0]).name} failed at {frame}: {process.ending}"
            raise program_failed(process, said, f"{what}: ", "" if failed else attempt.log.last_line)
        attempt.check_output(what)
        return told

    def _take(self, kind: str, text: str) -> None:
        if kind == "status":
            self._status = text
        elif kind == "progress":
            with_number = re.fullmatch(r"\s*([0-9.]{1,8})\s*", text)
            if with_number and len(self._attempt.grant.parts) == 1:
                self._share = min(1.0, float(with_number[1].strip(".") or 0) / 100)

    def _values(self, more: Values, files: tuple[BroughtFile, ...], frame: int, work: Path) -> Values:
        paths = {FILE_MARK + file.name: str(work / (file.file or file.name)) for file in files}
        return {"frame": frame, "output": self._attempt.order.output, WORK: str(work), **paths, **more}

    @staticmethod
    def _text(text: str, values: Mapping[str, int | str]) -> str:
        try:
            return filled(text, values, _LONGEST_FILE)
        except BadInput as error:
            raise AttemptFailed(str(error), permanent=True) from error


def _said(line: str) -> str | None:
    found = _SAID.match(line)
    return f"{found['what']} {found['text']}" if found else None


def _write(path: Path, text: str, is_program: bool) -> None:
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o700 if is_program else 0o600)

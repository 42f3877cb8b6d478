"""The job type ``command``: any program with arguments, once, or once a frame.

In the arguments ``{frame}`` becomes the frame number, ``{frame:04d}`` the number with four digits, and ``{output}`` the
job's output folder; ``{{`` and ``}}`` are plain braces. The worker fills them in. The program is started directly, never
through a shell.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec

from brender.jobs.declare import ORDER, WHAT, Setting, check_settings
from brender.model.errors import BadInput
from brender.model.frames import chunk, chunk_count, parse_frames
from brender.model.job import JobSpec, PartPlan, Requirements, TaskPlan

_parse = lru_cache(maxsize=256)(parse_frames)
_ONCE = (0,)
_PIECE = re.compile(
    r"(?P<plain>[^{}]+)|(?P<brace>\{\{|\}\})"
    r"|\{(?P<name>output|frame(?::(?P<width>[0-9]{1,3}d|d))?)\}|(?P<odd>\{[^{}]*\}?|\})"
)
_PLACEHOLDERS = "there are {frame}, {frame:04d} and {output}; write {{ and }} for plain braces"
#: Digits of a frame number, and characters of an argument (Linux takes 128 KiB of bytes: MAX_ARG_STRLEN), at most.
_WIDEST, _LONGEST = 32, 131_000


class Command:
    name = "command"
    label = "Command"
    engine = "command"
    settings = (
        Setting("program", str, "the program to start", required=True, label="Program", group=WHAT),
        Setting(
            "arguments",
            list,
            "its arguments; {frame} is the frame number",
            default=[],
            label="Arguments",
            group=WHAT,
        ),
        Setting(
            "frames",
            str,
            "the program runs once for each of these frames, such as 1-100",
            label="Frames",
            group=WHAT,
            without="it runs once",
        ),
        Setting(
            "chunk",
            int,
            "for how many frames one worker runs it as one task",
            default=1,
            lowest=1,
            highest=1_000_000,
            label="Frames in one task",
            unit="frames",
            group=ORDER,
        ),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        if not settings["program"].strip():
            raise BadInput("The setting 'program' is empty: name the program to start")
        if settings["frames"] is not None:
            parse_frames(settings["frames"])
        for word in [settings["program"], *settings["arguments"]]:
            _pieces(word)
        return msgspec.structs.replace(spec, settings=settings)

    def task_count(self, spec: JobSpec) -> int:
        return chunk_count(self.part_count(spec), spec.settings["chunk"])

    def part_count(self, spec: JobSpec) -> int:
        return len(self._frames(spec.settings))

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        frames = chunk(self._frames(spec.settings), spec.settings["chunk"], index)
        return TaskPlan(index=index, parts=tuple(PartPlan(frame=frame) for frame in frames))

    def may_repeat(self, spec: JobSpec) -> bool:
        return False  # nobody knows what it does to the world

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def waits_for(self, spec: JobSpec, index: int) -> int:
        return 0

    def requirements(self, spec: JobSpec) -> Requirements:
        return Requirements(job_type=self.name, tags=frozenset(spec.tags), program=spec.settings["program"])

    def output_key(self, spec: JobSpec) -> str:
        return ""

    @staticmethod
    def _frames(settings: dict[str, Any]) -> tuple[int, ...]:
        return _ONCE if settings["frames"] is None else _parse(settings["frames"])


def fill(words: list[str], frame: int, output: str) -> list[str]:
    """Return *words* with their placeholders filled. Raises `BadInput` for a placeholder that does not exist, and for a word that
    becomes longer than a program takes.

    >>> fill(["--frame", "{frame:04d}"], 7, "/renders")
    ['--frame', '0007']
    """
    return [_filled(word, frame, output) for word in words]


def _filled(word: str, frame: int, output: str) -> str:
    filled = []
    length = 0
    for plain, name, width in _pieces(word):
        filled.append(plain if not name else output if name == "output" else format(frame, width))
        length += len(filled[-1])
        if length > _LONGEST:
            raise BadInput(
                f"The argument that begins with {word[:40]!r} becomes longer than {_LONGEST:,} characters, which no program takes"
            )
    return "".join(filled)


def _pieces(word: str) -> list[tuple[str, str, str]]:
    """Return what *word* is made of: plain text, or a placeholder's name and the format of its number. Raises `BadInput`."""
    pieces = []
    for found in _PIECE.finditer(word):
        plain, name, width = found["plain"] or (found["brace"] or "")[:1], found["name"] or "", found["width"] or ""
        if found["odd"] is not None:
            raise BadInput(f"{found['odd']} in {word[:200]!r} is not a placeholder: {_PLACEHOLDERS}")
        if int(width.rstrip("d") or 0) > _WIDEST:
            raise BadInput(f"{found[0]} in {word[:200]!r} is too wide: a frame number has {_WIDEST} digits at most")
        pieces.append((plain, name, width))
    return pieces


JOB_TYPE = Command()

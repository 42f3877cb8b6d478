"""Where a frame is while it renders, read from what Blender says of it: phase, samples, time left, memory. Pure.

Blender's words differ by version: ``Fra:6 Mem:879.53M (Peak 879.97M) | Time:00:00.05 | Remaining:00:03.20 | Mem:564.68M,
Peak:564.68M | Scene, ViewLayer | Sample 12/64`` (3.4), ``Remaining: 00:05.81 | Mem: 36M | Sample 256/300`` (5.0), ``Rendering
8 / 64 samples`` (EEVEE). People see none of them: the phases have names of our own, and what is not a phase (a line of a graphics
driver) is not shown.
"""

import re
from dataclasses import dataclass, replace

LOADING = "loading"
COMPILING = "compiling shaders"
SYNCHRONIZING = "synchronizing"
RENDERING = "rendering"
SAMPLING = "sampling"
TILES = "rendering tile"
DENOISING = "denoising"
COMPOSITING = "compositing"
WRITING = "writing"
FILMING = "making the film"

_SAMPLES = re.compile(r"Sample (\d+)/(\d+)|Rendering (\d+) / (\d+) samples|Rendered (\d+)/(\d+) Tiles")
_REMAINING = re.compile(r"Remaining: ?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_MEMORY = re.compile(r"Mem: ?(\d+(?:\.\d+)?)([MG])")
_STEPPING = re.compile(r"Stepping to frame (-?\d+), at (-?\d+)|Frame (-?\d+) happens before frame (-?\d+)")
_COUNTED = (SAMPLING, TILES)
_ALL = (LOADING, COMPILING, SYNCHRONIZING, RENDERING, SAMPLING, TILES, DENOISING, COMPOSITING, WRITING, FILMING, "simulating")
_COUNT = re.compile(rf"({'|'.join(_COUNTED)}) (\d+)/(\d+)")
_LEFT = re.compile(r"([\d:]+) left")
_SHARE = re.compile(rf"({'|'.join(_COUNTED)}) \d+ %")
#: The share of a frame's time that may pass after a count before the count is old.
_OLD_SHARE = 0.05
_LASTED = re.compile(r", (?:\d+ s|[\d:]+)$")
#: The phases after the last sample.
_AFTER_SAMPLES = (DENOISING, COMPOSITING, WRITING)
#: Blender's words for each phase; the first that fits counts.
_PHASES = (
    (re.compile(r"denois", re.IGNORECASE), DENOISING),
    (re.compile(r"Rendered \d+/\d+ Tiles"), TILES),
    (re.compile(r"Sample \d+/\d+|Rendering \d+ / \d+ samples|Path Tracing"), SAMPLING),
    (re.compile(r"kernel|compil|shader", re.IGNORECASE), COMPILING),
    (re.compile(r"composit|sequence|encoding", re.IGNORECASE), COMPOSITING),
    (re.compile(r"Finished|Saving|Saved|Writing (?!constant)"), WRITING),
    (re.compile(r"Synchronizing|Updating|Initializing|Building|Copying|Computing|Applying|Extracting"), SYNCHRONIZING),
    (re.compile(r"Loading|Reading"), LOADING),
)


@dataclass(frozen=True)
class FrameProgress:
    """Where a frame is. ``samples`` 0: not known. ``remaining`` in seconds, ``memory`` in bytes; ``None``: not said."""

    sample: int = 0
    samples: int = 0
    phase: str = ""
    """One of the phases above, or "" if Blender's words name none."""
    remaining: float | None = None
    memory: int | None = None
    spent: float = 0.0
    """Seconds that the frame had rendered when this was said."""
    in_phase: float = 0.0
    """Seconds of them in this phase."""
    since: float = 0.0
    """Seconds that have passed since."""

    @property
    def share(self) -> float:
        """How much of the frame is done, 0 to 1: by its samples, or by the clock, since Blender may be silent for minutes."""
        if not self.remaining:
            return self._counted
        return max(self._counted, min(0.99, (self.spent + self.since) / (self.spent + self.remaining)))

    @property
    def _counted(self) -> float:
        return min(1.0, self.sample / self.samples) if self.samples else 0.0

    @property
    def _is_old(self) -> bool:
        """Whether so much time has passed since it was said that its count is no longer true. (A frame may have taken long before
        its first sample: the share by the clock is then ahead of a count that is new.)"""
        return bool(self.remaining) and self.since > _OLD_SHARE * (self.spent + (self.remaining or 0.0))

    @property
    def left(self) -> float | None:
        """Seconds that the frame still takes, as far as is known."""
        return None if self.remaining is None else max(0.0, self.remaining - self.since)

    @property
    def text(self) -> str:
        """All of it in a few words. A phase without a count shows for how long it has lasted. Blender counts samples seldom: a
        count that is old is not shown, but the share by the clock.

        >>> FrameProgress(12, 64, "sampling", 83.2, 36_000_000).text
        'sampling 12/64 · 1:23 left · 36 MB'
        >>> FrameProgress(phase="compiling shaders", in_phase=70.0, since=5.0).text
        'compiling shaders, 1:15'
        >>> FrameProgress(1, 128, "sampling", remaining=50.0, spent=10.0, since=20.0).text
        'sampling 50 % · 0:30 left'
        """
        words = []
        lasted = self.in_phase + self.since
        if self.phase in _COUNTED:
            count = f"{self.share * 100:.0f} %" if self._is_old else f"{self.sample}/{self.samples}" if self.samples else ""
            words.append(f"{self.phase} {count}".rstrip())
        elif self.phase:
            words.append(f"{self.phase}, {_clock(lasted) if lasted >= 60 else f'{lasted:.0f} s'}" if lasted >= 1 else self.phase)
        if self.left is not None:
            words.append(f"{_clock(self.left)} left")
        if self.memory:
            words.append(f"{self.memory / 1e9:.1f} GB" if self.memory >= 1e9 else f"{self.memory / 1e6:.0f} MB")
        return " · ".join(words)

    def after(self, before: "FrameProgress", spent: float) -> "FrameProgress":
        """Return this status as it follows *before*, said after *spent* seconds of the frame. A status that names no phase
        belongs to the phase before; samples that are done stay done."""
        phase = self.phase or before.phase
        lasted = before.in_phase + (spent - before.spent) if phase == before.phase else 0.0
        following = replace(self, phase=phase, spent=spent, in_phase=lasted, memory=self.memory or before.memory)
        if phase in _AFTER_SAMPLES or not self.phase:
            following = replace(following, sample=before.sample, samples=before.samples)
        return following


def read_status(text: str) -> FrameProgress:
    """Return what *text*, a status of Blender's or of our driver's, says of the frame; without a phase where it names none."""
    if stepping := _STEPPING.search(text):
        to, at = (stepping[1], stepping[2]) if stepping[1] else (stepping[4], stepping[3])
        return FrameProgress(phase=f"simulating frame {at} on the way to {to}")
    return read_progress(text) or FrameProgress(phase=_phase(text))


def read_text(text: str) -> FrameProgress:
    """Return what *text*, made by `FrameProgress.text`, says: its phase, samples and time left. Of another text, such as a
    program's own line, all of it is the phase.

    >>> read_text("sampling 12/64 · 1:23 left · 36 MB")
    FrameProgress(sample=12, samples=64, phase='sampling', remaining=83.0, memory=None, spent=0.0, in_phase=0.0, since=0.0)
    """
    first, *rest = text.split(" · ")
    left = next((each[1] for word in rest if (each := _LEFT.fullmatch(word))), None)
    remaining = None if left is None else float(sum(int(part) * 60**place for place, part in enumerate(left.split(":")[::-1])))
    if counted := _COUNT.fullmatch(first):
        return FrameProgress(int(counted[2]), int(counted[3]), counted[1], remaining)
    if shared := _SHARE.fullmatch(first):
        return FrameProgress(phase=shared[1], remaining=remaining)
    return FrameProgress(phase=_LASTED.sub("", first) if first.startswith(_ALL) else text, remaining=remaining)


def read_progress(text: str) -> FrameProgress | None:
    """Return what *text*, a line of Blender's, says of the frame that renders; ``None`` where it is not about that."""
    samples, remaining, memory = _SAMPLES.search(text), _REMAINING.search(text), _MEMORY.search(text)
    if not (samples or memory or remaining):
        return None
    numbers = [int(number) for number in samples.groups() if number is not None] if samples else [0, 0]
    return FrameProgress(
        sample=numbers[0],
        samples=numbers[1],
        phase=_phase(text),
        remaining=_seconds(remaining) if remaining else None,
        memory=round(float(memory[1]) * (1e9 if memory[2] == "G" else 1e6)) if memory else None,
    )


def _phase(text: str) -> str:
    return next((phase for words, phase in _PHASES if words.search(text)), "")


def _clock(seconds: float) -> str:
    """Return *seconds* as ``1:05`` or ``1:10:06``.

    >>> _clock(65), _clock(4206)
    ('1:05', '1:10:06')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _seconds(remaining: re.Match[str]) -> float:
    hours, minutes, seconds = remaining.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)

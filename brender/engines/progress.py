"""What Blender says of a frame while it renders: samples, phase, time left, memory. Pure.

The words differ by version: ``Fra:6 Mem:879.53M (Peak 879.97M) | Time:00:00.05 | Remaining:00:03.20 | Mem:564.68M,
Peak:564.68M | Scene, ViewLayer | Sample 12/64`` (3.4), ``Remaining: 00:05.81 | Mem: 36M | Sample 256/300`` (5.0), ``Rendering
8 / 64 samples`` (EEVEE).
"""

import re
from dataclasses import dataclass

_SAMPLES = re.compile(r"Sample (\d+)/(\d+)|Rendering (\d+) / (\d+) samples|Rendered (\d+)/(\d+) Tiles")
_REMAINING = re.compile(r"Remaining: ?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_MEMORY = re.compile(r"Mem: ?(\d+(?:\.\d+)?)([MG])")
_NOT_A_PHASE = re.compile(r"(Fra|Mem|Time|Remaining|Peak)\b")


@dataclass(frozen=True)
class FrameProgress:
    """Where a frame is. ``samples`` 0: not known. ``remaining`` in seconds, ``memory`` in bytes; ``None``: not said."""

    sample: int = 0
    samples: int = 0
    phase: str = ""
    remaining: float | None = None
    memory: int | None = None
    spent: float = 0.0
    """Seconds that the frame had rendered when this was said."""
    since: float = 0.0
    """Seconds that have passed since."""

    @property
    def share(self) -> float:
        """How much of the frame is done, 0 to 1: by its samples, or by the clock, since Blender may be silent for minutes."""
        by_samples = min(1.0, self.sample / self.samples) if self.samples else 0.0
        if not self.remaining:
            return by_samples
        return max(by_samples, min(0.99, (self.spent + self.since) / (self.spent + self.remaining)))

    @property
    def left(self) -> float | None:
        """Seconds that the frame still takes, as far as is known."""
        return None if self.remaining is None else max(0.0, self.remaining - self.since)

    @property
    def text(self) -> str:
        """All of it in a few words.

        >>> FrameProgress(12, 64, "Sample 12/64", 83.2, 36_000_000).text
        'Sample 12/64 · 1:23 left · 36 MB'
        """
        words = [self.phase] if self.phase else []
        if self.left is not None:
            minutes, seconds = divmod(round(self.left), 60)
            clock = f"{minutes // 60}:{minutes % 60:02}" if minutes >= 60 else f"{minutes}"
            words.append(f"{clock}:{seconds:02} left")
        if self.memory:
            words.append(f"{self.memory / 1e9:.1f} GB" if self.memory >= 1e9 else f"{self.memory / 1e6:.0f} MB")
        return " · ".join(words)


def read_progress(text: str) -> FrameProgress | None:
    """Return what *text*, a line of Blender's, says of the frame that renders; ``None`` where it is not about that."""
    samples, remaining, memory = _SAMPLES.search(text), _REMAINING.search(text), _MEMORY.search(text)
    if not (samples or memory or remaining):
        return None
    numbers = [int(number) for number in samples.groups() if number is not None] if samples else [0, 0]
    phases = [part.strip() for part in text.split("|") if not _NOT_A_PHASE.match(part.strip())]
    if len(phases) > 1 and ", " in phases[0]:
        del phases[0]  # "Scene, ViewLayer"
    return FrameProgress(
        sample=numbers[0],
        samples=numbers[1],
        phase=phases[-1] if samples and phases else " ".join(phases[-2:]),
        remaining=_seconds(remaining) if remaining else None,
        memory=round(float(memory[1]) * (1e9 if memory[2] == "G" else 1e6)) if memory else None,
    )


def _seconds(remaining: re.Match[str]) -> float:
    hours, minutes, seconds = remaining.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds)

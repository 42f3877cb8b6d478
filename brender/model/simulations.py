"""What simulates in a scene, and what a job's owner is told of it. Pure.

The state of a simulation at one frame follows from all frames before it. Where these are kept (it is *baked*) frames can be
rendered in any order; where they are not, only one process that goes through them all gives the right picture.
"""

from collections.abc import Sequence

import msgspec

_NAMED_MOST = 3
_WORDS = {
    "cloth": "the cloth on {!r}",
    "soft body": "the soft body {!r}",
    "rigid bodies": "the rigid bodies of the scene {!r}",
    "particles": "the particles of {!r}",
    "hair dynamics": "the hair dynamics of {!r}",
    "dynamic paint": "the dynamic paint on {!r}",
    "simulation nodes": "the simulation nodes on {!r}",
    "fluid": "the fluid in {!r}",
    "baked fluid": "the fluid in {!r}",
    "inverse kinematics": "the simulated inverse kinematics of {!r}",
}
#: What ``blender -b FILE -a`` leaves as it is at the first frame (tried with 3.4.1, 4.2, 4.5 and 5.0.1): it steps these in the
#: interface's own view of the scene alone, which a render from the command line does not have.
_STILL_ON_THE_COMMAND_LINE = {
    "rigid bodies": "rigid bodies",
    "soft body": "soft bodies",
    "simulation nodes": "simulation nodes",
}
#: Moves only where it is baked.
_ONLY_BAKED = "baked fluid"


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that simulates: on, in or of ``owner``, from frame ``first`` to ``last``."""

    kind: str
    owner: str
    first: int
    last: int
    baked: tuple[int, int] | None = None
    """The first and last frame of its bake; ``None``: it is not baked."""
    folder: str = ""
    """Where the files of its bake lie, or "" if they lie in the .blend."""
    bake: int = 0
    """The number of its bake, where only the .blend itself says whether that is packed (simulation nodes)."""

    @property
    def words(self) -> str:
        """What it is, for a person."""
        return _WORDS.get(self.kind, self.kind + " of {!r}").format(self.owner)

    @property
    def is_half_there(self) -> bool:
        """Whether files of its bake are missing."""
        return bool(self.folder) and (self.baked is None or self.baked[0] > self.first or self.baked[1] < self.last)


def not_baked(simulations: Sequence[Simulation], frames: Sequence[int]) -> list[Simulation]:
    """Return those of *simulations* whose state at one of *frames* (ascending) depends on frames before it, and is not baked."""
    return [
        each
        for each in simulations
        if each.baked is None and not each.folder and each.kind != _ONLY_BAKED and each.first < frames[-1]
    ]


def in_order_by_one(moving: Sequence[Simulation]) -> str:
    """Return the sentence that all frames are rendered in order by one worker, because *moving* are not baked."""
    return (
        f"{_not_baked(moving)}: all frames are rendered in order by one worker{_otherwise(moving)}. "
        f"Bake {_it(moving)} in Blender to use several workers"
    )


def whole_by_one(moving: Sequence[Simulation], frame: int) -> str:
    """Return the sentence that a still at *frame* is not split, because *moving* are not baked."""
    return (
        f"{_not_baked(moving)}: this still is rendered in one piece by one worker, after all frames before {frame}"
        f"{_otherwise(moving)}. Bake {_it(moving)} in Blender to use several workers"
    )


def in_order_by_many(moving: Sequence[Simulation]) -> str:
    """Return the sentence that each worker simulates *moving* by itself, as the job's owner wanted."""
    return (
        f"{_not_baked(moving)}: each worker goes through the frames from {_first(moving)} on by itself, and may come to "
        f"another state than the next{_otherwise(moving)}. Without --chunk one worker renders all frames"
    )


def not_in_order(moving: Sequence[Simulation], process: str) -> str:
    """Return the sentence that *moving* will look wrong with this *process*, which the job's owner wanted."""
    return (
        f"{_not_baked(moving)}: with --process {process} frames may be wrong, and differ from run to run. Without --process they "
        "are rendered in order by one worker"
    )


def other_cautions(simulations: Sequence[Simulation], frames: Sequence[int]) -> list[str]:
    """Return what else the owner of a job for *frames* (ascending) should know: of bakes that end too early, of fluids
    without one."""
    found = []
    for each in simulations:
        name = _capital(each.words)
        if each.kind == _ONLY_BAKED and each.baked is None and not each.folder:
            found.append(f"{name} is not baked, and its cache is not of the type Replay: Blender renders without it")
        elif each.baked is not None and (each.baked[1] < frames[-1] or each.baked[0] > max(each.first, frames[0])):
            found.append(
                f"{name} {_is(each)} baked for {_frames(*each.baked)} only, and the job has {_frames(frames[0], frames[-1])}: "
                f"outside of the bake {_stand(each)} still, as in Blender itself"
            )
    return found


def _not_baked(moving: Sequence[Simulation]) -> str:
    named = [each.words for each in moving[:_NAMED_MOST]]
    if len(moving) > _NAMED_MOST:
        named.append(f"{len(moving) - _NAMED_MOST} more")
    return f"{_capital(_listed(named))} {'are' if len(moving) > 1 else _is(moving[0])} not baked"


def _otherwise(moving: Sequence[Simulation]) -> str:
    told, kinds = [], {each.kind for each in moving}
    if still := sorted(several for kind, several in _STILL_ON_THE_COMMAND_LINE.items() if kind in kinds):
        told.append(f"`blender -b FILE -a` itself would not move {_listed(still)}")
    # Seen with Newton's particles in 5.0, a few pixels of a small picture; not yet known why.
    if "particles" in kinds:
        told.append("particles may lie a little otherwise than with `blender -b FILE -a`")
    return f" ({'; '.join(told)})" if told else ""


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def _frames(first: int, last: int) -> str:
    return f"frame {first}" if first == last else f"frames {first} to {last}"


def _first(moving: Sequence[Simulation]) -> int:
    return min(each.first for each in moving)


def _is_many(each: Simulation) -> bool:
    return each.kind in {"rigid bodies", "particles", "hair dynamics", "simulation nodes", "inverse kinematics"}


def _is(each: Simulation) -> str:
    return "are" if _is_many(each) else "is"


def _stand(each: Simulation) -> str:
    return "they stand" if _is_many(each) else "it stands"


def _it(moving: Sequence[Simulation]) -> str:
    return "them" if len(moving) > 1 or _is_many(moving[0]) else "it"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

"""How a case is declared: which scene, how it is submitted, and what should come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.corpus.comparing import EXACT, Tolerance

Version = tuple[int, int]

#: The ways through the farm, by their options of ``brender submit``.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "two": ("--chunk", "1"),
    "one": ("--chunk", "1000"),
    "cold": ("--process", "cold"),
    "send": ("--send", "--chunk", "1"),
    "pieces": ("--pieces", "2"),
}
USUAL = ("two", "send")

IN_PIECES = Tolerance(1e-5, "the average of shares of the samples is rounded otherwise than their sum")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scene and what should come of it.

    ``scene`` is a function of tests/scenes, called with ``values``. The files must be those that Blender itself leaves, unless
    ``refused`` is declared, or ``warned`` and ``differs``.
    """

    name: str
    scene: str
    values: Mapping[str, Any] = field(default_factory=dict)
    file: str = "shot.blend"
    """The name of the .blend in the case's folder."""
    options: tuple[str, ...] = ()
    """Further options of ``brender submit``."""
    variants: tuple[str, ...] = USUAL
    folder: str | None = None
    """The folder beside the .blend that ``--output`` names; ``None``: it goes where the scene says."""
    root: str = "out"
    """The folder that is the root of the frames of a job that was sent."""
    stills: tuple[int, ...] = ()
    """Blender itself renders these frames (``-f``), and not the animation."""
    as_if: Mapping[str, Any] | None = None
    """The values that make the scene which Blender itself renders, where options change it."""
    changes: bool = False
    """It is submitted twice. Before the second time, what lies in the hidden folder ``.changed`` replaces the files of its name,
    and what Blender itself renders is what there is then."""
    trusted: bool = False
    """Scripts run: Blender's ``--enable-autoexec`` and brender's ``--trusted``."""
    refused: str = ""
    """What the sentence that refuses it before it is accepted has (a regular expression; capitals do not matter)."""
    fails: str = ""
    """What the reason has for which it fails, where only a worker can know that it cannot render it rightly."""
    warned: str = ""
    """What the warning has that says, when it is submitted, what is done otherwise."""
    differs: bool = False
    """The pixels are not those that Blender would leave, as the warning says; the names are."""
    besides: str = ""
    """What the names have of files that are others than Blender's, as the warning says."""
    ocio: bool = False
    """The scene is made, and rendered by Blender itself, with a studio's own OpenColorIO configuration (tests/coloring.py)."""
    remove: tuple[str, ...] = ()
    """Files that are taken away once the scene is made, so that they are missing."""
    tolerance: Tolerance = EXACT
    pieces_tolerance: Tolerance = IN_PIECES
    since: Version = (0, 0)
    before: Version = (99, 0)
    quick: tuple[str, ...] = ()
    """One of the telling ones, which every run of the tests renders: in these variants."""
    slow: str = ""
    """Why it is only rendered when it is asked for by its name or with --slow."""

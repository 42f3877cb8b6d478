"""Wall time of an 8-frame `brender render` with one worker, against Blender's own command line on the same scene.

    python -m benchmarks.render [--quick]

The scene is the demo's. For each Blender of this machine (the bpy package, a ``blender`` executable), paired in one run:

- ``brender render --workers 1``, the whole farm's start and end included, with chunks of one frame and with one chunk of eight;
- all frames in one process: ``blender -b FILE -s 1 -e 8 -a``;
- one process a frame: eight times ``blender -b FILE -f N``.

The bpy package has no command line; a script that opens the file and renders the same frames stands for it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import arguments, paired, report
from brender.commands.farm import make_demo
from brender.engines.attempt import clean_environment
from brender.engines.blenders import find_blenders
from brender.model.nodes import Blender

FRAMES = 8
_DIRECT = """
import sys, bpy
file, out, first, last = sys.argv[-4:]
bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
scene = bpy.context.scene
scene.render.filepath = out
scene.frame_start, scene.frame_end = int(first), int(last)
bpy.ops.render.render(animation=True)
"""


def run(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words], env=clean_environment({}), capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{(done.stdout + done.stderr).decode()[-2000:]}")


def with_brender(blender: Blender, file: Path, folder: Path, chunk: int) -> None:
    options = ("--frames", f"1-{FRAMES}", "--chunk", chunk, "--workers", 1, "--blender", blender.path, "--no-dashboard")
    run(
        sys.executable,
        "-m",
        "brender.commands.main",
        "render",
        file,
        *options,
        "--output",
        folder / "out",
        "--data",
        folder / "data",
    )


def with_blender(blender: Blender, file: Path, folder: Path, first: int, last: int) -> None:
    out = folder / "direct" / "####"
    if blender.kind == "bpy":
        script = folder / "direct.py"
        script.write_text(_DIRECT)
        run(blender.path, "-I", script, file, out, first, last)
    elif first == last:
        run(blender.path, "-b", file, "-o", out, "-f", first)
    else:
        run(blender.path, "-b", file, "-o", out, "-s", first, "-e", last, "-a")


def sides(blender: Blender, file: Path, folder: Path) -> dict[str, Callable[[], None]]:
    def one_process_a_frame() -> None:
        for frame in range(1, FRAMES + 1):
            with_blender(blender, file, folder, frame, frame)

    return {
        "brender, chunks of 1": lambda: with_brender(blender, file, folder, 1),
        "brender, one chunk": lambda: with_brender(blender, file, folder, FRAMES),
        "one process": lambda: with_blender(blender, file, folder, 1, FRAMES),
        "one process a frame": one_process_a_frame,
    }


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    for blender in find_blenders():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            file = make_demo(folder / "demo.blend", (blender.path,))
            seconds = paired(sides(blender, file, folder), rounds=1 if options.quick else 3)
        for ours in ("brender, chunks of 1", "brender, one chunk"):
            for theirs in ("one process", "one process a frame"):
                figure = f"{FRAMES} frames of the demo, {blender.label}: {ours}"
                report(figure, seconds[ours], "s", f"{theirs}: {seconds[theirs]:.2f} s", seconds[ours] / seconds[theirs])


if __name__ == "__main__":
    main()

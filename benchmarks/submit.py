"""How long `brender submit` takes of a large scene, against Blender's own time to open it, paired in one run.

    python -m benchmarks.submit [--quick]

The scene has 200 MB of meshes and 500 textures beside it (--quick: 20 MB and 50). It is submitted, paused, to a farm that runs
already, from the start of the command to its end:

- read through Blender itself, as on every machine that has one;
- read by the tracer, as on a machine without;
- and Blender's side: a process that starts, opens the file and ends.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import arguments, paired, report
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.engines.blenders import own_bpy
from brender.engines.command_line import python_in
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder

_MAKE = """
import array, os, bpy
FOLDER, MEGABYTES, TEXTURES = {folder!r}, {megabytes}, {textures}
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
scene.collection.objects.link(scene.camera)
os.makedirs(os.path.join(FOLDER, "tex"))
for number in range(TEXTURES):
    made = bpy.data.images.new("made", 8, 8)
    made.filepath_raw, made.file_format = os.path.join(FOLDER, "tex", "t%03d.png" % number), "PNG"
    made.save()
    bpy.data.images.remove(made)
    material = bpy.data.materials.new("m%03d" % number)
    material.use_nodes = True
    material.use_fake_user = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(os.path.join(FOLDER, "tex", "t%03d.png" % number))
# 2,000 objects of one mesh each: about as many blocks as a scene of that size has.
meshes = 2000 * MEGABYTES // 200
points = MEGABYTES * 2**20 // meshes // 12
for number in range(meshes):
    mesh = bpy.data.meshes.new("mesh")
    mesh.vertices.add(points)
    mesh.vertices.foreach_set("co", array.array("f", [0.5] * (3 * points)))
    scene.collection.objects.link(bpy.data.objects.new("thing", mesh))
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(FOLDER, "shot.blend"), compress=False)
"""
_TRACER = (
    "import contextlib\nfrom brender.blendfile import facts, packing\n"
    "facts.reader_for = packing.reader_for = lambda *_: contextlib.nullcontext()\n"
    "from brender.commands.main import main\nmain()"
)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment({}), check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _measure(blender: Blender, folder: Path, quick: bool) -> None:
    megabytes, textures = (20, 50) if quick else (200, 500)
    _run(*python_in(blender, _MAKE.format(folder=str(folder / "scene"), megabytes=megabytes, textures=textures)))
    file, data = folder / "scene" / "shot.blend", folder / "data"
    opened = python_in(blender, f"bpy.ops.wm.open_mainfile(filepath={str(file)!r}, load_ui=False, use_scripts=False)")
    submit = ("submit", str(file), "--data", str(data), "--paused", "--output")
    numbers = iter(range(1000))

    def submitted(*code: str) -> None:
        _run(sys.executable, *code, *submit, str(folder / f"out-{next(numbers)}"))

    with LocalFarm(FarmPlan(folder=DataFolder(data), workers=0, any_ports=True)):
        seconds = paired(
            {
                "opened": lambda: _run(*opened),
                "blender": lambda: submitted("-m", "brender.commands.main"),
                "tracer": lambda: submitted("-c", _TRACER),
            },
            3 if quick else 5,
        )
    what = f"a scene of {file.stat().st_size / 2**20:.0f} MB with {textures} textures"
    for side in ("blender", "tracer"):
        report(f"submit of {what}, read by {side}", seconds[side], "s", "Blender opens it", seconds[side] / seconds["opened"])


def main() -> None:
    quick, blender = arguments(__doc__ or "").quick, own_bpy()
    assert blender is not None, "this wants the bpy package: pip install -e '.[blender]'"
    with tempfile.TemporaryDirectory() as folder:
        _measure(blender, Path(folder), quick)


if __name__ == "__main__":
    main()

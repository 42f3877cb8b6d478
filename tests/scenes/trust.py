"""Scenes with scripts in them: drivers and handlers."""

import bpy
from base import begin, makes_a_scene, move


def drive(thing, expression):
    """Let the height of *thing* be what *expression* says."""
    driver = thing.driver_add("location", 2).driver
    driver.type = "SCRIPTED"
    driver.expression = expression
    return driver


@makes_a_scene
def driven(folder, expression, text="", **how):
    """A cube whose height an *expression* says, beside a registered *text*, which Blender runs when it opens the file."""
    scene = begin(**how)
    if text:
        script = bpy.data.texts.new("script.py")
        script.write(text)
        script.use_module = True
    drive(scene.objects["Cube"], expression)


_FUNCTION = """
import bpy
def height(frame):
    return frame / 3
bpy.app.driver_namespace["height"] = height
"""

_HANDLER = """
import bpy
def rise(scene, *rest):
    scene.objects["Cube"].location.z = scene.frame_current / 3
bpy.app.handlers.frame_change_post.append(rise)
"""

_COUNTER = """
import bpy
count = 0
def rise(scene, *rest):
    global count
    count += 1
    scene.objects["Cube"].location.z = count / 3
bpy.app.handlers.render_pre.append(rise)
"""


@makes_a_scene
def namespace(folder, **how):
    """A cube whose height a function says that a registered text defines."""
    driven(folder, "height(frame)", _FUNCTION, **how)


@makes_a_scene
def handler(folder, counts=False, **how):
    """A cube that a registered text moves at each change of the frame, or at each render (which it *counts*)."""
    begin(**how)
    script = bpy.data.texts.new("script.py")
    script.write(_COUNTER if counts else _HANDLER)
    script.use_module = True


@makes_a_scene
def unregistered(folder, **how):
    """A cube beside a text that nobody runs."""
    begin(**how)
    bpy.data.texts.new("notes.py").write("import bpy\n")


@makes_a_scene
def driven_by_a_variable(folder, **how):
    """A cube whose height follows another thing, by a driver without a script."""
    scene = begin(**how)
    leader = bpy.data.objects.new("Leader", None)
    scene.collection.objects.link(leader)
    move(leader, (1, 2), 0.5)
    driver = scene.objects["Cube"].driver_add("location", 2).driver
    driver.type = "AVERAGE"
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    variable.targets[0].id = leader
    variable.targets[0].transform_type = "LOC_X"

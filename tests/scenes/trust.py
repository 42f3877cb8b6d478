"""Scenes with scripts in them: drivers and handlers."""

import bpy
from base import begin, makes_a_scene


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

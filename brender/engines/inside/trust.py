"""Inside Blender: what in the open .blend runs only where its scripts are trusted."""

import bpy
import expressions


def wanting_trust():
    """Texts that run when the file is opened, and drivers that need Python in full, in words for a person."""
    found = ["the text %r (registered)" % text.name for text in bpy.data.texts if text.use_module and text.name.endswith(".py")]
    for owner, driven in drivers():
        driver = driven.driver
        if driver.type != "SCRIPTED" or driven.mute or getattr(driver, "is_simple_expression", False):
            continue
        if expressions.needs_trust(driver.expression, [variable.name for variable in driver.variables]):
            place = driven.data_path + ("[%d]" % driven.array_index if is_array(owner, driven) else "")
            found.append("the driver of %s.%s (%r)" % (owner.name, place, driver.expression))
    return found


def drivers():
    """Every driver of the file, with the data-block that it drives a property of."""
    for name in dir(bpy.data):
        blocks = getattr(bpy.data, name)
        if not isinstance(blocks, bpy.types.bpy_prop_collection):
            continue
        for block in blocks:
            # Node trees of materials, worlds, lights and scenes have drivers of their own.
            for owner in (block, getattr(block, "node_tree", None)):
                data = getattr(owner, "animation_data", None)
                for driven in data.drivers if data is not None else ():
                    yield block, driven


def is_array(owner, driven):
    try:
        value = owner.path_resolve(driven.data_path)
    except ValueError:
        return False
    return hasattr(value, "__len__") and not isinstance(value, str)

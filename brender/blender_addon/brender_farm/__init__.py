"""brender's add-on for Blender: submits the open scene to a farm, shows one's jobs, and loads their frames.

It knows the farm by its HTTP API alone, and needs nothing beside Blender's own Python.
"""

bl_info = {
    "name": "brender",
    "description": "Submit to a brender render farm and load its frames",
    "author": "brender",
    "version": (3, 0, 0),
    "blender": (3, 3, 0),
    "location": "Properties > Output > brender",
    "category": "Render",
}


def _parts():
    # Not before it is registered: Blender reads bl_info alone first, and tests run what knows no bpy by itself.
    from . import cards, form, jobs, panel, preferences, progress, submit, upkeep

    return cards, progress, preferences, form, submit, jobs, panel, upkeep


def register():
    """Make the add-on's parts known to Blender."""
    for part in _parts():
        part.register()


def unregister():
    """Take them away again, and end what still goes on."""
    for part in reversed(_parts()):
        part.unregister()

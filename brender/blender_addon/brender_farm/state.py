"""What the add-on knows of the farm now, for its panel to show. Nothing of it is kept."""

import bpy

#: The work in a thread (background.Work) that goes on.
work = None
#: What the farm said: who I am, its job types, my jobs, and what the scene would come to (words).
me = None
about = None
kinds = []
jobs = []
outlook = []
#: When the panel was drawn last (time.monotonic), whether jobs are to be asked for at once, and why those shown are not of now.
drawn = 0.0
look_at_jobs = False
problem = ""


def forget():
    """Forget the farm: another one is named, or the add-on ends."""
    global me, about, kinds, jobs, outlook, problem
    me = about = None
    kinds, jobs, outlook, problem = [], [], [], ""


def kind(name):
    """Return the job type *name* as the farm declares it, or ``None``."""
    return next((each for each in kinds if each["name"] == name), None)


def redraw():
    """Have the properties editors drawn again."""
    manager = getattr(bpy.context, "window_manager", None)
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type in {"PROPERTIES", "PREFERENCES"}:
                area.tag_redraw()

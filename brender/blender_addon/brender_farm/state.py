"""What the add-on knows of the farm now, for its panel to show. Nothing of it is kept."""

import bpy

#: The work in a thread (background.Work) that goes on.
work = None
#: The window's timers by which operators look at their works, by these: one may begin before that of the last is removed.
timers = {}
#: What the farm said: who I am, its job types, my jobs, and what the scene would come to (words).
me = None
#: Whether it said so now, and not at an earlier time.
asked = False
about = None
kinds = []
jobs = []
outlook = []
#: What the scene comes to by the farm's estimate, and what is amiss with it, each in lines of words.
forecast = []
warnings = []
#: Whether files of it are missing on this machine.
is_missing = False
#: The page that takes the code while one signs in; "" otherwise.
page = ""
#: What is to be sent later (outbox.Entry), and what is sent of it now (background.Work).
waiting = []
sending = None
#: Jobs whose frames are shown as they arrive, by their ids and where that is (following.Followed).
followed = {}
#: When the panel was drawn last (time.monotonic), whether jobs are to be asked for at once, and why those shown are not of now.
drawn = 0.0
look_at_jobs = False
#: Whether what waits is to be sent at once.
send_now = False
problem = ""
#: Whether the farm does not take the token (any more).
signed_out = False


def forget():
    """Forget the farm: another one is named, or the add-on ends."""
    global asked, me, about, kinds, jobs, outlook, problem, forecast, warnings, signed_out
    asked, me, about, signed_out = False, None, None, False
    kinds, jobs, outlook, problem, forecast, warnings = [], [], [], "", [], []
    followed.clear()


def kind(name):
    """Return the job type *name* as the farm declares it, or ``None``."""
    return next((each for each in kinds if each["name"] == name), None)


def redraw():
    """Have the properties editors drawn again."""
    manager = getattr(bpy.context, "window_manager", None)
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type in {"PROPERTIES", "PREFERENCES", "IMAGE_EDITOR", "SEQUENCE_EDITOR"}:
                area.tag_redraw()

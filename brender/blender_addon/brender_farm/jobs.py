"""My jobs at the farm: how far they are, what can be done with them, and their frames in Blender."""

import os
import time
import webbrowser

import bpy

from . import form, state
from .background import Work, Working
from .client import FarmError, unlike
from .fetching import fetched, frames_of
from .preferences import address_of, farm_of, has_token, look_at
from .submit import show

SHOWN_MOST = 8
_REFRESH_SECONDS = 5.0
_TICK_SECONDS = 0.5
_DRAWN_SECONDS = 10.0
_FILMS = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".ogv", ".mpg"}
_ACTIONS = [
    ("pause", "Pause", "Hand out no more of its frames"),
    ("resume", "Resume", "Go on with it"),
    ("cancel", "Cancel", "End it; the frames that are done stay"),
    ("requeue", "Requeue", "Render all of its frames again"),
]


def mine(farm):
    """Return my newest jobs at *farm*. Raises `FarmError`."""
    try:
        me = farm.ask("/me")["name"]
        return farm.ask(f"/jobs?{_query(user=me, length=SHOWN_MOST)}")["rows"]
    except (KeyError, TypeError) as error:
        raise unlike(farm, error) from error


def _query(**words):
    from urllib.parse import urlencode

    return urlencode(words)


class BRENDER_OT_refresh(Working, bpy.types.Operator):
    bl_idname = "brender.refresh"
    bl_label = "Refresh"
    bl_description = "Ask the farm how far my jobs are"

    def prepare(self, context):
        farm = farm_of(context)
        return farm, lambda say: mine(farm)

    def finish(self, context, result):
        state.jobs = result


class BRENDER_OT_act(Working, bpy.types.Operator):
    bl_idname = "brender.act"
    bl_label = "Change the job"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    action: bpy.props.EnumProperty(items=_ACTIONS, options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return next(text for name, _, text in _ACTIONS if name == properties.action)

    def prepare(self, context):
        farm = farm_of(context)
        path, body = f"/jobs/{self.job}/actions/{self.action}", {"value": "all"} if self.action == "requeue" else {}

        def doing(say):
            farm.ask(path, body)
            return mine(farm)

        return farm, doing

    def finish(self, context, result):
        state.jobs = result


class BRENDER_OT_open(bpy.types.Operator):
    bl_idname = "brender.open"
    bl_label = "Open its page"
    bl_description = "Open the job's page in the browser"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        try:
            webbrowser.open(f"{address_of(context)}/jobs/{self.job}")
        except FarmError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class BRENDER_OT_load(Working, bpy.types.Operator):
    bl_idname = "brender.load"
    bl_label = "Load frames"
    bl_description = "Bring the job's finished frames into the Image Editor, as an image sequence"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context):
        farm = farm_of(context)
        beside = os.path.dirname(bpy.data.filepath) or bpy.app.tempdir
        return farm, lambda say: fetched(farm, self.job, os.path.join(beside, "farm_frames"), say)

    def finish(self, context, result):
        name, paths = result
        image = load(name, paths)
        space = show(context, image)
        if space is not None and image.source == "SEQUENCE":
            numbers = sorted(frames_of(paths))
            space.image_user.frame_start = numbers[0]
            space.image_user.frame_offset = numbers[0] - 1
            space.image_user.frame_duration = numbers[-1] - numbers[0] + 1
            space.image_user.use_auto_refresh = True
        many = "1 frame" if len(paths) == 1 else f"{len(paths)} frames"
        self.report({"INFO"}, f"{image.name} is in the Image Editor: {many} from {os.path.dirname(paths[0])}")


def load(name, paths):
    """Return the frames at *paths* as an image: a sequence, where they are more than one."""
    try:
        image = bpy.data.images.load(paths[0])
    except RuntimeError as error:
        raise FarmError(f"Blender cannot read {paths[0]}: {error}") from error
    image.name = name
    if os.path.splitext(paths[0])[1].lower() in _FILMS:
        image.source = "MOVIE"
    elif len(paths) > 1:
        image.source = "SEQUENCE"
    return image


#: The question that is asked in the background now (Work), and when the next one is due.
_asking = None
_due = 0.0


def _tick():
    """Ask the farm now and then, as long as somebody sees the panel."""
    global _asking, _due
    now = time.monotonic()
    if _asking is not None:
        if _asking.going:
            return _TICK_SECONDS
        work, _asking = _asking, None
        _due = now + _REFRESH_SECONDS
        if work.error is None:
            known, state.jobs = work.result
            if known:
                state.me, state.about, state.kinds = known["me"], known["about"], known["kinds"]
                for scene in bpy.data.scenes:
                    form.fill(scene)
        state.problem = str(work.error or "")
        state.redraw()
    elif now - state.drawn < _DRAWN_SECONDS and (now >= _due or state.look_at_jobs):
        state.look_at_jobs = False
        _ask()
    return _TICK_SECONDS


def _ask():
    global _asking, _due
    _due = time.monotonic() + _REFRESH_SECONDS
    if not has_token(bpy.context):
        return
    try:
        farm = farm_of(bpy.context)
    except FarmError as error:
        state.problem = str(error)
        return
    is_new = not state.kinds
    _asking = Work(farm, lambda say: (look_at(farm) if is_new else None, mine(farm)))


_CLASSES = (BRENDER_OT_refresh, BRENDER_OT_act, BRENDER_OT_open, BRENDER_OT_load)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)
    if not bpy.app.background:
        bpy.app.timers.register(_tick, first_interval=_TICK_SECONDS, persistent=True)


def unregister():
    global _asking
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _asking is not None:
        _asking.stop()
        _asking.wait(2.0)
        _asking = None
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

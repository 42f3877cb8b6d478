"""My jobs at the farm: how far they are, what can be done with them, and their frames in Blender."""

import os
import webbrowser

import bpy

from . import following, outbox, render_result, state
from .background import Working
from .client import FarmError, unlike
from .fetching import Arriving, slot_key
from .preferences import address_of, farm_of, outbox_folder

SHOWN_MOST = 8
_ACTIONS = [
    ("pause", "Pause", "Start no further frames of it"),
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


def _frames_folder():
    return os.path.join(os.path.dirname(bpy.data.filepath) or bpy.app.tempdir, "farm_frames")


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

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    target: bpy.props.EnumProperty(items=following.TARGETS, options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return next(text for name, _, text in following.TARGETS if name == properties.target)

    def prepare(self, context):
        farm = farm_of(context)
        self._arriving = Arriving(self.job, _frames_folder())
        return farm, lambda say: self._arriving.look(farm, say)

    def finish(self, context, result):
        earlier = state.followed.pop((self.job, self.target), None)
        followed = following.Followed(self._arriving, self.target, earlier.shown if earlier else "")
        self.report({"INFO"}, followed.show(context, opens=True))
        if not self._arriving.is_ended:
            state.followed[self.job, self.target] = followed


class BRENDER_OT_to_render_result(Working, bpy.types.Operator):
    bl_idname = "brender.to_render_result"
    bl_label = "To Render Result"
    bl_description = "Show the current frame, as the farm rendered it, in a slot of the Render Result: compare it there by J"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context):
        farm = farm_of(context)
        arriving, frame = Arriving(self.job, _frames_folder()), context.scene.frame_current
        self._arriving = arriving
        return farm, lambda say: arriving.look_for(farm, say, frame)

    def finish(self, context, result):
        frame, path = result
        key = slot_key(self._arriving.name, self.job)
        inexact = render_result.load(context, path, f"{key}, frame {frame}", key)
        image = render_result.image()
        is_shown = following.show(context, image, opens=True)
        said = f"Frame {frame} of {self._arriving.name} is in the Render Result, slot {image.render_slots.active_index + 1}"
        where = "" if is_shown else ": Render, View Render shows it"
        self.report({"INFO"}, f"{said}{where}{f' ({inexact})' if inexact else ''}")


class BRENDER_OT_waiting(bpy.types.Operator):
    bl_idname = "brender.waiting"
    bl_label = "What waits to be sent"

    entry: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    action: bpy.props.EnumProperty(
        items=[("send", "Send it now", "Try again to send it"), ("remove", "Remove it", "Remove it: it is not submitted")],
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context, properties):
        return "Try again to send it" if properties.action == "send" else "Remove it: it is not submitted"

    def execute(self, context):
        for each in outbox.entries(outbox_folder()):
            if each.id == self.entry:
                try:
                    each.remove() if self.action == "remove" else each.set_problem("")
                except FarmError as error:
                    self.report({"ERROR"}, str(error))
                    return {"CANCELLED"}
        state.waiting = outbox.entries(outbox_folder())
        state.send_now = True
        return {"FINISHED"}


_CLASSES = (BRENDER_OT_refresh, BRENDER_OT_act, BRENDER_OT_open, BRENDER_OT_load, BRENDER_OT_to_render_result, BRENDER_OT_waiting)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister():
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

"""The panel in the output properties."""

import time

import bpy

from . import cards, checks, form, jobs, preferences, state
from .preferences import who
from .progress import draw_words, draw_work
from .sending import GROUP_OF_MISSING

_ICONS = {
    "queued": "TIME",
    "active": "PLAY",
    "paused": "PAUSE",
    "completed": "CHECKMARK",
    "failed": "ERROR",
    "canceled": "X",
}
#: A label with so many letters is not cut.
_LABEL_MOST = 22
#: How large the picture of a job is, in buttons.
_PICTURE_SCALE = 3.5
_ENDED = ("completed", "failed", "canceled")


class _Panel:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"


class BRENDER_PT_farm(_Panel, bpy.types.Panel):
    bl_idname = "BRENDER_PT_farm"
    bl_label = "brender"

    def draw(self, context):
        state.drawn = time.monotonic()
        layout = self.layout
        if not preferences.has_token(context):
            layout.label(text="Which farm, and who you are there:")
            layout.prop(preferences.addon(context), "address")
            draw_work(layout)
            row = layout.row(align=True)
            row.operator("brender.sign_in", icon="URL")
            row.operator("brender.paste_token", text="Paste a token…")
            _draw_waiting(layout)
            return
        row = layout.row()
        row.label(text=who() if state.me else preferences.addon(context).address, icon="CHECKMARK" if state.me else "WORLD")
        row.operator("brender.connect", text="" if state.me else "Connect", icon="FILE_REFRESH")
        if state.problem:
            draw_words(layout, state.problem, "ERROR")
        if state.signed_out:
            row = layout.row(align=True)
            row.operator("brender.sign_in", icon="URL")
            row.operator("brender.paste_token", text="Paste a token…")
        _draw_waiting(layout)
        if state.kinds:
            layout.use_property_split = True
            layout.use_property_decorate = False
            self._draw_form(context.scene, layout)

    def _draw_form(self, scene, layout):
        chosen = scene.brender
        layout.prop(chosen, "job_type")
        groups = {}
        for setting in state.kind(chosen.job_type)["settings"] if state.kind(chosen.job_type) else ():
            fields = groups.setdefault(setting["group"], [])
            item = chosen.settings.get(setting["name"])
            if item is None:
                continue
            if setting["required"] or setting["name"] in ("frames", "frame"):
                _field(layout, scene, setting, item)
            else:
                fields.append((setting, item))
        layout.prop(chosen, "priority")
        if len(bpy.data.scenes) > 1:
            count = sum(each.brender.is_chosen for each in bpy.data.scenes)
            if _folded(layout, chosen, "show_scenes", f"Scenes: {count} ticked" if count else "Scenes: this one"):
                column = layout.column(align=True)
                column.use_property_split = False
                for each in bpy.data.scenes:
                    column.prop(each.brender, "is_chosen", text=each.name)
        self._draw_submit(scene, layout)
        for name, fields in groups.items():
            group = chosen.groups.get(name)
            if group is None or not fields:
                continue
            is_set = any(item.text for _, item in fields)
            if _folded(layout, group, "is_open", f"{name} *" if is_set else name):
                for setting, item in fields:
                    _field(layout, scene, setting, item)
        if _folded(layout, chosen, "show_more", GROUP_OF_MISSING):
            for name in ("job_name", "project", "output", "each_layer", "trust", "allow_missing", "paused"):
                layout.prop(chosen, name)

    def _draw_submit(self, scene, layout):
        for number, line in enumerate(state.forecast):
            draw_words(layout, line, "NONE" if number else "RENDER_ANIMATION")
        for line in state.warnings:
            draw_words(layout, line, "INFO" if line == checks.UNSAVED else "ERROR")
        if state.is_missing or scene.brender.allow_missing:
            layout.prop(scene.brender, "allow_missing")
        draw_work(layout)
        for line in state.outlook:
            draw_words(layout, line)
        column = layout.column()
        column.enabled = state.work is None
        column.scale_y = 1.3
        column.operator("brender.submit", icon="EXPORT")
        row = column.row(align=True)
        row.operator("brender.test_frame", icon="RENDER_STILL")
        row.operator("brender.check", icon="INFO")


class BRENDER_PT_jobs(_Panel, bpy.types.Panel):
    bl_idname = "BRENDER_PT_jobs"
    bl_parent_id = "BRENDER_PT_farm"
    bl_label = "My jobs"

    @classmethod
    def poll(cls, context):
        return preferences.has_token(context)

    def draw(self, context):
        state.drawn = time.monotonic()
        layout = self.layout
        layout.operator("brender.refresh", icon="FILE_REFRESH")
        if not state.jobs:
            layout.label(text="No jobs of yours are known yet")
        for job in state.jobs[: jobs.SHOWN_MOST]:
            box = layout.box()
            picture = cards.icon(job["id"])
            if picture is not None:
                sides = box.row()
                sides.column().template_icon(icon_value=picture, scale=_PICTURE_SCALE)
                box = sides.column()
            row = box.row()
            row.label(text=job["name"], icon=_ICONS.get(job["status"], "DOT"))
            row.label(text=", ".join(filter(None, (job["status"], job.get("done_words")))))
            row = box.row(align=True)
            for action, icon in _actions(job["status"]):
                made = row.operator("brender.act", text="", icon=icon)
                made.job, made.action = job["id"], action
            for target, text, icon in (("IMAGE", "Load frames", "IMAGE_DATA"), ("SEQUENCER", "", "SEQUENCE")):
                made = row.operator("brender.load", text=text, icon=icon, depress=_is_followed(job["id"], target))
                made.job, made.target = job["id"], target
            row.operator("brender.to_render_result", text="", icon="RENDER_RESULT").job = job["id"]
            row.operator("brender.open", text="", icon="URL").job = job["id"]
            if job["status"] == "failed" and job["reason"]:
                draw_words(box, job["reason"])


def _draw_waiting(layout):
    """Draw what is sent later."""
    if state.sending is not None:
        draw_words(layout, state.sending.words or "Sending what waits…", "SORTTIME")
    for entry in state.waiting:
        box = layout.box()
        row = box.row(align=True)
        when = "waits for you" if entry.problem else "sent when the farm answers"
        row.label(text=f"{', '.join(each['name'] for each in entry.jobs)}: {when}", icon="TIME")
        for action, icon in (("send", "FILE_REFRESH"), ("remove", "X")):
            made = row.operator("brender.waiting", text="", icon=icon)
            made.entry, made.action = entry.id, action
        if entry.problem:
            draw_words(box, entry.problem, "ERROR")


def _is_followed(job, target):
    return (job, target) in state.followed


def _folded(layout, owner, name, title):
    """Draw the head of a group of settings, and return whether it is open."""
    is_open = getattr(owner, name)
    row = layout.row()
    row.use_property_split = False
    row.alignment = "LEFT"
    row.prop(owner, name, text=title, icon="TRIA_DOWN" if is_open else "TRIA_RIGHT", emboss=False)
    return is_open


def _actions(status):
    """Return what can be done with a job of that *status*, each with its icon."""
    if status in _ENDED:
        return (("requeue", "LOOP_BACK"),)
    return (("resume", "PLAY") if status == "paused" else ("pause", "PAUSE"), ("cancel", "X"))


def _field(layout, scene, setting, item):
    """Draw one setting: what is so while it is empty stands in the field. Before Blender 4.1 fields cannot show that: where it is
    short, it stands in the label."""
    own = form.as_the_scene(scene, setting["name"]) if setting["from_file"] else ""
    absent = own or setting["absent"]
    if bpy.app.version >= (4, 1, 0):
        layout.prop(item, "text", text=setting["label"], placeholder=absent)
    else:
        label = f"{setting['label']} ({absent})"
        layout.prop(item, "text", text=label if absent and len(label) <= _LABEL_MOST else setting["label"])


_CLASSES = (BRENDER_PT_farm, BRENDER_PT_jobs)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister():
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

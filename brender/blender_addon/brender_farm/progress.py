"""What the panel and the preferences draw of the work that goes on: its words, and while one signs in, the code and the page."""

import webbrowser

import bpy

from . import state

_LETTERS_MOST = 60


def draw_words(layout, text, icon="NONE"):
    """Draw *text* in as many lines as it takes; its own lines stay lines."""
    column = layout.column(align=True)
    for part in text.split("\n"):
        line = ""
        for word in part.split():
            if line and len(line) + len(word) >= _LETTERS_MOST:
                column.label(text=line, icon=icon)
                line, icon = "", "NONE"
            line = f"{line} {word}".strip()
        column.label(text=line, icon=icon)
        icon = "NONE"


def draw_work(layout):
    """Draw what goes on."""
    if state.work is None:
        return
    row = layout.row()
    draw_words(row, state.work.words or "Asking the farm…", "SORTTIME")
    row.operator("brender.stop", text="", icon="X")
    if state.page:
        row = layout.row(align=True)
        for action, text, icon in (("open", "Open the page", "URL"), ("copy", "Copy its address", "COPYDOWN")):
            row.operator("brender.sign_in_page", text=text, icon=icon).action = action


class BRENDER_OT_sign_in_page(bpy.types.Operator):
    bl_idname = "brender.sign_in_page"
    bl_label = "The page that takes the code"

    action: bpy.props.EnumProperty(
        items=[("open", "Open the page", ""), ("copy", "Copy its address", "")], options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context, properties):
        if properties.action == "open":
            return "Open the page again that takes the code, in the browser"
        return "Copy the address of the page that takes the code: open it in a browser, also on another machine"

    def execute(self, context):
        if self.action == "open":
            webbrowser.open(state.page)
        else:
            context.window_manager.clipboard = state.page
        return {"FINISHED"}


def register():
    bpy.utils.register_class(BRENDER_OT_sign_in_page)


def unregister():
    bpy.utils.unregister_class(BRENDER_OT_sign_in_page)

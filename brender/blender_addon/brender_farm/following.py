"""Frames of a job in Blender, as they arrive: as an image sequence in the Image Editor, or as a strip in the Sequencer."""

import os

import bpy

from .client import FarmError
from .fetching import cut, held

IMAGE, SEQUENCER = "IMAGE", "SEQUENCER"
TARGETS = [
    (IMAGE, "Load frames", "Bring the job's frames into the Image Editor, as an image sequence, as they arrive"),
    (SEQUENCER, "Into the Sequencer", "Bring the job's frames into the Sequencer, as an image strip, as they arrive"),
]
#: What is said of a picture in the Image Editor where none is open.
NOT_OPEN = ". No Image Editor is open: open one, and choose it there"
#: The bytes of a job's name that stay in an image's, which may have a number after it.
_IN_NAME = 55
_FILMS = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".ogv", ".mpg"}


class Followed:
    """The job whose frames *arriving* fetches, shown in *target*."""

    def __init__(self, arriving, target, shown=""):
        self.arriving = arriving
        self.target = target
        #: What Blender calls the image or the strip.
        self.shown = shown
        self._is_open = True
        self._is_placed = False

    def show(self, context, opens=False):
        """Show the frames that are here now; return where, in words. *opens*: open an Image Editor if there is none. Raises
        `FarmError`."""
        if not self.arriving.frames:
            return f"{self.arriving.name} has no finished frames yet: they are shown as they arrive"
        place = "the Image Editor" if self.target == IMAGE else "the Sequencer"
        if self.target == IMAGE:
            self._show_image(context, opens)
        else:
            self._show_strip(context)
        paths = self.arriving.paths
        many = "1 frame" if len(paths) == 1 else f"{len(paths)} frames"
        more = "" if self.arriving.is_ended else "; the others follow as they arrive"
        what = f"{many} from {os.path.dirname(paths[0])}{more}"
        return f"{self.shown} is in {place}: {what}" if self._is_open else f"{self.shown} is loaded: {what}{NOT_OPEN}"

    def _show_image(self, context, opens):
        wanted, paths = self.arriving.wanted, self.arriving.paths
        image = bpy.data.images.get(self.shown) if self.shown else self._loaded_before(paths[0])
        if image is not None:
            image.reload()
            self.shown = image.name
            if self._is_placed and (self._is_open or not opens):
                return
        else:
            image = self._loaded(paths[0])
        self._is_placed = True
        if os.path.splitext(paths[0])[1].lower() in _FILMS:
            image.source = "MOVIE"
        elif len(wanted) > 1:
            image.source = "SEQUENCE"
        self._is_open = show(context, image, opens, self._follow if image.source == "SEQUENCE" else None)

    def _follow(self, space):
        """Let *space* show the frame of the timeline."""
        wanted = self.arriving.wanted
        space.image_user.frame_start = wanted[0]
        space.image_user.frame_offset = wanted[0] - 1
        space.image_user.frame_duration = wanted[-1] - wanted[0] + 1
        space.image_user.use_auto_refresh = True

    def _loaded(self, path):
        try:
            image = bpy.data.images.load(path)
        except RuntimeError as error:
            raise FarmError(f"Blender cannot read {path}: {error}") from error
        image.name = self.arriving.name
        self.shown = image.name
        return image

    def _loaded_before(self, path):
        """Return the image as which frames of this job were loaded earlier, or ``None``."""
        name = cut(self.arriving.name, _IN_NAME)
        found = (each for each in bpy.data.images if each.name.startswith(name))
        return next((each for each in found if bpy.path.abspath(each.filepath) == path), None)

    def _show_strip(self, context):
        wanted, paths = self.arriving.wanted, self.arriving.paths
        if os.path.splitext(paths[0])[1].lower() in _FILMS:
            raise FarmError("The job makes a film: add it as a movie strip")
        scene = getattr(context, "sequencer_scene", None) or context.scene
        editor = scene.sequence_editor or scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strip = strips.get(self.shown) if self.shown else None
        if strip is None:
            channel = max((each.channel for each in strips), default=0) + 1
            strip = strips.new_image(name=self.arriving.name, filepath=paths[0], channel=channel, frame_start=wanted[0])
            self.shown = strip.name
        folder = os.path.dirname(paths[0])
        same = {number: path for number, path in self.arriving.frames.items() if os.path.dirname(path) == folder}
        for place, path in enumerate(held(same, wanted)):
            name = os.path.basename(path)
            if place < len(strip.elements):
                strip.elements[place].filename = name
            else:
                strip.elements.append(name)
        strip.frame_final_duration = wanted[-1] - wanted[0] + 1


def show(context, image, opens=False, placed=None):
    """Show *image* in the first Image Editor that there is; call *placed* with its space. Return whether it is shown, or will be.

    *opens*: if there is none, open one, where Blender shows renders in a new window (Preferences, Interface, Temporary Editors).
    Where they take the place of another editor instead, none is opened: outside of a window's events that crashes Blender 3.4.
    """
    if _put(context, image, placed):
        return True
    if not opens or bpy.app.background or context.preferences.view.render_display_type != "WINDOW":
        return False
    name = image.name

    def open_window():
        bpy.ops.render.view_show("INVOKE_DEFAULT")
        if name in bpy.data.images:
            _put(bpy.context, bpy.data.images[name], placed)

    # Not from inside an operator: a window that opens handles waiting events, and the operator would end twice.
    bpy.app.timers.register(open_window, first_interval=0.1)
    return True


def _put(context, image, placed):
    space = _editor(context)
    if space is not None:
        space.image = image
        if placed is not None:
            placed(space)
    return space is not None


def _editor(context):
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                return area.spaces.active
    return None

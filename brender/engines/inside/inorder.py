"""Inside Blender: frames that are rendered in order, as one animation in one go.

Only so is a simulation that is not baked where ``blender -a`` has it: each render by itself would have it start again, or step it
at other moments (seen with cloth above a collider in 5.0). The worker asks for one frame after the other all
the same: when Blender has written one, the animation waits in a handler until the next is asked for.
"""

import os
import shutil
import tempfile
import time

import bpy
import nodes
import templates
from jobsettings import Refused

HANDLERS = bpy.app.handlers


class InOrder:
    """An animation of *driver*'s scene up to the last of *frames*, which are to be asked for in this order, ascending."""

    def __init__(self, driver, frames):
        self.driver, self.scene, self.frames = driver, driver.scene, frames
        self.wanted = None  # what the worker asks for now, and since when
        self.began = 0.0
        self.written = []
        self.folder = self.filepath = ""

    def render(self, wanted):
        """Render it, beginning with the request *wanted*: its ``frame``, the ``path`` for it, and the folder to ``gather`` in
        what file-output nodes write. Raises RuntimeError where Blender does not come to a frame."""
        self.ask(wanted)
        self.folder = tempfile.mkdtemp(prefix="in-order-", dir=os.getcwd())
        kept = self.set_up()
        HANDLERS.render_write.append(self.wrote)
        try:
            with nodes.gathered(self.scene, wanted["frame"], wanted["gather"]) as self.written:
                bpy.ops.render.render(animation=True, scene=self.scene.name)
        finally:
            HANDLERS.render_write.remove(self.wrote)
            for owner, name, value in kept:
                setattr(owner, name, value)
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.wanted is not None:
            raise RuntimeError("Blender ended the animation before frame %d" % self.wanted["frame"])

    def ask(self, wanted):
        self.wanted, self.began = wanted, time.monotonic()

    def set_up(self):
        """Have the scene render just this animation; returns what it was set to before."""
        scene, render, frames = self.scene, self.scene.render, self.frames
        first, step = min(scene.frame_start, frames[0]), scene.frame_step
        if any((frame - first) % step for frame in frames):
            step = 1
        wanted = [(scene, "frame_end", frames[-1]), (scene, "frame_start", first), (scene, "frame_step", step)]
        wanted += [(render, "use_overwrite", True), (render, "use_placeholder", False)]
        extension = os.path.splitext(self.wanted["path"])[1]
        self.filepath = templates.escaped(os.path.join(self.folder, "frame")) + "####" + extension
        wanted += [(render, "filepath", self.filepath)]
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
        for owner, name, value in wanted:
            setattr(owner, name, value)
        return kept

    def wrote(self, *_):
        """Hand over the frame that Blender has just written, where it is the one asked for, and wait for the next request."""
        try:
            frame = self.scene.frame_current
            self.take(frame)
            if frame == self.wanted["frame"]:
                self.driver.check_written(self.wanted["path"], frame, self.filepath)
                written = [dict(each, files=nodes.files_below(each["folder"])) for each in self.written]
                self.driver.rendered(frame, self.began, [each for each in written if each["files"]])
                self.wanted = None
                if frame != self.frames[-1]:
                    self.ask(self.driver.next_in_order(frame))
            else:
                self.driver.status("Frame %d happens before frame %d" % (frame, self.wanted["frame"]))
            for each in self.written:
                shutil.rmtree(each["folder"], ignore_errors=True)
                os.makedirs(each["folder"], exist_ok=True)
        except Exception as error:
            # Blender prints what a handler raises, and goes on: nobody would ever answer the worker.
            refused = isinstance(error, Refused)
            message = str(error) if refused else "%s: %s" % (type(error).__name__, error)
            self.driver.say("error", message=message, permanent=refused)
            os._exit(1)

    def take(self, frame):
        """Move what was written of *frame* to where it is asked for; away, where it is not."""
        numbered = "frame%s%04d" % ("-" if frame < 0 else "", abs(frame))
        wanted = self.wanted["frame"] == frame
        stem = os.path.splitext(self.wanted["path"])[0]
        for name in os.listdir(self.folder):
            if wanted and name.startswith(numbered):
                shutil.move(os.path.join(self.folder, name), stem + name[len(numbered) :])
            else:
                os.remove(os.path.join(self.folder, name))

"""Submitting the open scene: whole, or one frame to try."""

import os
import shutil
import tempfile
import time

import bpy

from . import form, state
from .background import Working
from .client import FarmError, unlike
from .fetching import safe_name
from .preferences import farm_of
from .sending import bring, check_missing, outlook

_TEST_PRIORITY = 90
_LOOK_SECONDS = 1.0


class _Prepared:
    """What the thread needs of Blender: the scene's copy on disk, and what was chosen. Removed by `remove`."""

    def __init__(self, context):
        scene = context.scene
        if not bpy.data.filepath:
            raise FarmError("This file was never saved: save it first, since the farm takes its files from beside it")
        _check_camera(scene)
        self.settings = form.settings_of(scene)
        self.name = os.path.basename(bpy.data.filepath)
        self.original = os.path.dirname(bpy.data.filepath)
        chosen = scene.brender
        self.allow_missing = chosen.allow_missing
        self.job = {
            "job_type": chosen.job_type,
            "settings": self.settings,
            "name": chosen.job_name.strip() or self.name.removesuffix(".blend"),
            "project": chosen.project.strip() or "default",
            "priority": int(chosen.priority),
            "output": chosen.output.strip(),
            "paused": chosen.paused,
            "allow_missing": chosen.allow_missing,
            "trusted": {"unsaid": None, "yes": True, "no": False}[chosen.trust],
        }
        self.used = [bpy.path.native_pathsep(each) for each in bpy.utils.blend_paths(absolute=True)]
        self._folder = tempfile.mkdtemp(prefix="brender-", dir=bpy.app.tempdir or None)
        self.copy = os.path.join(self._folder, self.name)
        try:
            # Its paths stay as they are: they are told by the file's own folder, not by the copy's.
            bpy.ops.wm.save_as_mainfile(filepath=self.copy, copy=True, relative_remap=False, check_existing=False)
        except RuntimeError as error:
            self.remove()
            raise FarmError(f"A copy of the file cannot be saved: {error}") from error

    def remove(self):
        shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, farm, say):
        """Upload it, with what it uses; return the job to be submitted. Raises `FarmError`."""
        try:
            source, facts = bring(farm, self.copy, self.name, self.original, self.used, say)
            check_missing(facts, self.allow_missing)
            return self.job | {"source": source}
        except (KeyError, TypeError) as error:
            raise unlike(farm, error) from error
        finally:
            self.remove()


def _check_camera(scene):
    if scene.camera is None and not any(marker.camera for marker in scene.timeline_markers):
        raise FarmError(f"The scene {scene.name} has no camera: add one, or make one the scene's own")


class BRENDER_OT_check(Working, bpy.types.Operator):
    bl_idname = "brender.check"
    bl_label = "What it comes to"
    bl_description = "Send the scene to the farm, which says how many frames it is, about how long it takes, and what is amiss"

    def prepare(self, context):
        farm = farm_of(context)
        prepared = _Prepared(context)

        def doing(say):
            job = prepared.send(farm, say)
            say("The farm looks what it comes to…")
            return outlook(farm.ask("/estimate", job))

        return farm, doing

    def finish(self, context, result):
        state.outlook = result
        self.report({"INFO"}, result[0])


class BRENDER_OT_submit(Working, bpy.types.Operator):
    bl_idname = "brender.submit"
    bl_label = "Submit"
    bl_description = "Send the scene as it is now, with the files that it uses, to the farm, and have it rendered"

    def prepare(self, context):
        farm = farm_of(context)
        prepared = _Prepared(context)

        def doing(say):
            job = prepared.send(farm, say)
            say("Submitting…")
            return farm.ask("/jobs", job)

        return farm, doing

    def finish(self, context, result):
        state.outlook = [f"{result['name']} is submitted: {result['what']}", *result["warnings"]]
        state.look_at_jobs = True
        self.report({"INFO"}, state.outlook[0])


class BRENDER_OT_test_frame(Working, bpy.types.Operator):
    bl_idname = "brender.test_frame"
    bl_label = "Test frame"
    bl_description = "Have the farm render the current frame at once, and show it in the Image Editor"

    def prepare(self, context):
        farm = farm_of(context)
        prepared = _Prepared(context)
        self._frame = context.scene.frame_current
        is_still = any(each["name"] == "frame" for each in state.kind(prepared.job["job_type"])["settings"])
        own = {"frame": self._frame} if is_still else {"frames": str(self._frame)}
        more = {"settings": prepared.settings | own, "test": True, "priority": _TEST_PRIORITY, "paused": False}
        folder = tempfile.mkdtemp(prefix="brender-test-", dir=bpy.app.tempdir or None)
        self._folder = folder

        def doing(say):
            job = farm.ask("/jobs", prepared.send(farm, say) | more)
            farm.stopped_words = f"Stopped: the farm goes on with {job['name']}"
            return _rendered(farm, job["id"], folder, say)

        return farm, doing

    def finish(self, context, result):
        try:
            image = bpy.data.images.load(result)
            image.name = f"Test frame {self._frame}"
            image.pack()  # (its file is a temporary one)
        except RuntimeError as error:
            raise FarmError(f"Blender cannot read the test frame: {error}") from error
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        show(context, image)
        self.report({"INFO"}, f"{image.name} is in the Image Editor")


def _rendered(farm, id, folder, say):
    """Wait until the job *id* of one frame is done, and return its file, fetched into *folder*. Raises `FarmError`."""
    while True:
        job = farm.ask(f"/jobs/{id}")
        say(f"Test frame: {job['status']}, {job['progress'] * 100:.0f} %")
        if job["status"] == "completed":
            break
        if job["status"] in ("failed", "canceled"):
            raise FarmError(f"The test frame {job['status']}: {job['reason'] or 'its page says why'}")
        farm.check_stopped()
        time.sleep(_LOOK_SECONDS)
    part = next((each for each in farm.ask(f"/jobs/{id}/parts") if each["output"] and each["status"] == "completed"), None)
    if part is None:
        raise FarmError("The test frame is done, and has no picture: its page says more")
    target = os.path.join(folder, safe_name(os.path.basename(part["output"])))
    farm.download(f"/jobs/{id}/frames/{part['id']}", target, lambda done, whole: None)
    return target


def show(context, image):
    """Show *image* in the first Image Editor that there is; return its space, or ``None``."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.spaces.active.image = image
                return area.spaces.active
    return None


class BRENDER_OT_stop(bpy.types.Operator):
    bl_idname = "brender.stop"
    bl_label = "Stop"
    bl_description = "Stop what is being sent or fetched; nothing is submitted"

    def execute(self, context):
        if state.work is not None:
            state.work.stop()
        return {"FINISHED"}


_CLASSES = (BRENDER_OT_check, BRENDER_OT_submit, BRENDER_OT_test_frame, BRENDER_OT_stop)


def register():
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister():
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

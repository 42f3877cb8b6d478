"""Submitting the open file: its scenes, or one frame to try."""

import os
import shutil
import tempfile
import time

import bpy

from . import form, outbox, state
from .background import Working
from .checks import used_files
from .client import Away, Canceled, FarmError, unlike
from .fetching import safe_name
from .following import NOT_OPEN, show
from .preferences import address_of, farm_of, outbox_folder
from .sending import bring, check_missing, outlook

_TEST_PRIORITY = 90
_LOOK_SECONDS = 1.0


def _check_saved():
    if not bpy.data.filepath:
        raise FarmError("This file was never saved: save it first, since the farm takes its files from beside it")


def _save_copy(path):
    """Save what is open to *path*. Its paths stay as they are: they are told by the file's own folder, not by the copy's."""
    try:
        bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, relative_remap=False, check_existing=False)
    except RuntimeError as error:
        raise FarmError(f"A copy of the file cannot be saved: {error}") from error


class _Copy:
    """What the thread needs of Blender to look at the open file: its copy on disk, and the scene's job."""

    def __init__(self, context):
        _check_saved()
        self.name = os.path.basename(bpy.data.filepath)
        self.original = os.path.dirname(bpy.data.filepath)
        form.check_camera(context.scene)
        self.job = form.job_of(context.scene, self.name)
        self.used = used_files()
        self._folder = tempfile.mkdtemp(prefix="brender-", dir=bpy.app.tempdir or None)
        try:
            _save_copy(os.path.join(self._folder, self.name))
        except FarmError:
            self.remove()
            raise

    def remove(self):
        shutil.rmtree(self._folder, ignore_errors=True)

    def send(self, farm, say):
        """Upload it, with what it uses; return the job to be submitted. Raises `FarmError`."""
        try:
            copy = os.path.join(self._folder, self.name)
            source, facts = bring(farm, copy, self.name, self.original, self.used, say)
            check_missing(facts, self.job["allow_missing"])
            return self.job | {"source": source}
        except (KeyError, TypeError) as error:
            raise unlike(farm, error) from error
        finally:
            self.remove()


class BRENDER_OT_check(Working, bpy.types.Operator):
    bl_idname = "brender.check"
    bl_label = "What it comes to"
    bl_description = "Send the scene to the farm, which says how many frames it is, about how long it takes, and what is wrong"

    def prepare(self, context):
        farm = farm_of(context)
        copy = _Copy(context)

        def doing(say):
            job = copy.send(farm, say)
            say("The farm estimates the job…")
            return outlook(farm.ask("/estimate", job))

        return farm, doing

    def finish(self, context, result):
        state.outlook = result
        self.report({"INFO"}, result[0])


def _keep_or_remove(entry, error):
    """Have *entry*, which *error* ended, wait for the artist where the farm may have some of it, and else remove it."""
    if entry.is_begun:
        entry.set_problem(str(error))
        state.look_at_jobs = state.send_now = True  # (so that both are shown)
    else:
        entry.remove()


class BRENDER_OT_submit(Working, bpy.types.Operator):
    bl_idname = "brender.submit"
    bl_label = "Submit"
    bl_description = "Send the file as it is now, with the files that it uses, to the farm, and have it rendered"

    def prepare(self, context):
        farm = farm_of(context)
        _check_saved()
        name = os.path.basename(bpy.data.filepath)
        jobs = form.jobs_of(context, name)
        allow_missing = all(each["allow_missing"] for each in jobs)
        folder = os.path.dirname(bpy.data.filepath)
        entry = outbox.put(outbox_folder(), address_of(context), name, folder, used_files(), jobs, allow_missing, save=_save_copy)

        def doing(say):
            try:
                return entry.send(farm, say), ""
            except (Away, outbox.SentElsewhere) as error:
                return [], str(error)
            except Canceled as error:
                if not farm.is_interrupted:
                    _keep_or_remove(entry, error)
                raise
            except (KeyError, TypeError) as error:
                entry.remove()
                raise unlike(farm, error) from error
            except FarmError as error:
                _keep_or_remove(entry, error)
                raise

        return farm, doing

    def finish(self, context, result):
        made, away = result
        state.look_at_jobs = True
        state.waiting = outbox.entries(outbox_folder())
        if away:
            state.outlook = [f"It is kept here and sent when the farm answers, also after Blender was closed. {away}"]
            self.report({"WARNING"}, state.outlook[0])
            return
        lines = [f"{each['name']} is submitted: {each['what']}" for each in made]
        warnings = [words for each in made for words in each["warnings"]]
        state.outlook = lines + list(dict.fromkeys(warnings))
        self.report({"INFO"}, lines[0] if len(lines) == 1 else f"{len(lines)} jobs are submitted")


class BRENDER_OT_test_frame(Working, bpy.types.Operator):
    bl_idname = "brender.test_frame"
    bl_label = "Test frame"
    bl_description = "Have the farm render the current frame at once, and show it in the Image Editor"

    def prepare(self, context):
        farm = farm_of(context)
        copy = _Copy(context)
        self._frame = context.scene.frame_current
        is_still = any(each["name"] == "frame" for each in state.kind(copy.job["job_type"])["settings"])
        own = {"frame": self._frame} if is_still else {"frames": str(self._frame)}
        called = form.called(copy.job["name"], f"test frame {self._frame}")
        more = {"settings": copy.job["settings"] | own, "test": True, "priority": _TEST_PRIORITY, "paused": False, "name": called}
        folder = tempfile.mkdtemp(prefix="brender-test-", dir=bpy.app.tempdir or None)
        self._folder = folder

        def doing(say):
            try:
                job = farm.ask("/jobs", copy.send(farm, say) | more)
                farm.stopped_words = f"Stopped: the farm goes on with {job['name']}"
                return _rendered(farm, job["id"], folder, say)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

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
        is_shown = show(context, image, opens=True)
        self.report({"INFO"}, f"{image.name} is {'in the Image Editor' if is_shown else f'loaded{NOT_OPEN}'}")


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

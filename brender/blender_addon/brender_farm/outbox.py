"""What is submitted and not at the farm yet: a folder for each, with the copy of the .blend and the jobs to be made of it. It
outlives Blender. No bpy here: it runs in threads beside Blender.

A job's id is chosen when it is put here, so that sending it twice makes it once.
"""

import contextlib
import json
import os
import secrets
import shutil
import threading
import time

from .client import Away, Canceled, FarmError
from .sending import bring, check_missing

_TOLD = "jobs.json"
_HELD = "sending"
#: What another Blender began to send, and said nothing of for so long, is sent by this one; and what was never put here whole is
#: removed.
_SILENT_SECONDS = 120.0
_TOUCH_SECONDS = 5.0
_UNFINISHED = ".new"


class SentElsewhere(FarmError):
    """Another Blender sends it now, or was killed while it did and is waited for."""


class Entry:
    """One .blend with its ``jobs``, for the farm at ``address``. ``problem``: why the farm did not take it, or "" if it was not
    asked, or was away."""

    def __init__(self, path, told):
        self.path = path
        self._told = told

    address = property(lambda self: self._told["address"])
    name = property(lambda self: self._told["name"])
    jobs = property(lambda self: self._told["jobs"])
    problem = property(lambda self: self._told["problem"])
    is_begun = property(lambda self: self._told["begun"])

    @property
    def id(self):
        return os.path.basename(self.path)

    @property
    def copy(self):
        return os.path.join(self.path, self.name)

    def set_problem(self, words):
        """Keep why the farm did not take it. Raises `FarmError`."""
        self._told["problem"] = words
        self._keep()

    def remove(self):
        """Remove it. What a Blender that is killed meanwhile leaves of it is removed later, as what was never whole."""
        gone = self.path + _UNFINISHED
        with contextlib.suppress(OSError):
            os.rename(self.path, gone)
        for each in (gone, self.path):
            shutil.rmtree(each, ignore_errors=True)

    def send(self, farm, say):
        """Have the farm take it, and remove it here; return what the farm says of each job. Raises `FarmError`: what it has not
        taken then stays."""
        if not self._hold():
            raise SentElsewhere(f"{self.name} is sent by another Blender now")
        is_over = threading.Event()
        threading.Thread(target=self._touch_until, args=(is_over,), daemon=True).start()
        try:
            made = self._sent(farm, say)
        finally:
            is_over.set()
            self._release()
        self.remove()
        return made

    def _sent(self, farm, say):
        source, facts = bring(farm, self.copy, self.name, self._told["folder"], self._told["used"], say)
        check_missing(facts, self._told["allow_missing"])
        wanted = [job | {"source": source} for job in self.jobs]
        if len(wanted) > 1:  # (all of them are looked at before the first is there)
            for job in wanted:
                say(f"The farm looks at {job['name']}…")
                farm.ask("/estimate", {name: value for name, value in job.items() if name != "id"})
        made = []
        for job in wanted:
            say(f"Submitting {job['name']}…")
            farm.stopped_words = f"Stopped while {job['name']} was submitted: if it is among your jobs, cancel it there"
            was_begun, self._told["begun"] = self.is_begun, True
            try:
                made.append(farm.ask("/jobs", job))
            except (Away, Canceled):  # (the farm may have it all the same)
                raise
            except FarmError:
                self._told["begun"] = was_begun
                raise
            self._told["jobs"] = self.jobs[1:]
            self._keep()
        return made

    def _touch_until(self, is_over):
        """Say that it is still sent, also while the farm reads a large file and says nothing."""
        while not is_over.wait(_TOUCH_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(os.path.join(self.path, _HELD))

    def _hold(self):
        held = os.path.join(self.path, _HELD)
        with contextlib.suppress(OSError):
            if time.time() - os.path.getmtime(held) > _SILENT_SECONDS:
                os.unlink(held)
        try:
            os.close(os.open(held, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            return False
        return True

    def _release(self):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.path, _HELD))

    def _keep(self):
        _write(self.path, self._told)


def put(root, address, name, folder, used, jobs, allow_missing, save):
    """Keep *jobs* of the .blend *name*, whose relative paths are from *folder*, in *root*; *save* writes the copy of the .blend
    to the path that it is given. Whole or not at all. Returns the entry. Raises `FarmError`."""
    id = f"{int(time.time())}-{secrets.token_hex(4)}"
    made = os.path.join(root, id + _UNFINISHED)
    jobs = [job | {"id": secrets.token_hex(8)} for job in jobs]
    told = {"address": address, "name": name, "folder": folder, "used": used, "jobs": jobs, "allow_missing": allow_missing}
    told |= {"problem": "", "begun": False}
    try:
        os.makedirs(made, mode=0o700)
        save(os.path.join(made, name))
        _write(made, told)
        os.rename(made, os.path.join(root, id))
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise FarmError(f"The job cannot be kept in {root}: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Entry(os.path.join(root, id), told)


def entries(root):
    """Return what is kept in *root*, the oldest first."""
    found = []
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    for name in names:
        path = os.path.join(root, name)
        if name.endswith(_UNFINISHED):
            if _is_silent(path):
                shutil.rmtree(path, ignore_errors=True)
            continue
        try:
            with open(os.path.join(path, _TOLD), encoding="utf-8") as file:
                told = json.load(file)
            found.append(Entry(path, {key: told[key] for key in _KEYS}))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


_KEYS = ("address", "name", "folder", "used", "jobs", "allow_missing", "problem", "begun")


def _is_silent(path):
    try:
        return time.time() - os.path.getmtime(path) > 30 * _SILENT_SECONDS
    except OSError:
        return False


def _write(path, told):
    target = os.path.join(path, _TOLD)
    try:
        with open(f"{target}.new", "w", encoding="utf-8") as file:
            json.dump(told, file)
        os.replace(f"{target}.new", target)
    except OSError as error:
        raise FarmError(f"{target} cannot be written: {error.strerror or error}") from error

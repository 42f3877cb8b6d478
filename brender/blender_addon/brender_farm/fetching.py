"""How finished frames come to this machine. No bpy here: it runs in a thread beside Blender."""

import os
import re
import zipfile

from .client import FarmError, unlike


def fetched(farm, id, folder, say):
    """Return the name of the job *id* and where its finished frames are: those of its own output folder where this machine sees
    that, or else a folder in *folder* that they are fetched into. Raises `FarmError`."""
    farm.stopped_words = "Stopped: not all frames are here"
    try:
        job = farm.ask(f"/jobs/{id}")
        names = [each["output"] for each in farm.ask(f"/jobs/{id}/parts") if each["status"] == "completed" and each["output"]]
    except (KeyError, TypeError) as error:
        raise unlike(farm, error) from error
    there = [os.path.join(job["output"], name) for name in names] if job["output"] and os.path.isabs(job["output"]) else []
    if there and all(os.path.isfile(path) for path in there):
        return job["name"], sorted(there)
    if not names:
        raise FarmError(f"{job['name']} has no finished frames yet")
    target = os.path.join(folder, safe_name(f"{job['name']}-{id[:6]}"))
    try:
        os.makedirs(target, exist_ok=True)
    except OSError as error:
        raise FarmError(f"{target} cannot be made: {error.strerror or error}") from error
    packed = os.path.join(target, "frames.zip")
    farm.download(f"/jobs/{id}/frames.zip", packed, lambda done, whole: say(f"Fetching frames: {done / 1e6:.1f} MB"))
    try:
        return job["name"], sorted(_unpacked(packed, target))
    except (OSError, zipfile.BadZipFile) as error:
        raise FarmError(f"The frames cannot be written to {target}: {error}") from error
    finally:
        os.unlink(packed)


def _unpacked(packed, target):
    """Write the files of the zip *packed* into *target*, whatever folders they name; return where they are."""
    found = []
    with zipfile.ZipFile(packed) as archive:
        for each in archive.infolist():
            path = os.path.join(target, *[safe_name(piece) for piece in each.filename.split("/") if piece not in ("", ".", "..")])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(each) as source, open(path, "wb") as file:
                while block := source.read(2**20):
                    file.write(block)
            found.append(path)
    return found


def frames_of(paths):
    """Return the frame numbers in the names of *paths*: the last run of digits in each."""
    return [int(found[-1]) for path in paths if (found := re.findall(r"\d+", os.path.splitext(os.path.basename(path))[0]))] or [1]


def safe_name(name):
    """Return *name* as a file may be called everywhere."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(". ") or "frames"

"""How a .blend comes to a farm with what it uses. No bpy here: it runs in a thread beside Blender."""

import os

from .client import FarmError

#: The group of the panel that has the box *Render without missing files*.
GROUP_OF_MISSING = "Name, project, folder and trust"
STAY_AT_THE_FARM = "Frames stay at the farm: Load frames, under My jobs, brings them here"
_NAMED_MOST = 5
_ROUNDS_MOST = 20


def bring(farm, copy, name, folder, used, say):
    """Send the farm the .blend at *copy* as *name*, and then the files of it that are missing there, as far as they are on this
    machine. Relative paths are from *folder*; *used* are the files that Blender itself says the scene uses. Files whose content
    the farm has are not sent. Return where the .blend is for the farm, and what the farm says of it. Raises `FarmError`."""
    say(f"Finding out which files of {name} the farm has…")
    upload = _put(farm, [(name, copy)], "", say, name)
    source = {"upload": upload, "file": name}
    sent = set()
    for _ in range(_ROUNDS_MOST):  # (a library that has come may need further files)
        say("The farm reads the file…")
        facts = farm.ask("/inspect", source)
        found = {}
        for missing in facts["missing"]:
            path = local(missing["path"], folder)
            if missing["place"] and missing["place"] not in sent and is_used(path, used) and os.path.isfile(path):
                found[missing["place"]] = path
        if not found:
            break
        sent |= set(found)
        many = "1 file that it uses" if len(found) == 1 else f"{len(found)} files that it uses"
        _put(farm, list(found.items()), upload, say, many)
    return source, facts


def _put(farm, files, upload, say, what):
    """Have *files* in the *upload* ("": a new one), and return that."""
    upload, lacked = farm.offer(files, upload)
    if lacked:
        upload = farm.upload(lacked, upload, _progress(say, what))["upload"]
    return upload


def check_missing(facts, allowed):
    """Raises `FarmError` where *facts* tell of files that are missing, unless that is *allowed*."""
    missing = facts["missing"]
    if not missing or allowed:
        return
    named = ", ".join(f"{each['path']} (used by {each['used_by']})" for each in missing[:_NAMED_MOST])
    more = f" and {len(missing) - _NAMED_MOST} more" if len(missing) > _NAMED_MOST else ""
    are, them = ("1 file is", "it") if len(missing) == 1 else (f"{len(missing)} files are", "them")
    mend = f"Find {them} (File, External Data), or tick Render without missing files, in the group {GROUP_OF_MISSING}"
    raise FarmError(f"{are} missing: {named}{more}. {mend}")


def local(path, folder):
    """Return where the file *path*, as a .blend in *folder* writes it, is on this machine."""
    plain = path.replace("\\", "/")
    return os.path.normpath(os.path.join(folder, plain[2:]) if plain.startswith("//") else path)


def is_used(path, used):
    """Return whether *path* is one of *used*, or a further one of the files that one of them stands for (the frames of a
    sequence, the tiles of a texture). What a farm asks for beyond these it does not get."""
    return any(_same(path, each) or (_beside(path, each)) for each in used)


def _same(one, other):
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _beside(path, known):
    """Return whether the name of *path* is that of *known*, in the same folder, with other digits or in place of a token."""
    folder, name = os.path.split(path)
    other_folder, other = os.path.split(known)
    if not _same(folder, other_folder):
        return False
    other = other.replace("<UDIM>", "0000").replace("<UVTILE>", "u0_v0")
    return _without_digits(name) == _without_digits(other) != name


def _without_digits(name):
    """Return *name* with one mark for each run of digits."""
    out = ""
    for letter in name:
        if not letter.isdigit():
            out += letter
        elif not out.endswith("\0"):
            out += "\0"
    return out


def _progress(say, what):
    def tell(done, whole):
        say(f"Sending {what}: {done * 100 // whole} % of {size(whole)}")

    return tell


def size(count):
    """Return so many bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def outlook(told):
    """Return what a job will come to, in lines of words, by the farm's estimate *told*."""
    workers = "1 worker" if told["workers"] == 1 else f"{told['workers']} workers"
    frames = "1 frame" if told["frames"] == 1 else f"{told['frames']} frames"
    time = told["time"]
    lines = [f"{frames}, {time['words']} on {workers}" if time and "words" in time else frames]
    if not told["workers"]:
        lines.append("No worker that takes such jobs is here now")
    elif not time:
        lines.append("How long it takes is not known: no earlier jobs tell")
    if told.get("owner"):
        lines.append(f"The job {told['owner']} writes the same files and has not ended: name another folder, or cancel it")
    lines.append(f"Frames go to {told['output']}" if told["output"] else STAY_AT_THE_FARM)
    return lines + list(told["warnings"])


def outlook_of_all(told):
    """Return the same of several jobs, each with its scene's name: what each is, and what is said of any of them."""
    if len(told) == 1:
        return outlook(told[0][1])
    lines = [(f"{scene}: {first}", rest) for scene, (first, *rest) in ((scene, outlook(each)) for scene, each in told)]
    return [first for first, _ in lines] + list(dict.fromkeys(words for _, rest in lines for words in rest))


def is_there(path):
    """Return whether the file *path* is on this machine: where its name has a token for several, one of these."""
    folder, name = os.path.split(path)
    if "<" not in name:
        return os.path.exists(path)
    try:
        return any(_beside(os.path.join(folder, each), path) for each in os.listdir(folder))
    except OSError:
        return False

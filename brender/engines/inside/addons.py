"""Inside Blender: the add-ons of a job, enabled before anything is opened."""

import os
import platform
import sys
import traceback
import zipfile

import addon_utils
import bpy
from jobsettings import Refused

#: What this driver is made of. An add-on may have modules of the same names, and finds its own.
_OURS = os.path.dirname(os.path.abspath(__file__))


def enable(addons, tell):
    """Enable *addons*, each with its ``label``, ``subject``, ``remedy``, ``module`` and ``folder``, and whether it
    ``is_extension``. *tell* is called with the subject of each before."""
    if not addons:
        return
    make_way()
    sys.dont_write_bytecode = True  # their folders are shared by jobs, and may not be writable
    for number, addon in enumerate(addons):
        # Its code may end Blender, or never return.
        print("enabling %s" % addon["subject"], flush=True)
        tell(addon["subject"])
        try:
            enable_one(addon, number)
        except Refused:
            raise
        except BaseException as error:
            # SystemExit too: it is the add-on's code.
            traceback.print_exc()
            raise refused(addon, error) from error


def enable_one(addon, number):
    """Enable *addon*, which comes as that *number*."""
    module = addon["module"]
    if addon["is_extension"]:
        repository = bpy.context.preferences.extensions.repos.new(
            name="brender %d" % number, module="brender_%d" % number, custom_directory=addon["folder"], remote_url=""
        )
        install_wheels(os.path.join(addon["folder"], module))
        module = "bl_ext.%s.%s" % (repository.module, module)
    else:
        forget(module)
        sys.path.insert(0, addon["folder"])
    errors = []

    def note(error):
        traceback.print_exc()
        errors.append(error)

    enabled = addon_utils.enable(module, default_set=True, handle_error=note)
    if enabled is None:
        raise refused(addon, errors[-1] if errors else "its bl_info says no version of Blender from 2.80 on")
    print("enabled the add-on %s" % addon["label"], flush=True)


def install_wheels(folder):
    """Have the Python packages found that the extension in *folder* brings (``wheels``), of each the first that fits here."""
    import tomllib  # (Blender has it since it has extensions)

    with open(os.path.join(folder, "blender_manifest.toml"), "rb") as file:
        wheels = tomllib.load(file).get("wheels", [])
    for package, wheel in {os.path.basename(each).split("-")[0]: each for each in reversed(wheels) if fits(each)}.items():
        # The working folder is this session's own, and goes with it.
        target = os.path.abspath(os.path.join("wheels", package))
        with zipfile.ZipFile(os.path.join(folder, wheel)) as archive:
            archive.extractall(target)
        sys.path.append(target)


def fits(wheel):
    """Whether the file *wheel* is for this Python and platform, by its name (https://packaging.python.org, binary distribution
    format)."""
    pythons, abis, platforms = (tags.split(".") for tags in wheel.rsplit(".", 1)[0].split("-")[-3:])
    minor = sys.version_info[1]
    here = "cp3%d" % minor
    stable = "abi3" in abis and any(tag[:3] == "cp3" and tag[3:].isdigit() and int(tag[3:]) <= minor for tag in pythons)
    if not (stable or (here in pythons and {here, "none"} & set(abis)) or ("py3" in pythons and "none" in abis)):
        return False
    machine = platform.machine().lower()
    kinds = {"linux": ("manylinux", "linux"), "darwin": ("macosx",), "win32": ("win",)}.get(sys.platform, ())
    return any(tag == "any" or (tag.startswith(kinds) and tag.endswith((machine, "universal2"))) for tag in platforms)


def refused(addon, error):
    """The refusal that says why *addon* cannot be enabled: by the last line of *error*."""
    told = traceback.format_exception_only(type(error), error) if isinstance(error, BaseException) else [error]
    lines = "".join(told).strip().splitlines()
    subject, remedy = addon["subject"], addon["remedy"]
    said = "%s cannot be enabled in Blender %s: %s" % (subject[0].upper() + subject[1:], bpy.app.version_string, lines[-1])
    return Refused("%s. %s" % (said, remedy) if remedy else said)


def forget(module):
    """Have another version of *module*, which Blender itself brings, out of the way."""
    if module in bpy.context.preferences.addons:
        addon_utils.disable(module, default_set=True)
    for name in [name for name in sys.modules if name == module or name.startswith(module + ".")]:
        del sys.modules[name]


def make_way():
    """Have the modules of this driver found by nobody else: all of them have been imported."""
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != _OURS]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and os.path.dirname(os.path.abspath(file)) == _OURS:
            del sys.modules[name]

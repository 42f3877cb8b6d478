"""Makes scenes: runs inside Blender, once for all of them. Standard library only, Blender 3.4 and later.

``make.py -- LIST ANSWER``: LIST is a JSON file, a list of ``{"scene", "values", "file"}``: the name of a function in one of the
modules beside this one, what it is called with, and the .blend to save. The folder of the .blend is the scene's own: whatever
else it needs lies there. ANSWER becomes a JSON object of the files that could not be made, with the reason: what this Blender
was built without begins with ``lacks``.
"""

import importlib
import json
import os
import sys
import traceback

import bpy

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import base  # noqa: E402


def functions():
    """Every function that makes a scene, by its name."""
    found = {}
    for name in sorted(os.listdir(HERE)):
        if name.endswith(".py") and name not in {"__init__.py", "make.py", "base.py"}:
            module = importlib.import_module(name[:-3])
            found.update({key: value for key, value in vars(module).items() if getattr(value, "makes_a_scene", False)})
    return found


def main():
    wanted, answer = sys.argv[-2:]
    known, failed = functions(), {}
    with open(wanted, encoding="utf-8") as file:
        cases = json.load(file)
    for case in cases:
        folder = os.path.dirname(case["file"])
        os.makedirs(folder, exist_ok=True)
        try:
            known[case["scene"]](folder, **case["values"])
            bpy.ops.wm.save_as_mainfile(filepath=case["file"], relative_remap=False, check_existing=False)
        except base.Lacks as error:
            failed[case["file"]] = "lacks %s" % error
        except Exception:
            failed[case["file"]] = traceback.format_exc()
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(failed, file)


main()

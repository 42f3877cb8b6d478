"""Inside Blender: a script of a trusted job, run as ``blender --python`` would."""

import sys
import traceback

import bpy


class Failed(Exception):
    """The script failed; the text is its own error, with the line of it."""


def run(name, text, arguments):
    """Run the script *text*, called *name*; ``None``: the text in the .blend that is called so. It finds *arguments* in sys.argv
    after ``--``. Raises `Failed`."""
    if text is None:
        found = bpy.data.texts.get(name)
        if found is None:
            there = ", ".join(repr(each.name) for each in bpy.data.texts) or "none"
            raise Failed("The .blend has no text %r; it has: %s" % (name, there))
        text = found.as_string()
    sys.argv = ["blender", "--background", bpy.data.filepath, "--python", name, "--", *arguments]
    try:
        exec(compile(text, name, "exec"), {"__name__": "__main__", "__file__": name})  # nosec B102  (that is what the job is)
    except SystemExit as error:
        if error.code not in (None, 0):
            raise Failed("%s ended with %s" % (name, error.code)) from error
    except BaseException as error:
        traceback.print_exc()
        raise Failed(said(error, name)) from error


def said(error, name):
    """What *error* is, and in which line of the script *name*."""
    if isinstance(error, SyntaxError) and error.filename == name:
        return "%s, line %s: %s" % (name, error.lineno, error.msg)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return "%s%s: %s" % ("%s, line %d: " % (name, lines[-1]) if lines else "", type(error).__name__, error)

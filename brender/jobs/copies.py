"""The folder that finished files are copied to by a last stage, as a delivery. Pure."""

from pathlib import PurePosixPath, PureWindowsPath

from brender.model.errors import BadInput
from brender.model.job import JobSpec
from brender.model.paths import variables_in


def checked_target(folder: str, spec: JobSpec) -> str:
    """Return the *folder* that the files of *spec* are copied to, or "". Raises `BadInput` where they cannot be."""
    if not folder:
        return ""
    if spec.bundle:
        raise BadInput(
            "The frames of a sent job come back to the farm, and `brender fetch` brings them to a folder: leave out --copy-to, "
            "or --send"
        )
    pure = PurePosixPath(folder.replace("\\", "/"))
    known = folder.startswith("/") or PureWindowsPath(folder).is_absolute() or variables_in(folder)
    if not known or ".." in pure.parts:
        raise BadInput(f"{folder!r} is not an absolute path, as the folder for copies has to be (--copy-to)")
    shortened = folder.rstrip("/") or folder
    if shortened == spec.output.rstrip("/"):
        raise BadInput(f"{folder} is the job's output folder itself: name another for its copies (--copy-to)")
    return shortened

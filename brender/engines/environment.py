"""What of this process's environment the programs see that it starts."""

import os
from collections.abc import Mapping

#: What of the worker's environment its renders see, by beginnings of names: what programs, drivers and color management need.
#: Everything else stays with the worker: it may hold secrets.
_PASSED = (
    *(
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_",
        "TZ",
        "TMP",
        "TEMP",
        "DISPLAY",
        "WAYLAND_",
        "XDG_",
        "XAUTHORITY",
        "LD_",
        "DYLD_",
    ),
    *(
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "APPDATA",
        "LOCALAPPDATA",
        "PROGRAM",
        "USERPROFILE",
        "NUMBER_OF_",
    ),
    *("CUDA_", "NVIDIA_", "OPTIX", "HIP_", "ROCR_", "HSA_", "ONEAPI_", "SYCL_", "ZE_", "OCIO", "BLENDER_", "OMP_", "CYCLES_"),
    *("MESA_", "LIBGL_", "EGL_", "GALLIUM_", "__GL", "__EGL", "VK_", "FONTCONFIG_"),
)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a render process: of this one's what it needs, without secrets or what would lead its
    Python astray, and *extra*."""
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED)}
    return kept | dict(extra)


def reserved_cores(cores: int) -> dict[str, str]:
    """Return what tells a program that its task reserves so many *cores*; 0: nothing is said."""
    return {"BRENDER_CORES": str(cores)} if cores else {}

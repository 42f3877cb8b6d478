"""Shared libraries of the system that Blender's own module needs, and a bare system lacks."""

import functools
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_LOOK_SECONDS = 20.0
#: Libraries whose packages are called otherwise.
_OTHERS = {"libz.so.1": "zlib1g"}


@functools.cache
def missing_libraries(module: Path) -> tuple[str, ...]:
    """Return the names of the libraries that *module*, a shared object, needs and this system does not have; none where that
    cannot be told. Linux only: elsewhere Blender brings all that it needs."""
    if not sys.platform.startswith("linux") or not module.name.endswith(".so"):
        return ()
    try:
        listed = subprocess.run(["ldd", module], capture_output=True, text=True, timeout=_LOOK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()  # (a system without ldd: what is missing shows when it starts)
    return tuple(re.findall(r"^\s*(\S+) => not found", listed.stdout, re.MULTILINE))


def lacks(names: Iterable[str]) -> str:
    """Return the end of a sentence that says that this machine lacks these libraries, and what brings them."""
    several = list(names)
    return f"this machine lacks {', '.join(several)}. On Debian: apt-get install {' '.join(map(debian_package, several))}"


def debian_package(library: str) -> str:
    """Return the name of the package that has *library*, such as libXi.so.6, in Debian (Debian Policy Manual, 8.1)."""
    if library in _OTHERS:
        return _OTHERS[library]
    name, _, version = library.lower().replace("_", "-").partition(".so")
    version = version.removeprefix(".")
    return f"{name}-{version}" if name[-1:].isdigit() and version else f"{name}{version}"

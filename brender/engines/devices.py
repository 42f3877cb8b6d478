"""Which devices Cycles can render on here, by Blender's own word; and which of them a worker is bound to."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from brender.engines.command_line import python_in
from brender.engines.environment import clean_environment
from brender.model.devices import Device
from brender.model.nodes import Blender

_QUESTION = """
import json, sys
import _cycles
found = []
for kind in ("OPTIX", "CUDA", "HIP", "ONEAPI", "METAL"):
    try:
        devices = [device for device in _cycles.available_devices(kind) if device[1] == kind]
    except ValueError:
        continue
    found += [{"kind": kind.lower(), "index": index, "name": device[0], "id": device[2]} for index, device in enumerate(devices)]
sys.stdout.flush()
print("\\nbrender-devices " + json.dumps(found), flush=True)
"""
_SECONDS = 120.0
#: On Linux a GPU that Cycles can use shows as one of these.
_SIGNS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/dri/renderD128")


def gpu_is_likely() -> bool:
    """Return whether it is worth starting a Blender to ask."""
    return sys.platform != "linux" or any(Path(sign).exists() for sign in _SIGNS)


def find_devices(blenders: Sequence[Blender]) -> tuple[Device, ...]:
    """Return the GPUs that Cycles in the newest of *blenders* can render on, as Blender names them. One GPU may be there
    twice, as a CUDA and as an OptiX device. Empty if there are none, or Blender does not answer."""
    newest = max(blenders, key=lambda blender: blender.version, default=None)
    if newest is None:
        return ()
    try:
        answer = subprocess.run(
            python_in(newest, _QUESTION),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=clean_environment({}),
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return read_devices(answer.stdout)


def read_devices(answer: str) -> tuple[Device, ...]:
    """Return the devices in what a Blender answered."""
    lines = [line for line in answer.splitlines() if line.startswith("brender-devices ")]
    return tuple(Device(**each) for each in json.loads(lines[-1].partition(" ")[2])) if lines else ()

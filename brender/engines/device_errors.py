"""What Blender prints when a device fails under it: a GPU out of memory, a lost context, a kernel that crashed.

Blender may go on after such a line, leave black tiles in the picture, and end with exit code 0. The words are those of Cycles
(`intern/cycles/device`: each back end's `set_error`, and its `*_assert` macros) and of the drivers below EEVEE. Nothing here is
about scenes: a line stands in the table only if no good frame prints it. Pure.
"""

import re

from brender.model.failure_patterns import BLENDER_PREFIX

#: What such a line contains: the back end, and the words.
DEVICE_ERRORS: tuple[tuple[str, str], ...] = (
    ("Cycles", r"System is out of GPU(?: and shared host)? memory"),
    ("Cycles", r"Maximum GPU \dD texture size exceeded"),
    ("Cycles", r"GPU image allocation failed"),
    ("Cycles", r"BVH failed to migrate to the GPU"),
    ("CUDA", r"\bCUDA error\b"),
    ("CUDA", r"\S in CUDA queue \w+"),
    ("CUDA", r"\S in cu[A-Z]\w*\("),
    ("CUDA", r"Failed to (?:initialize|create|configure|retain) CUDA (?:runtime|context)"),
    ("CUDA", r"CUDA backend requires compute capability"),
    ("CUDA and HIP", r"Failed to load (?:CUDA|HIP) kernel from"),
    ("OptiX", r"\bOPTIX_ERROR_\w+"),
    ("OptiX", r"Failed to build OptiX acceleration structure"),
    ("OptiX", r"Failed to load OptiX .*kernel"),
    ("OptiX", r"Failed to (?:create|set up) OptiX denoiser"),
    ("HIP", r"\bHIP error\b"),
    ("HIP", r"\S in HIP queue \w+"),
    ("HIP", r"\S in hip[A-Z]\w*\("),
    ("HIP", r"Failed to (?:initialize|create) HIP(?:RT)? (?:runtime|context|Function Table)"),
    ("HIP RT", r"Failed to (?:build|create|allocate .* for|get scratch buffer size for) [BT]LAS"),
    ("Metal", r"Out of memory - couldn't allocate integrator state"),
    ("Metal", r"\bkIOGPUCommandBufferCallbackError\w+"),
    ("Metal", r"Could not activate pipeline for "),
    ("oneAPI", r"\boneAPI\b.*(?:got (?:a )?runtime exception|error:)"),
    ("Open Image Denoise on a GPU", r"OIDN error: .*(?:out of memory|device|context)"),
    ("Vulkan", r"\bVK_ERROR_(?:DEVICE_LOST|OUT_OF_DEVICE_MEMORY|OUT_OF_HOST_MEMORY)\b"),
    ("OpenGL", r"\bGL_OUT_OF_MEMORY\b|\bGL_CONTEXT_LOST\b"),
    ("Mesa", r"\bThe CS has (?:been rejected|been cancelled because the context is lost)"),
)
_ANY = re.compile("|".join(f"(?:{words})" for _, words in DEVICE_ERRORS))
_LONGEST = 300


def device_error(line: str) -> str | None:
    """Return what *line*, printed by Blender, says of a device that failed; ``None`` where it says no such thing.

    >>> device_error("00:12.345  cycles           | ERROR Illegal address in CUDA queue synchronize (integrator_shade_surface)")
    'Illegal address in CUDA queue synchronize (integrator_shade_surface)'
    >>> device_error("Fra:1 Mem:12.00M (Peak 12.00M) | Time:00:00.05 | Mem:0.00M, Peak:0.00M | Scene, ViewLayer | Sample 1/4")
    """
    return BLENDER_PREFIX.sub("", line).strip()[:_LONGEST] if _ANY.search(line) else None

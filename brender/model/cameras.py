"""Which camera a scene is seen through: its own, or the one that a marker binds to a frame. Pure."""

from brender.model.job import SceneFacts
from brender.model.single_precision import single


def marked_cameras(scene: SceneFacts) -> tuple[str, ...]:
    """Return the cameras that markers of *scene* bind, each once."""
    return tuple(dict.fromkeys(marker.camera for marker in scene.camera_markers))


def camera_at(scene: SceneFacts, frame: int) -> str | None:
    """Return the camera that *scene* is seen through at *frame*: that of the last marker until then, or else of the first one;
    without such markers the scene's own. ``None``: it has none."""
    if not scene.camera_markers:
        return scene.camera
    time = int(single(frame * scene.frame_length))
    first = min(scene.camera_markers, key=lambda marker: marker.frame)
    before = (marker for marker in scene.camera_markers if marker.frame <= time)
    return max(before, key=lambda marker: marker.frame, default=first).camera

"""Inside Blender: what of the open .blend has lost its color space, since Blender's configuration does not know it."""

import bpy


def without_color_space():
    """The names of images and clips that have none. Blender prints a line for each, so ask only where there are some."""
    images = [image for image in bpy.data.images if image.type not in {"RENDER_RESULT", "COMPOSITING"} and image.users]
    clips = list(bpy.data.movieclips)
    return sorted(each.name for each in images + clips if not each.colorspace_settings.name)

"""The driver: runs inside Blender and renders what the worker asks for.

The same file runs in the ``bpy`` package (``python driver.py``) and in any ``blender`` executable from 3.x on (``blender -b -P
driver.py``), with the standard library and Blender's own Python only. It speaks over a private channel, a loopback
connection that the worker opened, in lines of JSON; standard output is Blender's and goes to the log. It ends when the
channel does.

The worker asks ``{"do": "open", …}``, ``{"do": "render", "frame", "path"}`` and ``{"do": "quit"}``; the driver says ``{"is":
"hello" | "opened" | "rendered" | "error", …}``.
"""

import json
import os
import socket
import sys
import time

import bpy

#: brender's word for each engine, and what Blender calls it: the first that this Blender knows.
ENGINES = {
    "cycles": ("CYCLES",),
    "eevee": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"),
    "workbench": ("BLENDER_WORKBENCH",),
}
WORKBENCH_SAMPLES = ((32, "32"), (16, "16"), (11, "11"), (8, "8"), (5, "5"), (2, "FXAA"), (0, "OFF"))


class Refused(Exception):
    """What was asked for cannot be done, now or ever; the text is for the job's owner."""


class Driver:
    def __init__(self, channel):
        self.channel = channel
        self.scene = None

    def say(self, kind, **fields):
        self.channel.write(json.dumps(dict(fields, **{"is": kind})).encode() + b"\n")
        self.channel.flush()

    def serve(self):
        for line in self.channel:
            request = json.loads(line)
            verb = request.pop("do")
            if verb == "quit":
                return
            try:
                {"open": self.open, "render": self.render}[verb](**request)
            except Refused as error:
                self.say("error", message=str(error), permanent=True)
            except RuntimeError as error:
                # Operators raise it, with Blender's own words for the user.
                message = str(error).strip()
                self.say("error", message=message.replace("Error: ", ""), permanent="no camera" in message.lower())

    def open(self, file, trusted, scene, camera, engine, resolution, samples, format, threads):
        try:
            bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
        except RuntimeError as error:
            raise Refused("Blender %s cannot open %s: %s" % (bpy.app.version_string, file, str(error).strip())) from error
        self.scene = bpy.data.scenes.get(scene)
        if self.scene is None:
            there = ", ".join(repr(s.name) for s in bpy.data.scenes)
            raise Refused("%s has no scene %r; it has: %s" % (file, scene, there))
        self.set_camera(camera, file)
        self.set_engine(engine, samples)
        self.set_format(format)
        render = self.scene.render
        if resolution:
            render.resolution_percentage = resolution
        if threads:
            render.threads_mode = "FIXED"
            render.threads = threads
        render.use_file_extension = False
        self.say("opened", size=self.size(), missing=missing_files(), engine=render.engine)

    def set_camera(self, camera, file):
        if camera is None:
            return
        found = self.scene.objects.get(camera)
        if found is None or found.type != "CAMERA":
            there = ", ".join(repr(o.name) for o in self.scene.objects if o.type == "CAMERA") or "none"
            raise Refused("The scene %r of %s has no camera %r; it has: %s" % (self.scene.name, file, camera, there))
        self.scene.camera = found
        # A camera bound to a marker would take over again at that marker's frame.
        for marker in self.scene.timeline_markers:
            marker.camera = None

    def set_engine(self, engine, samples):
        render = self.scene.render
        if engine:
            for name in ENGINES[engine]:
                try:
                    render.engine = name
                    break
                except TypeError:
                    continue
            else:
                raise Refused("Blender %s has no engine %r" % (bpy.app.version_string, engine))
        if samples:
            if render.engine == "CYCLES":
                self.scene.cycles.samples = samples
            elif render.engine == "BLENDER_WORKBENCH":
                self.scene.display.render_aa = next(name for most, name in WORKBENCH_SAMPLES if samples >= most)
            elif hasattr(self.scene, "eevee"):
                self.scene.eevee.taa_render_samples = samples

    def set_format(self, format):
        settings = self.scene.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "MULTI_LAYER_IMAGE" if format == "OPEN_EXR_MULTILAYER" else "IMAGE"
        try:
            settings.file_format = format
        except TypeError as error:
            raise Refused("Blender %s cannot write %s" % (bpy.app.version_string, format)) from error

    def size(self):
        """Width and height that frames will have, in pixels; None where a border makes them other."""
        render = self.scene.render
        if render.use_border and render.use_crop_to_border:
            return None
        share = render.resolution_percentage / 100
        return [int(render.resolution_x * share), int(render.resolution_y * share)]

    def render(self, frame, path):
        began = time.monotonic()
        self.scene.frame_set(frame)
        self.scene.render.filepath = path
        bpy.ops.render.render(write_still=True, scene=self.scene.name)
        self.say("rendered", frame=frame, seconds=time.monotonic() - began)


def missing_files():
    """Images, libraries and other files that the open .blend names and that are not there."""
    found = {}
    for library in bpy.data.libraries:
        found[bpy.path.abspath(library.filepath)] = "library"
    for image in bpy.data.images:
        # UDIM tiles and sequences name a pattern, not a file.
        if image.source in {"FILE", "MOVIE"} and image.filepath and not image.packed_file and image.users:
            found[bpy.path.abspath(image.filepath, library=image.library)] = "image " + image.name
    for font in bpy.data.fonts:
        if font.filepath not in {"", "<builtin>"} and not font.packed_file:
            found[bpy.path.abspath(font.filepath, library=font.library)] = "font " + font.name
    for cache in bpy.data.cache_files:
        found[bpy.path.abspath(cache.filepath, library=cache.library)] = "cache " + cache.name
    return [[os.path.normpath(path.replace("\\", os.sep)), use] for path, use in found.items() if not os.path.exists(path)]


def main():
    host, _, port = os.environ.pop("BRENDER_CHANNEL").rpartition(":")
    token = os.environ.pop("BRENDER_CHANNEL_TOKEN")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(token.encode() + b"\n")
        channel = connection.makefile("rwb")
        driver = Driver(channel)
        driver.say("hello", version=list(bpy.app.version))
        driver.serve()
    sys.stdout.flush()
    # Blender's own clean-up may crash or hang; everything of ours is done.
    os._exit(0)


main()

"""The driver: runs inside Blender and renders what the worker asks for.

The same file runs in the ``bpy`` package (``python driver.py``) and in any ``blender`` executable from 3.x on (``blender -b -P
driver.py``), with the standard library and Blender's own Python only. It speaks over a private channel, a loopback
connection that the worker opened, in lines of JSON; standard output is Blender's and goes to the log. It ends when the
channel does.

The worker asks ``{"do": "open", …}``, ``{"do": "render", "frame", "path"}``, ``{"do": "ping"}``, ``{"do": "mark", "text"}`` and
``{"do": "quit"}``; the driver answers ``{"is": "hello" | "opened" | "rendered" | "awake" | "marked" | "error", …}``, and says now
and then, while it renders, ``{"is": "status", "text"}`` in Blender's own words.
"""

import contextlib
import ctypes
import json
import os
import socket
import sys
import time


@contextlib.contextmanager
def on_few_cores(threads):
    """Have what is started in here (the bpy package, with the thread pool of TBB) find so few cores; 0: as many as there are.

    TBB counts them once, and a pool of more than Blender is to use keeps a thread that waits by spinning: two such Blenders on
    two cores take twice their time (measured with bpy 5.0.1; a blender executable is told by --threads).
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not 0 < threads < len(cores):
        yield
        return
    os.sched_setaffinity(0, sorted(cores)[:threads])
    try:
        yield
    finally:
        # Threads that were started meanwhile have taken it over.
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), cores)


with on_few_cores(int(os.environ.pop("BRENDER_THREADS", "0"))):
    import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import addons  # noqa: E402
import animation  # noqa: E402
import baking  # noqa: E402
import color  # noqa: E402
import film  # noqa: E402
import inorder  # noqa: E402
import jobsettings  # noqa: E402
import nodes  # noqa: E402
import paths  # noqa: E402
import remap  # noqa: E402
import scripts  # noqa: E402
import simulations  # noqa: E402
import split  # noqa: E402
import templates  # noqa: E402
import views  # noqa: E402

STATUS_SECONDS = 0.2
WITHOUT_DENOISER = (
    "Blender %s was built without Open Image Denoise, which its frames are denoised by: turn off Denoise in the scene, or "
    "render it by a Blender that has it (--blender-series)"
)
FORGETS = ". Cycles keeps no data from frame to frame here, since it would miss something that is animated"
SCRIPTED_PATH = (
    "While frame %d was rendered, a script of the .blend set the scene's output path to %r, and Blender wrote the frame there. "
    "Frames of a job go to its own folder: have the script leave the output path alone, or submit the job with --untrusted"
)


class Driver:
    def __init__(self, channel):
        self.channel = channel
        self.scene = None
        self.piece = None  # the settings for pieces of a still, while they are in force
        self.ways = {}
        self.in_order = False
        self.at = None  # the frame that the scene was last evaluated at
        self.told = 0.0

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
                if verb in {"render", "denoise", "merged"}:
                    self.set_back()
                getattr(self, "do_" + verb)(**request)
            except jobsettings.Refused as error:
                self.say("error", message=str(error), permanent=True)
            except RuntimeError as error:
                # Operators raise it, with Blender's own words for the user.
                message = str(error).strip()
                if "Build without OpenImageDenoiser" in message:
                    message = WITHOUT_DENOISER % bpy.app.version_string
                self.say("error", message=message.replace("Error: ", ""), permanent=is_final(message))
            except Exception as error:
                self.say("error", message="%s: %s" % (type(error).__name__, error), permanent=False)

    def do_ping(self):
        self.say("awake")

    def do_enable(self, **asked):
        addons.enable(asked["addons"], lambda what: self.say("enabling", what=what))
        flush_output()
        self.say("enabled")

    def do_mark(self, text):
        """Write *text* to standard output after all that was written there before, so that the reader knows where it is."""
        flush_output()
        os.write(1, text.encode() + b"\n")
        self.say("marked")

    def status(self, text, *_):
        """Blender's word on the render in progress. Blender before 5.0 gives none here, and prints it itself."""
        now = time.monotonic()
        # What names the time left comes rarely: Cycles says it once a batch of samples, and a batch may take minutes.
        if isinstance(text, str) and (now - self.told >= STATUS_SECONDS or "Remaining" in text):
            self.told = now
            self.say("status", text=text)

    def do_open(self, file, trusted, scene, engine, wanted_engine, note, in_order, persistent, **rest):
        try:
            bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
        except RuntimeError as error:
            raise jobsettings.Refused(
                "Blender %s cannot open %s: %s" % (bpy.app.version_string, file, str(error).strip())
            ) from error
        self.scene = bpy.data.scenes.get(scene)
        if self.scene is None:
            there = ", ".join(repr(s.name) for s in bpy.data.scenes)
            raise jobsettings.Refused("%s has no scene %r; it has: %s" % (file, scene, there))
        if suffix := views.leading_away(self.scene.render):
            raise jobsettings.Refused(
                "A view of the scene %r of %s has the file suffix %r, which leads to another folder" % (scene, file, suffix)
            )
        for window in bpy.context.window_manager.windows[:1]:
            # As ``blender -S`` does. A render takes the frame number in its metadata from there, and scripts their scene.
            window.scene = self.scene
        remap.remap(rest["roots"])
        jobsettings.set_camera(self.scene, rest["camera"], file)
        jobsettings.set_layers(self.scene, rest["view_layers"], file)
        if not engine and not jobsettings.same_engine(wanted_engine, self.scene.render.engine):
            raise jobsettings.Refused(
                "The scene %r wants the engine %s, an add-on that Blender %s does not have here: send it with the job (--addon), "
                "or choose another with --engine" % (self.scene.name, wanted_engine, bpy.app.version_string)
            )
        jobsettings.set_engine(self.scene, engine, rest["samples"])
        jobsettings.set_layer_samples(self.scene)
        if rest["denoise_after"]:
            if why := split.why_not_denoised_after(self.scene):
                raise jobsettings.Refused(
                    "Frames of the scene %r cannot be denoised after they are rendered: %s. Submit the job without "
                    "--denoise-after" % (self.scene.name, why)
                )
            if not self.scene.cycles.denoiser:
                # (Not for good: another worker's Blender may have it.)
                raise RuntimeError(WITHOUT_DENOISER % bpy.app.version_string)
            self.scene.cycles.use_denoising = True
        if rest["film"] and (problem := film.problem(self.scene, rest["film"])):
            raise RuntimeError(problem)  # before a frame of it is rendered
        jobsettings.set_format(self.scene, rest["format"])
        render = self.scene.render
        if rest["resolution"]:
            render.resolution_percentage = rest["resolution"]
        if rest["threads"]:
            render.threads_mode = "FIXED"
            render.threads = rest["threads"]
        render.use_file_extension = False
        # (A simulation that is not baked goes otherwise in an animation that keeps its data: seen with cloth that is moved.)
        keeps = persistent and render.engine == "CYCLES" and (render.use_persistent_data or not in_order)
        render.use_persistent_data = keeps and animation.cycles_keeps_up(self.scene)
        self.in_order, self.at = in_order, None
        self.piece, self.ways, self.shown = None, {}, None
        # Opening a file has cleared the handlers.
        bpy.app.handlers.render_stats.append(self.status)
        if render.use_persistent_data:
            animation.show_moving_pictures()
        warnings = jobsettings.set_device(self.scene, rest["device"], rest["gpus"]) if render.engine == "CYCLES" else []
        jobsettings.set_note(self.scene, note)
        own = {"--engine": engine, "--samples": rest["samples"], "--camera": rest["camera"], "--view-layer": rest["view_layers"]}
        warnings += [] if rest["layers_apart"] else views.without_effect(self.scene, own)
        self.say(
            "opened",
            size=self.size(),
            filled=self.fills_the_picture(),
            missing=paths.missing_files(),
            warnings=warnings,
            files=paths.used_files(),
            vague=uses_folders(),
            without_color_space=color.without_color_space(),
            strip_outputs=views.strip_outputs(self.scene),
            device=self.scene.cycles.device if render.engine == "CYCLES" else "",
            forgets=FORGETS if keeps and not render.use_persistent_data else "",
        )

    def size(self):
        """Width and height that frames will have, in pixels; None where a border makes them other."""
        render = self.scene.render
        if render.use_border and render.use_crop_to_border:
            return None
        return views.pictured(self.scene, views.frame_size(render))

    def fills_the_picture(self):
        """Whether no pixel is left empty on purpose: by a transparent background, a border, strips, nodes, or by Workbench, whose
        background is transparent in a scene without a world."""
        if self.scene.render.engine != "CYCLES" or (self.scene.render.use_compositing and split.uses_nodes(self.scene)):
            return False
        render, editor = self.scene.render, self.scene.sequence_editor
        strips = getattr(editor, "strips", None) or getattr(editor, "sequences", None)
        return not (render.film_transparent or render.use_border or (render.use_sequencer and strips))

    def do_render(self, frame, path, gather="", layer="", draft=0, note=""):
        """Render *frame* to *path*; with a *draft*, with one of so many shares of its samples, and this *note* in its
        metadata."""
        began = time.monotonic()
        if self.goes_in_one(layer):
            later = [each for each in self.in_order if each >= frame]
            inorder.InOrder(self, later).render({"frame": frame, "path": path, "gather": gather})
            return
        if self.in_order:
            self.step_to(frame)
            self.scene.frame_set(frame)
        self.at = frame
        drafted = split.drafted(self.scene, frame, draft, note)
        with drafted, views.alone(self.scene, layer), nodes.gathered(self.scene, frame, gather) as written:
            self.render_to(path, frame)
        self.rendered(frame, began, written)

    def goes_in_one(self, layer):
        """Whether the frames that are wanted in order are rendered as one animation: not where that would leave still what only
        the interface moves, and the farm moves too."""
        ascending = self.in_order and self.in_order == sorted(set(self.in_order))
        return ascending and not layer and self.piece is None and not simulations.moved_by_interface(self.scene)

    def rendered(self, frame, began, written):
        """Tell that *frame* is there, which was asked for when it *began*, and what file-output nodes have *written* of it."""
        flush_output()
        self.say("rendered", frame=frame, seconds=time.monotonic() - began, memory=peak_memory(), written=written)

    def next_in_order(self, frame):
        """The next request for a frame after *frame*, while an animation waits for it; ends the process if no request comes."""
        for line in self.channel:
            request = json.loads(line)
            verb = request.pop("do")
            if verb in {"ping", "mark"}:
                getattr(self, "do_" + verb)(**request)
            elif verb == "render" and request["frame"] > frame and not request.get("layer"):
                return request
            elif verb == "quit":
                break
            else:
                self.say("error", message="%s was asked for in the middle of an animation" % verb, permanent=False)
        os._exit(0)

    def render_to(self, path, frame):
        """Render *frame* to *path*: where this Blender can, as an animation of that one frame, so that what handlers do when the
        frame changes comes before or after the same steps as in ``blender -a``."""
        render = self.scene.render
        if bpy.app.version < (5, 0):
            self.scene.frame_set(frame)
            render.filepath = wanted = templates.escaped(path)
            bpy.ops.render.render(write_still=True, scene=self.scene.name)
            self.check_written(path, frame, wanted)
            return
        stem, extension = os.path.splitext(path)
        render.filepath = wanted = templates.escaped(stem) + "####" + extension
        bpy.ops.render.render(animation=True, scene=self.scene.name, frame_start=frame, frame_end=frame)
        self.check_written(path, frame, wanted)
        # An animation's files have the frame's number in their names, before the suffix of a view.
        folder, name = os.path.split(stem)
        numbered = "%s%s%04d" % (name, "-" if frame < 0 else "", abs(frame))
        for each in os.listdir(folder):
            if each.startswith(numbered):
                os.replace(os.path.join(folder, each), os.path.join(folder, name + each[len(numbered) :]))

    def check_written(self, path, frame, wanted):
        """Raise `Refused` if nothing was written for *path*, since a script has changed the output path from the *wanted* one."""
        there = self.scene.render.filepath
        if there != wanted and not os.listdir(os.path.dirname(path)):
            raise jobsettings.Refused(SCRIPTED_PATH % (frame, there))

    def do_film(self, file, trusted, scene, roots, frames, path, size, sound, how, sound_file=""):
        began = time.monotonic()
        if file:
            bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
            remap.remap(roots)
            self.scene = bpy.data.scenes[scene]
        else:
            bpy.ops.wm.read_factory_settings(use_empty=True)
            self.scene = bpy.context.scene
        if sound_file:
            film.add_sound(self.scene, sound_file, frames[0][0])
        film.set_up(self.scene, how)
        warning = film.why_silent(self.scene) if sound else ""
        made = film.make(self.scene, frames, path, size, sound, self.status)
        flush_output()
        audible = sound and not warning and film.has_audio(self.scene)
        seconds = time.monotonic() - began
        self.say(
            "filmed",
            files=made,
            seconds=seconds,
            fps=film.rate(self.scene),
            sound=audible,
            size=film.size_of(made[0]),
            warning=warning,
        )

    def do_bake(self, file, trusted, scene, roots, path, moves):
        """Bake what simulates in *file*, and write that to *path*, which *moves*: it is opened elsewhere than beside *file*."""
        self.open_scene(file, trusted, scene, roots)
        baked = baking.bake(self.scene, self.status)
        if moves:
            bpy.ops.file.make_paths_absolute()
        bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, compress=True, relative_remap=False)
        flush_output()
        self.say("baked", baked=baked)

    def do_script(self, file, scene, roots, name, text, arguments, frame, output):
        self.open_scene(file, True, scene, roots)
        self.scene.frame_set(frame)
        os.chdir(output)
        try:
            scripts.run(name, text, arguments)
        except scripts.Failed as error:
            flush_output()
            self.say("error", message=str(error), permanent=False)
            return
        flush_output()
        self.say("scripted")

    def open_scene(self, file, trusted, scene, roots):
        """Open *file*, and have its *scene* as the present one."""
        bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
        remap.remap(roots)
        self.scene = bpy.data.scenes[scene]
        for window in bpy.context.window_manager.windows[:1]:
            window.scene = self.scene

    def do_split(self, wanted, pieces):
        # Once for all pieces: it is a question about the scene as it is without any of their settings.
        if (wanted, pieces) not in self.ways:
            self.set_back()
            how, why = split.way(self.scene, wanted, pieces)
            whole = how == "whole"
            self.ways[wanted, pieces] = {
                "how": how,
                "why": why,
                "samples": 0 if whole else self.scene.cycles.samples,
                "denoises": not whole and any(split.cycles_denoises(self.scene, layer) for layer in self.scene.view_layers),
            }
        self.say("way", **self.ways[wanted, pieces])

    def do_refined(self, least):
        """Whether, and of how many samples, frames can be refined that must have *least* samples or more."""
        if least not in self.ways:
            self.set_back()
            why = split.why_not_refined(self.scene)
            if not why and self.scene.cycles.samples < least:
                why = "it has fewer than %d samples" % least
            if not why and split.Shown.can(self.scene):
                self.shown = split.Shown(self.scene)  # before Cycles has anything to keep
            self.ways[least] = {
                "why": why,
                "shows": self.shown is not None,
                "samples": 0 if why else self.scene.cycles.samples,
                "denoises": not why and any(split.cycles_denoises(self.scene, layer) for layer in self.scene.view_layers),
            }
        self.say("refined", **self.ways[least])

    def set_back(self):
        """Have the scene as its file and job have it, and not set up for pieces."""
        if self.piece is not None:
            self.piece.kept.restore()
            self.piece = None

    def do_piece(self, frame, path, samples, rows, note, codec="ZIP"):
        if self.piece is None:
            self.piece = split.PieceSettings(self.scene)
        self.piece.choose(samples, rows, note, codec)
        self.do_render(frame, path)

    def do_denoise(self, merged, path):
        if not self.scene.cycles.denoiser:
            raise jobsettings.Refused(WITHOUT_DENOISER % bpy.app.version_string)
        split.denoise(self.scene, merged, path)
        self.say("denoised")

    def do_merged(self, frame, path, merged, stamps, note=""):
        """Write *frame* to *path* as its render would be, which the file *merged* holds, with *stamps*, and the *note* if there
        is one, in its metadata."""
        self.scene.frame_set(frame)
        self.at = None
        self.scene.render.filepath = templates.escaped(path)
        with split.merged(self.scene, merged, stamps, note):
            bpy.ops.render.render(write_still=True, scene=self.scene.name)
        flush_output()
        self.say("merged")

    def do_show(self, picture, path):
        """Write the float OpenEXR *picture* to *path*, as pictures of the scene are written, with its own metadata."""
        self.shown.write(picture, path)
        flush_output()
        self.say("shown")

    def step_to(self, frame):
        """Let every frame before *frame* happen, from the scene's or a simulation's first, or the last one that did: what a
        simulation, or a script that counts frames, needs to be where it would be in Blender."""
        if self.at is None or self.at >= frame:
            simulations.show_as_rendered(self.scene)
            self.at = min([self.scene.frame_start, *simulations.first_frames(self.scene)]) - 1
        for earlier in range(self.at + 1, frame):
            self.scene.frame_set(earlier)
            self.status("Stepping to frame %d, at %d" % (frame, earlier))


def is_final(message):
    """Whether the *message* of an operator of Blender's tells of what no other attempt could mend."""
    return "no camera" in message.lower() or "Parse errors in path" in message


def uses_folders():
    """Whether the scene uses sets of files that may grow: sequences, tiles, caches of simulations."""
    if any(image.source in {"SEQUENCE", "TILED"} for image in bpy.data.images):
        return True
    if any(cache.is_sequence for cache in bpy.data.cache_files):
        return True
    modifiers = [modifier for thing in bpy.data.objects for modifier in thing.modifiers]
    caches = [cache for thing in bpy.data.objects for cache in paths.point_caches(thing)]
    return any(m.type in {"FLUID", "OCEAN"} for m in modifiers) or any(c.use_disk_cache or c.use_external for c in caches)


def flush_output():
    """Bring out what Python and Blender have printed: into a pipe they write in blocks."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)


def peak_memory():
    """Bytes that this process has held at most; 0 where the platform does not say. On Linux without the files that are mapped
    into it, which several processes share and the kernel may drop (proc(5), status)."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open("/proc/self/status") as status:
            sizes = dict(line.split(":", 1) for line in status)
        return max(0, int(sizes["VmHWM"].split()[0]) - int(sizes["RssFile"].split()[0])) * 1024
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def connected(name):
    """The channel called *name*: a host and port, or, in a sandbox without network, a socket in the working folder."""
    host, colon, port = name.rpartition(":")
    if not colon:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(name)
        return connection
    connection = socket.create_connection((host, int(port)))
    # Without this a frame's end is told up to 40 ms late (Nagle's algorithm and delayed acknowledgements).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def main():
    name = os.environ.pop("BRENDER_CHANNEL")
    token = os.environ.pop("BRENDER_CHANNEL_TOKEN")
    with connected(name) as connection:
        connection.sendall(token.encode() + b"\n")
        channel = connection.makefile("rwb")
        driver = Driver(channel)
        driver.say("hello", version=list(bpy.app.version))
        driver.serve()
    sys.stdout.flush()
    # Blender's own clean-up may crash or hang; everything of ours is done.
    os._exit(0)


main()

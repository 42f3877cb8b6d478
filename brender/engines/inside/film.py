"""Inside Blender: the film of a scene that is set to write a movie, made of frames that are rendered already.

The scene itself writes it, so that container, codec, quality, rate, sound and metadata are what it is set to: only its picture
comes from a strip of the frames, on top of all that the sequencer has.
"""

import os

import animation
import bpy
import sequencer
import templates

#: What Blender calls formats that are movies. The second and third are gone since 4.2, which opens such scenes as FFMPEG.
MOVIES = {"FFMPEG", "AVI_JPEG", "AVI_RAW"}
#: Displays of which bytes pass through the sequencer as they are (compared with bpy 5.0.1); of others they are rounded twice.
EXACT_IN_BYTES = {"sRGB", "Display P3"}
#: A strip of images has frames of so many numbers at most: Blender copies all for each that is added.
STRIP_FRAMES = 500
#: What sound is written as in each container.
AUDIO_OF = {"WEBM": "OPUS", "OGG": "VORBIS", "AVI": "MP3"}
_ANIMATED = ("render.", "view_settings", "display_settings", "sequencer_colorspace_settings")


def is_movie(scene):
    return scene.render.image_settings.file_format in MOVIES


def depth_of_frames(scene):
    """Bits a channel that the frames of *scene* need, for a film that is no other than the one it would write itself."""
    image = scene.render.image_settings
    exact = display_of(scene) in EXACT_IN_BYTES
    return "8" if exact and image.color_depth in {"", "8"} else "16"


def display_of(scene):
    image = scene.render.image_settings
    own = getattr(image, "color_management", "") == "OVERRIDE"
    return (image if own else scene).display_settings.display_device


def described(scene):
    """How *scene* is set to write its movie, in words."""
    settings = scene.render.ffmpeg
    return "the film of the scene %r (%s, %s, sound %s)" % (scene.name, settings.format, settings.codec, settings.audio_codec)


def rate(scene):
    return scene.render.fps / scene.render.fps_base


def has_audio(scene):
    return scene.render.image_settings.file_format == "FFMPEG" and scene.render.ffmpeg.audio_codec != "NONE"


def why_silent(scene):
    """What the job's owner should know where this Blender cannot write the sound that *scene* has, or "" if it can."""
    if bpy.app.build_options.audaspace or not has_audio(scene):
        return ""
    return "The film has no sound: Blender %s, as it is installed there, was built without any" % bpy.app.version_string


def set_up(scene, how):
    """Let *scene* write the film that a job asks for: *how* has its container, codec, quality, rate and sound, each ``None`` as
    the scene has it; and those of them that hold ``otherwise``, where it is not set to write a movie. Raises `RuntimeError`."""
    image, ffmpeg = scene.render.image_settings, scene.render.ffmpeg
    was_movie = image.file_format == "FFMPEG"
    if not was_movie:
        if hasattr(image, "media_type"):
            image.media_type = "VIDEO"
        image.file_format = "FFMPEG"
    rest = {} if was_movie else how["otherwise"]
    try:
        if container := how["container"] or rest.get("container"):
            ffmpeg.format = container
        if codec := how["codec"] or rest.get("codec"):
            ffmpeg.codec = codec
        if quality := how["quality"] or rest.get("quality"):
            ffmpeg.constant_rate_factor = quality
    except TypeError as error:
        raise RuntimeError("Blender %s cannot write such a film: %s" % (bpy.app.version_string, error)) from error
    if how["rate"]:
        scene.render.fps, scene.render.fps_base = how["rate"], 1.0
    wanted = how["sound"] if how["sound"] is not None else None if was_movie else makes_sound(scene)
    if wanted is not None:
        own = AUDIO_OF.get(ffmpeg.format, "AAC")
        ffmpeg.audio_codec = (
            "NONE" if not wanted else own if ffmpeg.audio_codec == "NONE" or how["container"] else ffmpeg.audio_codec
        )


def makes_sound(scene):
    """Whether *scene* has strips of sound, or speakers."""
    has_strips = any(strip.type == "SOUND" for strip in sequencer.strips_of(scene))
    return has_strips or any(thing.type == "SPEAKER" for thing in scene.objects)


def add_sound(scene, file, frame):
    """Let the sound of *file* begin at *frame* of *scene*. Raises `RuntimeError` where it cannot be read."""
    try:
        strips_of(scene).new_sound("sound", file, 1, frame)
    except RuntimeError as error:
        raise RuntimeError("the sound %s cannot be read: %s" % (file, str(error).strip())) from error


def rehearse(scene, how=None):
    """Begin a film of *scene*, as *how* says (`set_up`; ``None``: as the scene is), of a single frame. Raises `RuntimeError` with
    Blender's own words where it cannot."""
    trial = scene.copy()
    folder = os.path.join(bpy.app.tempdir, "brender-rehearsal")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "film")
    handlers = silence()
    try:
        if how is not None:
            set_up(trial, how)
        trial.sequence_editor_clear()
        end = {"length": 1} if bpy.app.version >= (5, 0) else {"frame_end": 2}
        strips_of(trial).new_effect(name="brender", type="COLOR", channel=1, frame_start=1, **end)
        show_sequencer(trial)
        trial.render.use_multiview = False
        trial.frame_start = trial.frame_end = trial.frame_step = 1
        write(trial, path)
        if not os.path.getsize(path if os.path.exists(path) else first_piece(path)):
            raise RuntimeError("the file is empty")
    except OSError as error:
        raise RuntimeError("it wrote no file") from error
    finally:
        bpy.data.scenes.remove(trial)
        for name, those in handlers.items():
            getattr(bpy.app.handlers, name)[:] = those  # for the frames
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))


def problem(scene, how=None):
    """Why no film of *scene*, as *how* says, can be made by this Blender, as a sentence, or "" if one can."""
    if scene.render.use_multiview and scene.render.image_settings.views_format != "STEREO_3D":
        return "The scene %r writes a film for each of its views, and one film of Stereo 3D is all that can be made" % scene.name
    try:
        rehearse(scene, how)
    except RuntimeError as error:
        words = str(error).strip().replace("Error: ", "")
        asked = [] if how is None else [how[name] for name in ("container", "codec") if how[name]]
        what = "the film that the job asks for (%s)" % ", ".join(asked) if asked else described(scene)
        return "Blender %s cannot write %s: %s" % (bpy.app.version_string, what, words)
    return ""


def make(scene, frames, path, size, sound, tell):
    """Write the film of *frames* (number and file of each, in their order) to *path*, *size* wide and high; returns its files,
    more than one where the scene splits large ones. *sound*: with the scene's, whose time the numbers are. *tell* is called with
    words about what is done now and then."""
    silence()
    if not sound:
        frames = [(number, file) for number, (_, file) in enumerate(frames, start=1)]
        scene.render.ffmpeg.audio_codec = "NONE"
    numbers = [number for number, _ in frames]
    scene.frame_start, scene.frame_end = numbers[0], numbers[-1]
    scene.frame_step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    pass_colors(scene, add_strips(scene, frames))
    show_sequencer(scene)
    render = scene.render
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 100
    render.use_border = render.use_stamp = render.use_multiview = False
    mute_animation(scene)
    written = []

    def count(*_):
        written.append(scene.frame_current)
        tell("Film: frame %d of %d" % (len(written), len(frames)))

    bpy.app.handlers.render_write.append(count)
    write(scene, path)
    if written != numbers:
        raise RuntimeError("the film ended after %d of its %d frames" % (len(written), len(frames)))
    return [path] if os.path.exists(path) else pieces(path)


def write(scene, path):
    scene.render.use_file_extension = False  # the path is what it is to be
    scene.render.filepath = templates.escaped(path)
    bpy.ops.render.render(animation=True, scene=scene.name)


def first_piece(path):
    return path + "_000"


def pieces(path):
    """The files that a film was split into (Blender begins another after 2 GB, where the scene says so)."""
    found = []
    while os.path.exists("%s_%03d" % (path, len(found))):
        found.append("%s_%03d" % (path, len(found)))
    return found


def size_of(path):
    """Width and height of the film *path* as Blender opens it. (How many frames it has is no fact to Blender, which takes the
    length of the sound for that of the picture.)"""
    clip = bpy.data.movieclips.load(path)
    try:
        return list(clip.size)
    finally:
        bpy.data.movieclips.remove(clip)


def silence():
    """Let no script or add-on take part: they did, or will, when the frames are rendered. Returns the handlers by their kind."""
    handlers, silenced = bpy.app.handlers, {}
    for name in dir(handlers):
        if name.startswith(("render_", "frame_change_")):
            silenced[name] = list(getattr(handlers, name))
            getattr(handlers, name).clear()
    return silenced


def strips_of(scene):
    return sequencer.uppermost(scene.sequence_editor or scene.sequence_editor_create())


def show_sequencer(scene):
    scene.render.use_sequencer = True
    scene.render.use_compositing = False


def add_strips(scene, frames):
    """Strips with *frames* at their time, over all others; several, as each frame more makes a strip slower to add to. What lies
    between frames, where the scene takes not every one, is never shown."""
    strips = strips_of(scene)
    taken = {strip.channel for strip in strips}
    channel = max(taken, default=0) + 1
    editor = scene.sequence_editor
    if len(taken) and hasattr(editor, "channels"):
        channel = min(channel, len(editor.channels) - 1)
    folder, made = os.path.dirname(frames[0][1]), []
    for number, file in frames:
        if os.path.dirname(file) != folder:
            raise RuntimeError("the frames lie in several folders")
        if not made or number - made[-1][1] >= STRIP_FRAMES:
            made.append((strips.new_image("brender", file, channel, number, fit_method="ORIGINAL"), number))
            continue
        strip, first = made[-1]
        while first + len(strip.elements) <= number:
            strip.elements.append(os.path.basename(file))
    for strip, _ in made:
        strip.blend_type = "REPLACE"
        strip.mute = False
    if hasattr(editor, "channels"):
        editor.channels[channel].mute = False
    for name in ("use_cache_raw", "use_cache_preprocessed", "use_cache_composite", "use_cache_final", "use_prefetch"):
        if hasattr(editor, name):
            setattr(editor, name, False)
    return [strip for strip, _ in made]


def pass_colors(scene, strips):
    """Let the colors of the frames in *strips* pass as they are: the view transform is in them."""
    image, display, view = scene.render.image_settings, scene.display_settings, scene.view_settings
    wanted = display_of(scene)
    if hasattr(image, "color_management"):
        image.color_management = "FOLLOW_SCENE"
    for name in (wanted, "sRGB"):
        try:
            for strip in strips:
                strip.colorspace_settings.name = name
            scene.sequencer_colorspace_settings.name = name
            display.display_device = name
            break
        except TypeError:
            continue  # there is no color space that is called as the display is
    else:
        raise RuntimeError("the color configuration has neither a color space %r nor sRGB" % wanted)
    view.view_transform = "Standard"
    view.look = "None"
    view.exposure, view.gamma, view.use_curve_mapping = 0.0, 1.0, False
    if hasattr(view, "use_white_balance"):
        view.use_white_balance = False
    if name in EXACT_IN_BYTES and depth_of_frames(scene) == "8":
        scene.render.dither_intensity = 0.0  # it is in them too


def mute_animation(scene):
    """Let nothing that animates the scene change how the film is written."""
    animation.mute(scene, _ANIMATED)

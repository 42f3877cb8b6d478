"""Scenes that are cut together in the sequencer, and movies as output."""

import os

import bpy
from base import (
    add_camera,
    begin,
    color_of,
    cube_mesh,
    file_format,
    makes_a_scene,
    needs,
    setup,
    strips_of,
    write_movie,
    write_picture,
    write_sound,
)


def add_effect(strips, name, kind, channel, first, last):
    try:
        return strips.new_effect(name, kind, channel, first, frame_end=last)
    except TypeError:
        return strips.new_effect(name, kind, channel, first, length=last - first)


@makes_a_scene
def image_strip(folder, **how):
    """A strip of four images."""
    scene = begin(**how)
    for number in range(1, 5):
        write_picture(os.path.join(folder, "plates", "plate_%d.png" % number), (number / 4, 0.5, 0.2, 1))
    strip = strips_of(scene).new_image("plates", "//plates/plate_1.png", 1, 1)
    for number in range(2, 5):
        strip.elements.append("plate_%d.png" % number)


@makes_a_scene
def movie_strip(folder, **how):
    """A strip of a movie."""
    write_movie(os.path.join(folder, "plates", "plate.avi"))
    scene = begin(**how)
    strip = strips_of(scene).new_movie("plate", os.path.join(folder, "plates", "plate.avi"), 1, 1)
    strip.filepath = "//plates/plate.avi"


@makes_a_scene
def color_strip(folder, **how):
    """A strip of one color, under a text."""
    scene = begin(**how)
    strips = strips_of(scene)
    add_effect(strips, "color", "COLOR", 1, 1, 10).color = (0.2, 0.6, 0.1)
    text = add_effect(strips, "text", "TEXT", 2, 1, 10)
    text.text, text.font_size = "Hi", 12
    strip = strips[0]
    strip.blend_alpha = 0.2
    strip.keyframe_insert("blend_alpha", frame=1)
    strip.blend_alpha = 1.0
    strip.keyframe_insert("blend_alpha", frame=4)


@makes_a_scene
def scene_strip(folder, **how):
    """A scene that is a strip of the one that is rendered."""
    begin(**how)
    inner = bpy.context.scene
    inner.name = "Inner"
    outer = bpy.data.scenes.new("Outer")
    setup(outer, **how)
    strips_of(outer).new_scene("inner", inner, 1, 1)
    bpy.context.window_manager.windows[0].scene = outer


@makes_a_scene
def sequencer_off(folder, **how):
    """A sequencer that is switched off."""
    color_strip(folder, **how)
    bpy.context.scene.render.use_sequencer = False


@makes_a_scene
def film(folder, container="MPEG4", codec="H264", audio="AAC", sound=True, values=None, missing=False, **how):
    """A cube in a movie, with a sound."""
    needs("codec_ffmpeg")
    how.setdefault("frames", (1, 12))
    scene = begin(**how)
    file_format(scene.render.image_settings, "FFMPEG")
    ffmpeg = scene.render.ffmpeg
    ffmpeg.format, ffmpeg.codec, ffmpeg.audio_codec = container, codec, audio
    for key, value in (values or {}).items():
        setattr(ffmpeg, key, value)
    if sound:
        path = write_sound(os.path.join(folder, "sounds", "tone.wav"), 0.25)
        strips_of(scene).new_sound("tone", path, 1, 5).sound.filepath = "//sounds/tone.wav"
        if missing:
            os.unlink(path)


@makes_a_scene
def picture_with_sound(folder, **how):
    """Pictures of a scene that has a sound too, and no other strip."""
    scene = begin(**how)
    path = write_sound(os.path.join(folder, "sounds", "tone.wav"), 0.25)
    strips_of(scene).new_sound("tone", path, 1, 1).sound.filepath = "//sounds/tone.wav"


@makes_a_scene
def nodes_in_a_strip(folder, **how):
    """A scene with a file-output node that is a strip of the one that is rendered."""
    from compositing import file_outputs

    file_outputs(folder, **how)
    inner = bpy.context.scene
    inner.name = "Inner"
    outer = bpy.data.scenes.new("Outer")
    setup(outer, **how)
    outer.world = bpy.data.worlds.new("Other")
    color_of(outer.world, (0, 0, 0, 1))
    add_camera(outer, "Another")
    outer.collection.objects.link(bpy.data.objects.new("Small", cube_mesh("Small", 0.2)))
    strips_of(outer).new_scene("inner", inner, 1, 1)
    bpy.context.window_manager.windows[0].scene = outer

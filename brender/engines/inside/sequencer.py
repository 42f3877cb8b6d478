"""Inside Blender: the strips of a scene's sequencer, by the names that each Blender has for them."""

import bpy


def strips_of(scene):
    """Every strip of the sequencer of *scene*, those in meta strips too."""
    editor = scene.sequence_editor
    return () if editor is None else editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def uppermost(editor):
    """The strips of the sequencer *editor* that are in no meta strip."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def makes_picture(scene):
    """Whether the picture of *scene* comes from its sequencer: if that has more than sound. Blender 4.5 takes no notice of strips
    that are muted, or are in a muted channel; 4.2 does, and its picture is empty (RE_seq_render_active)."""
    editor = scene.sequence_editor if scene.render.use_sequencer else None
    if editor is None:
        return False
    skips_muted = bpy.app.version >= (4, 5)
    return any(
        strip.type != "SOUND" and not (skips_muted and (strip.mute or editor.channels[strip.channel].mute))
        for strip in uppermost(editor)
    )

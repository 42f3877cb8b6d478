"""The cases, as tables. What is declared is what is right, whether or not it is so."""

from typing import Any

from tests.corpus.comparing import Tolerance
from tests.corpus.declaring import Case, Version

_PLACE = ("two",)
_BOTH = ("two", "send")
_PIECES = ("pieces",)
_FIRST = (1, 1)
_BORDER = {"use_border": True, "border_min_x": 0.2, "border_max_x": 0.7, "border_min_y": 0.1, "border_max_y": 0.6}
_STAMPED = {
    "use_stamp": True,
    "stamp_font_size": 8,
    "use_stamp_note": True,
    "stamp_note_text": "take 3",
    **{f"use_stamp_{each}": False for each in ("date", "filename", "render_time", "memory", "hostname")},
}
_SQUEEZED = {"use_squeezed_frame": True}
_STUDIO: dict[str, Any] = {"display": "Wall", "view": {"view_transform": "Inverse", "look": "Reddish"}}
_BPY_DRIVER = "bpy.context.scene.frame_current / 4"
_COMPRESSED = Tolerance(0.12, "a film is encoded from frames that were kept, by another encoder than Blender's", 0.02)
_GPU = Tolerance(0.008, "Workbench and EEVEE draw with OpenGL, where the last bit of 8 is the driver's")


def _of(scene: str, name: str = "", **how: Any) -> Case:
    """A case of any scene. What is not a field of a case is a value of the scene."""
    case = {key: how.pop(key) for key in tuple(how) if key in Case.__dataclass_fields__ and key != "values"}
    return Case(name=name or scene, scene=scene, values=how, **case)


def _picture(name: str, format: str = "PNG", **how: Any) -> Case:
    """A plain picture, rendered in place where nothing else is said."""
    return _of("picture", name, **({"variants": _PLACE, "format": format} | how))


def _named(name: str, output: str, format: str = "PNG", **how: Any) -> Case:
    """A picture whose scene says where it goes."""
    return _picture(name, format, output=output, **how)


def _film(name: str, **how: Any) -> Case:
    """A movie. Its frames stay beside it, as the job says."""
    said = {} if "refused" in how else {"warned": "they stay in the folder", "besides": "_frames/"}
    return _of("film", name, tolerance=_COMPRESSED, **({"output": "//out/movie_"} | said | how))


_EXR = "OPEN_EXR"
_LAYERS = "OPEN_EXR_MULTILAYER"

FORMATS = (
    _picture("png_8", variants=("two", "one", "cold", "send"), quick=("two", "send")),
    _picture("png_16_rgba", values={"color_depth": "16", "color_mode": "RGBA"}, render={"film_transparent": True}),
    _picture("png_grey", values={"color_mode": "BW", "compression": 90}),
    _picture("jpeg_quality", "JPEG", values={"quality": 35}, variants=_BOTH, quick=_PLACE),
    _picture("jpeg_grey", "JPEG", values={"color_mode": "BW", "quality": 90}),
    _picture("tiff_16", "TIFF", values={"color_depth": "16", "tiff_codec": "LZW"}),
    _picture("tiff_8_packbits_rgba", "TIFF", values={"color_mode": "RGBA", "tiff_codec": "PACKBITS"}),
    _picture("tiff_uncompressed", "TIFF", values={"tiff_codec": "NONE"}),
    _picture("webp", "WEBP", values={"quality": 60}),
    _picture("webp_lossless_rgba", "WEBP", values={"quality": 100, "color_mode": "RGBA"}),
    _picture("bmp", "BMP"),
    _picture("tga", "TARGA", values={"color_mode": "RGBA"}),
    _picture("tga_raw", "TARGA_RAW"),
    _picture("iris", "IRIS"),
    _picture("jpeg_2000", "JPEG2000", values={"color_depth": "8", "quality": 80}, size=(64, 48)),
    _picture("hdr", "HDR"),
    _picture("dpx_10", "DPX", values={"color_depth": "10"}),
    _picture("dpx_16_log", "DPX", values={"color_depth": "16", "use_cineon_log": True}),
    _picture("cineon", "CINEON"),
    _picture("exr_half_dwaa", _EXR, values={"color_depth": "16", "exr_codec": "DWAA"}, variants=_BOTH, quick=_PLACE),
    _picture("exr_float_zips", _EXR, values={"color_depth": "32", "exr_codec": "ZIPS"}),
    _picture("exr_half_piz_rgba", _EXR, values={"color_depth": "16", "exr_codec": "PIZ", "color_mode": "RGBA"}),
    _picture("exr_grey", _EXR, values={"color_mode": "BW", "exr_codec": "RLE"}),
    _picture("exr_uncompressed", _EXR, values={"exr_codec": "NONE"}),
    _picture("exr_preview", _EXR, values={"use_preview": True}),
    _picture(
        "exr_multilayer",
        _LAYERS,
        values={"color_depth": "32", "exr_codec": "ZIP"},
        passes=("use_pass_z", "use_pass_normal", "use_pass_diffuse_color", "use_pass_cryptomatte_object"),
        variants=_BOTH,
        quick=_PLACE,
    ),
    _picture("exr_multilayer_half", _LAYERS, values={"color_depth": "16"}, passes=("use_pass_vector", "use_pass_object_index")),
)

PIECES = (
    _picture("pieces_png", frames=_FIRST, samples=4, variants=_PIECES, quick=_PIECES),
    _picture("pieces_png_16", values={"color_depth": "16"}, frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_jpeg", "JPEG", frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_tiff", "TIFF", frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_webp", "WEBP", frames=_FIRST, samples=4, variants=_PIECES),
    _picture(
        "pieces_exr_half_dwaa",
        _EXR,
        values={"color_depth": "16", "exr_codec": "DWAA"},
        frames=_FIRST,
        samples=4,
        variants=_PIECES,
    ),
    _picture("pieces_exr_grey", _EXR, values={"color_mode": "BW"}, frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_multilayer", _LAYERS, passes=("use_pass_z", "use_pass_normal"), frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_dpx", "DPX", frames=_FIRST, samples=4, variants=_PIECES),
    _picture("pieces_stamped", frames=_FIRST, samples=4, render=_STAMPED, size=(160, 120), variants=_PIECES),
    _picture("pieces_border", frames=_FIRST, samples=4, render=_BORDER, variants=_PIECES),
    _of("cycles", "pieces_adaptive", values={"use_adaptive_sampling": True}, frames=_FIRST, samples=16, variants=_PIECES),
    _of("composited", "pieces_composited", frames=_FIRST, samples=4, variants=_PIECES),
    _of("view_layers", "pieces_layers", format=_LAYERS, frames=_FIRST, samples=4, variants=_PIECES),
    _of("saved_at", "pieces_of_the_current_frame", frames=(1, 60), frame=50, samples=4, variants=_PIECES, stills=(50,)),
    _of(
        "saved_at",
        "pieces_of_a_named_frame",
        frames=(1, 60),
        frame=50,
        samples=4,
        variants=_PIECES,
        stills=(7,),
        options=("--frames", "7"),
    ),
)

SIZES = (
    _picture("size_odd", size=(37, 23)),
    _picture("size_percent", size=(37, 23), render={"resolution_percentage": 67}),
    _picture("size_of_nothing", size=(64, 64), render={"resolution_percentage": 1}, refused="resolution|size|pixel"),
    _picture("pixel_aspect", render={"pixel_aspect_x": 2.0}),
    _picture("border", render=_BORDER),
    _picture("border_cropped", render=_BORDER | {"use_crop_to_border": True}, quick=_PLACE),
    _picture("border_cropped_exr", _EXR, render=_BORDER | {"use_crop_to_border": True}),
    _picture(
        "border_cropped_to_nothing",
        render={"use_border": True, "use_crop_to_border": True, "border_max_x": 0.001},
        refused="border|region",
    ),
    _picture(
        "resolution_option",
        size=(37, 23),
        options=("--resolution", "50"),
        as_if={"size": (37, 23), "render": {"resolution_percentage": 50}},
    ),
)

TIMES = (
    _picture("frame_step", frames=(1, 7), scene_values={"frame_step": 3}),
    _picture("frames_from_zero", frames=(0, 1)),
    _picture("frames_of_five_digits", frames=(9999, 10000)),
    _picture("frames_named", frames=(1, 9), options=("--frames", "2 4-5"), stills=(2, 4, 5)),
    _picture("frames_negative", frames=(0, 9), options=("--frames=-3,-1",), stills=(-3, -1), variants=_BOTH, since=(5, 0)),
    _picture("time_remapped", frames=(1, 4), render={"frame_map_old": 100, "frame_map_new": 50}),
    _picture("motion_blur", render={"use_motion_blur": True, "motion_blur_shutter": 0.8}, samples=4),
    _picture("fps_of_ntsc", render={"fps": 30, "fps_base": 1.001}),
    _of("marked_cameras", frames=(1, 3), quick=_PLACE),
    _of("marked_cameras", "marked_cameras_one", frames=(1, 3), variants=("one",)),
)

NAMES = (
    _named("name_of_its_own", "//renders/v01/pic_##", root="renders/v01", variants=_BOTH, quick=_PLACE),
    _named("name_with_an_extension", "//out/pic_####.png"),
    _named("name_with_a_capital_extension", "//out/pic_####.PNG"),
    _named("name_with_another_extension", "//out/v1.2_####.exr", variants=_BOTH),
    _named("name_of_a_movie", "//out/movie.mp4"),
    _named("name_jpeg", "//out/pic_####.jpeg", "JPEG"),
    _named("name_tiff", "//out/pic_####.tiff", "TIFF"),
    _named("name_without_number", "//out/pic"),
    _named("name_with_a_dot", "//out/v1.2"),
    _named("name_with_numbers_twice", "//out/a##_b###_c"),
    _named("name_is_only_numbers", "//out/####"),
    _named("name_is_a_folder", "//out/", variants=_BOTH),
    _named("name_is_a_folder_and_version", "//renders/v01/", root="renders/v01", variants=_BOTH),
    _named("name_beside_the_blend", "//pic_", root="."),
    _named("name_with_numbers_in_the_folder", "//out_####/pic", root="out_####"),
    _named("name_with_spaces", "//out/a picture ####"),
    _named("name_unicode", "//out/bild_ü_雪_####", variants=_BOTH),
    _named("name_folder_unicode", "//aus gabe ü/pic_", root="aus gabe ü", variants=_BOTH),
    _named("name_of_an_option", "//elsewhere/pic_####", folder="out", options=("--pattern", "pic_####"), as_if={}),
    _named("name_hidden", "//out/.pic_####"),
    _named("name_without_extension", "//out/pic_####", render={"use_file_extension": False}, variants=_BOTH),
    _named("name_with_an_extension_of_its_own", "//out/pic_####.render", render={"use_file_extension": False}),
    _named("name_braces_in_a_folder", "//a{{b}}/pic_", root="a{b}", since=(5, 0)),
    _of("picture", "file_unicode", file="szene ü 雪.blend", variants=_BOTH),
    _of("picture", "file_with_spaces", file="my shot.v02.blend"),
    _of("there_already", "there_already_kept", overwrite=False, frames=(1, 2), variants=_PLACE),
    _of("there_already", "there_already_overwritten", frames=(1, 2), variants=_PLACE),
    _of("there_already", "there_already_newer_overwritten", newer=True, frames=(1, 2), variants=_PLACE),
    _of("there_already", "placeholders", placeholders=True, overwrite=False, variants=_PLACE),
)

_SINCE_TEMPLATES: Version = (5, 0)
TEMPLATES = (
    _named("template_blend_name", "//out/{blend_name}_####", since=_SINCE_TEMPLATES, variants=_BOTH, quick=_PLACE),
    _named("template_folder", "//{blend_name}/pic_", since=_SINCE_TEMPLATES, root="shot"),
    _named("template_scene", "//out/{scene_name}_{camera_name}_", since=_SINCE_TEMPLATES),
    _named("template_numbers", "//out/{resolution_x}x{resolution_y}_{fps}_", since=_SINCE_TEMPLATES),
    _named("template_formatted", "//out/{fps:.##}_{resolution_x:#####}_", since=_SINCE_TEMPLATES),
    _named("template_braces", "//out/a{{b}}_{blend_name}_", since=_SINCE_TEMPLATES),
    _named("template_blend_dir", "{blend_dir}/out/pic_", since=_SINCE_TEMPLATES),
    _named("template_unknown", "//out/{nothing}_", since=_SINCE_TEMPLATES, refused="nothing"),
    _named("template_not_closed", "//out/{fps_", since=_SINCE_TEMPLATES, refused=r"\{fps_"),
    _of("file_outputs", "template_in_a_node", to="//out/{blend_name}_aov/", since=_SINCE_TEMPLATES),
    _of("marked_cameras", "template_of_marked_cameras", output="//out/{camera_name}_", frames=(1, 3), since=_SINCE_TEMPLATES),
    _of(
        "marked_cameras",
        "template_of_marked_cameras_in_folders",
        output="//out/{camera_name}/pic_",
        to="//out/aov/{camera_name}/",
        length=2,
        frames=(0, 3),
        since=_SINCE_TEMPLATES,
        variants=("two", "one"),
        warned="called after the camera of their own frame",
        besides="beauty_Image",
    ),
)

TRUST = (
    _of("driven", "driver_untrusted", expression=_BPY_DRIVER, refused="--trusted", quick=_PLACE, variants=_BOTH),
    _of("driven", "driver_let_be", expression=_BPY_DRIVER, options=("--untrusted",), variants=_PLACE),
    _of("driven", "driver_trusted", expression=_BPY_DRIVER, trusted=True, quick=_PLACE),
    _of("driven", "driver_simple", expression="frame / 4 + sin(frame)", quick=_PLACE),
    _of("driven_by_a_variable", variants=_PLACE),
    _of("namespace", "function_untrusted", refused="--trusted", variants=_PLACE),
    _of("namespace", "function_trusted", trusted=True),
    _of("handler", "handler_untrusted", refused="--trusted", variants=_PLACE),
    _of("handler", "handler_trusted", trusted=True, frames=(1, 4), variants=("two", "one", "send")),
    _of("handler", "handler_that_counts_renders", counts=True, trusted=True, frames=(1, 4), variants=("one",)),
    _of("unregistered", "text_that_is_not_run", variants=_PLACE),
)

#: Rigid and soft bodies and simulation nodes that are not baked are not stepped by ``blender -b FILE -a``; the farm moves them.
SIMULATIONS = (
    _of("cloth", warned="in order by one worker", quick=_PLACE),
    _of("cloth", "cloth_with_more_points_in_a_render", render_levels=1, warned="in order by one worker"),
    _of("cloth", "cloth_baked", baked=8, variants=_BOTH),
    _of("cloth", "cloth_half_baked", baked=5, warned="for frames 1 to 5 only"),
    _of(
        "cloth",
        "cloth_still",
        options=("--frames", "6"),
        variants=_PIECES,
        stills=(6,),
        warned="in one piece",
        differs=True,
    ),
    _of("rigid_bodies", warned="would not move rigid bodies", differs=True),
    _of("simulation_nodes", since=(4, 2), warned="would not move simulation nodes", differs=True),
    _of("simulation_nodes", "simulation_nodes_baked", baked=True, since=(4, 3)),
    _of("falling_bodies", warned="would not move rigid bodies", differs=True, variants=_PLACE),
    _of("falling_bodies", "falling_bodies_baked", baked=True, variants=_BOTH),
    _of("falling_bodies", "falling_bodies_half_baked", baked=True, bake_to=3, warned="for frames 1 to 3 only", variants=_PLACE),
    _of("falling_sheet", "sheet_baked_to_disk", baked=True, disk=True),
    _of("falling_sheet", "soft_body", kind="SOFT_BODY", warned="would not move soft bod", differs=True, variants=_PLACE),
    _of("particles", warned="may lie a little otherwise", differs=True, variants=_PLACE),
    _of("particles", "particles_baked", baked=True),
    _of("particles", "particles_baked_to_disk", baked=True, disk=True),
    _of("particles", "particles_without_physics", physics="NO", variants=_PLACE),
    _of("moved_by_nodes", "moved_by_nodes_baked", baked=True, since=(4, 2)),
    _of("geometry_nodes", quick=_PLACE),
    _of("ocean", "waves", variants=_PLACE),
)

FILES = (
    _of("texture", quick=("send",)),
    _of("texture", "texture_unicode", path="//bilder ü/holz 雪.png", variants=("send",)),
    _of("texture", "texture_packed", packed=True, variants=("send",)),
    _of("texture", "texture_missing", remove=("textures/wood.png",), refused="wood.png"),
    _of("texture", "texture_missing_allowed", remove=("textures/wood.png",), options=("--allow-missing",), warned="wood.png"),
    _of("texture", "texture_of_windows_missing", path="C:\\textures\\foo.png", refused=r"C:\\textures\\foo\.png"),
    _of("unused_texture", variants=_PLACE),
    _of("sequence", frames=(1, 3), quick=("send",)),
    _of("sequence", "sequence_offset", frames=(1, 2), offset=2, variants=("send",)),
    _of("sequence", "sequence_with_a_gap", frames=(1, 4), gap=(3,), refused="plate_0003.png"),
    _of("tiles", quick=("send",)),
    _of("tiles", "tiles_with_a_gap", gap=(1002,), refused="skin.1002.png"),
    _of("movie_texture", frames=(1, 3)),
    _of("environment", variants=("send",)),
    _of("shading_script"),
    _of("shading_script", "shading_script_missing", remove=("osl/stripes.osl",), refused="stripes.osl", variants=_PLACE),
    _of("light_profile", variants=("send",)),
    _of(
        "light_profile",
        "light_profile_missing",
        remove=("lights/lamp.ies",),
        refused=r"lamp\.ies, used by (?!-u)",
        variants=_PLACE,
    ),
    _of("font", variants=("send",)),
    _of("linked", quick=("send",)),
    _of("linked", "linked_in_a_chain", depth=3),
    _of("linked", "linked_sequence", source="SEQUENCE", frames=(1, 3)),
    _of("linked", "linked_chain_of_sequences", depth=2, source="SEQUENCE", frames=(1, 3), variants=("send",)),
    _of("linked", "linked_texture_missing", remove=("lib1/maps/rust.png",), refused="rust.png"),
    _of("linked", "linked_chain_broken", depth=3, remove=("lib1/lib1.blend",), refused="lib1.blend"),
    _of("overridden"),
    _of("mesh_cache", frames=(1, 3)),
    _of("alembic", frames=(1, 3)),
    _of("changed", "texture_changed", changes=True, variants=_BOTH),
    _of("changed_library", changes=True, variants=_BOTH),
    _of("changed_sequence", changes=True, variants=_PLACE),
)

LAYERS = (
    _of("view_layers", format=_LAYERS),
    _of("view_layers", "view_layers_png", variants=_PLACE),
    _of("view_layers", "view_layer_not_used", format=_LAYERS, use=(True, False), variants=_PLACE),
    _of("view_layers", "view_layers_composited", composite=True, variants=_PLACE),
    _of(
        "view_layers",
        "view_layer_chosen",
        format=_LAYERS,
        options=("--view-layer", "rear"),
        as_if={"format": _LAYERS, "use": (False, True)},
        variants=_PLACE,
    ),
    _of("view_layers", "view_layer_not_there", options=("--view-layer", "nowhere"), refused="nowhere", variants=_PLACE),
)

NODES = (
    _of("composited", variants=_PLACE),
    _of("composited", "compositing_off", off=True, variants=_PLACE),
    _of("file_outputs", quick=_PLACE),
    _of("file_outputs", "file_outputs_of_a_group", in_group=True, variants=_PLACE),
    _of("file_outputs", "file_outputs_deep", format=_LAYERS, to="//out/deep/"),
    _of("file_outputs", "file_outputs_elsewhere", to="//elsewhere/", variants=_PLACE),
    _of("file_outputs", "file_outputs_with_number", beginning="aov_##_x"),
    _of("file_outputs", "file_outputs_only", with_picture=False),
    _of("file_outputs", "file_outputs_half", format=_EXR, values={"color_depth": "16", "exr_codec": "DWAA"}, variants=_PLACE),
    _of("two_file_outputs"),
    _of("nodes_in_a_strip", "file_outputs_in_a_strip", warned="number", besides="beauty_Image"),
)

VIEWS = (
    _of("stereo", "stereo_individual", quick=_PLACE),
    _of("stereo", "stereo_individual_jpeg", format="JPEG", variants=_PLACE),
    _of("stereo", "stereo_exr_multiview", format=_EXR, views="MULTIVIEW", variants=_PLACE),
    _of("stereo", "stereo_multilayer_multiview", format=_LAYERS, views="MULTIVIEW", variants=_PLACE),
    _of("stereo", "stereo_side_by_side", views="STEREO_3D", mode="SIDEBYSIDE"),
    _of("stereo", "stereo_side_by_side_squeezed", views="STEREO_3D", mode="SIDEBYSIDE", stereo_values=_SQUEEZED, variants=_PLACE),
    _of("stereo", "stereo_top_bottom", views="STEREO_3D", mode="TOPBOTTOM", variants=_PLACE),
    _of("stereo", "stereo_anaglyph", views="STEREO_3D", mode="ANAGLYPH", variants=_PLACE),
    _of("stereo", "stereo_interlaced", views="STEREO_3D", mode="INTERLACE", variants=_PLACE),
    _of("three_views"),
    _of("three_views", "three_views_exr", format=_EXR, views="MULTIVIEW", variants=_PLACE),
)

STRIPS = (
    _of("image_strip", frames=(1, 3)),
    _of("movie_strip", frames=(1, 3)),
    _of("color_strip", frames=(1, 3), variants=_PLACE),
    _of("scene_strip", frames=(1, 2)),
    _of("sequencer_off", variants=_PLACE),
    _of("picture_with_sound"),
    _of(
        "image_strip",
        "image_strip_missing",
        frames=(1, 3),
        remove=("plates/plate_2.png",),
        refused=r"plate_2\.png, used by (?!-u)",
    ),
)

FILMS = (
    _film("film_h264", quick=_PLACE),
    _film("film_without_sound", sound=False, audio="NONE", variants=_PLACE),
    _film("film_mkv_ffv1", container="MKV", codec="FFV1", audio="PCM", variants=_PLACE),
    _film("film_quicktime", container="QUICKTIME", codec="MPEG4", variants=_PLACE),
    _film("film_webm", container="WEBM", codec="WEBM", audio="OPUS", variants=_PLACE),
    _film("film_named", output="//out/movie.mp4", variants=_PLACE),
    _film("film_sound_missing", missing=True, refused="tone.wav", variants=_PLACE),
)

COLORS = (
    _of("colored", "color_standard", view={"view_transform": "Standard"}, variants=_PLACE),
    _of(
        "colored", "color_filmic_look", view={"view_transform": "Filmic", "look": "High Contrast"}, variants=_PLACE, before=(4, 0)
    ),
    _of("colored", "color_agx_look", view={"view_transform": "AgX", "look": "AgX - Punchy"}, since=(4, 0), quick=_PLACE),
    _of("colored", "color_exposure", view={"view_transform": "Standard", "exposure": 1.5, "gamma": 1.3}, variants=_PLACE),
    _of("colored", "color_of_a_studio", **_STUDIO, ocio=True, options=("--ocio", "{ocio}")),
    _of("colored", "color_of_a_studio_unnamed", **_STUDIO, ocio=True, fails="does not know", variants=_PLACE),
    _of("colored", "color_of_a_studio_unreadable", options=("--ocio", "/no/config.ocio"), refused="/no/config.ocio"),
    _of("colored", "color_of_the_output", override={"view_transform": "Raw"}, variants=_PLACE),
    _of("colored", "color_of_the_output_exr", format=_EXR, linear="ACEScg", since=(4, 0), variants=_PLACE),
)

OTHERS = (
    _picture("stamped", render=_STAMPED, size=(160, 120), variants=_BOTH),
    _picture("noted", "JPEG", render={"use_stamp_note": True, "stamp_note_text": "take 3"}),
    _picture("dithered", render={"dither_intensity": 2.0}),
    _of("two_scenes", variants=_PLACE),
    _of("two_scenes", "two_scenes_second", active=1),
    _of(
        "two_scenes",
        "two_scenes_chosen",
        options=("--scene", "Second"),
        as_if={"active": 1},
        variants=_BOTH,
    ),
    _of("two_scenes", "scene_not_there", options=("--scene", "Nowhere"), refused="Nowhere", variants=_PLACE),
    _of("two_scenes", "camera_not_there", options=("--camera", "Nobody"), refused="Nobody", variants=_PLACE),
    _of("two_scenes", "camera_of_another_scene", options=("--camera", "Other camera"), refused="Other camera", variants=_PLACE),
    _of("cycles", "cycles_seed", values={"use_animated_seed": True}, samples=2, variants=_PLACE),
    _of(
        "cycles", "cycles_denoised", values={"use_denoising": True, "denoiser": "OPENIMAGEDENOISE"}, variants=_PLACE, since=(4, 0)
    ),
    _of("engine", "workbench", kind="WORKBENCH", variants=_PLACE, tolerance=_GPU),
    _of(
        "engine",
        "eevee",
        kind="EEVEE",
        size=(16, 12),
        variants=_PLACE,
        tolerance=_GPU,
        slow="shaders without a GPU: a minute each",
    ),
)

CASES: tuple[Case, ...] = (
    *FORMATS,
    *PIECES,
    *SIZES,
    *TIMES,
    *NAMES,
    *TEMPLATES,
    *TRUST,
    *SIMULATIONS,
    *FILES,
    *LAYERS,
    *NODES,
    *VIEWS,
    *STRIPS,
    *FILMS,
    *COLORS,
    *OTHERS,
)

"""The cases, as a table. What is declared is what is right, whether or not it is so."""

from tests.corpus.declaring import Case

_PIECES = (1, 1)

CASES: tuple[Case, ...] = (
    # Formats: the file's kind, depth, codec, channels and metadata.
    Case(name="png_8", scene="picture", values={"format": "PNG"}, variants=("two", "one", "cold", "send"), quick=("two", "send")),
    Case(name="png_16_rgba", scene="picture", values={"format": "PNG", "values": {"color_depth": "16", "color_mode": "RGBA"}}),
    Case(name="png_grey", scene="picture", values={"values": {"color_mode": "BW"}}),
    Case(name="jpeg_quality", scene="picture", values={"format": "JPEG", "values": {"quality": 35}}, quick=("two",)),
    Case(name="tiff_16", scene="picture", values={"format": "TIFF", "values": {"color_depth": "16", "tiff_codec": "LZW"}}),
    Case(name="webp", scene="picture", values={"format": "WEBP", "values": {"quality": 60}}),
    Case(name="bmp", scene="picture", values={"format": "BMP"}),
    Case(name="tga", scene="picture", values={"format": "TARGA"}),
    Case(name="tga_raw", scene="picture", values={"format": "TARGA_RAW"}),
    Case(name="iris", scene="picture", values={"format": "IRIS"}),
    Case(name="hdr", scene="picture", values={"format": "HDR"}),
    Case(name="dpx", scene="picture", values={"format": "DPX"}),
    Case(name="cineon", scene="picture", values={"format": "CINEON"}),
    Case(
        name="exr_half_dwaa",
        scene="picture",
        values={"format": "OPEN_EXR", "values": {"color_depth": "16", "exr_codec": "DWAA"}},
        quick=("two",),
    ),
    Case(
        name="exr_float_zips",
        scene="picture",
        values={"format": "OPEN_EXR", "values": {"color_depth": "32", "exr_codec": "ZIPS"}},
    ),
    Case(
        name="exr_multilayer",
        scene="picture",
        values={
            "format": "OPEN_EXR_MULTILAYER",
            "values": {"color_depth": "32", "exr_codec": "ZIP"},
            "passes": ("use_pass_z", "use_pass_normal", "use_pass_diffuse_color", "use_pass_cryptomatte_object"),
        },
        quick=("two",),
    ),
    # Stills in pieces.
    Case(name="pieces_png", scene="picture", values={"frames": _PIECES, "samples": 4}, variants=("pieces",), quick=("pieces",)),
    Case(name="pieces_jpeg", scene="picture", values={"frames": _PIECES, "samples": 4, "format": "JPEG"}, variants=("pieces",)),
    Case(
        name="pieces_of_the_current_frame",
        scene="saved_at",
        values={"frames": (1, 60), "frame": 50, "samples": 4},
        variants=("pieces",),
        frame=50,
    ),
    # Scripts.
    Case(
        name="driver_untrusted",
        scene="driven",
        values={"expression": "bpy.context.scene.frame_current / 4"},
        refused="--trusted",
        quick=("two",),
    ),
    Case(
        name="driver_trusted",
        scene="driven",
        values={"expression": "bpy.context.scene.frame_current / 4"},
        trusted=True,
        quick=("two",),
    ),
    Case(name="driver_simple", scene="driven", values={"expression": "frame / 4"}, quick=("two",)),
    # Simulations.
    Case(name="cloth", scene="cloth", warned="in order by one worker", quick=("two",)),
    Case(name="cloth_with_more_points_in_a_render", scene="cloth", values={"render_levels": 1}, warned="in order by one worker"),
    Case(name="cloth_baked", scene="cloth", values={"baked": 8}),
    Case(name="cloth_half_baked", scene="cloth", values={"baked": 5}, warned="for frames 1 to 5 only"),
    Case(
        name="cloth_still",
        scene="cloth",
        options=("--frames", "6"),
        variants=("pieces",),
        frame=6,
        warned="in one piece",
        differs=True,
    ),
    Case(name="rigid_bodies", scene="rigid_bodies", warned="would not move rigid bodies", differs=True),
    Case(
        name="simulation_nodes",
        scene="simulation_nodes",
        warned="would not move simulation nodes",
        differs=True,
        since=(4, 2),
    ),
    Case(name="simulation_nodes_baked", scene="simulation_nodes", values={"baked": True}, since=(4, 3)),
    # Several views.
    Case(name="stereo_individual", scene="stereo", quick=("two",)),
    Case(name="stereo_side_by_side", scene="stereo", values={"views": "STEREO_3D", "mode": "SIDEBYSIDE"}),
    # Names.
    Case(name="own_output", scene="picture", values={"output": "//renders/v01/pic_##"}, output=None, quick=("two",)),
    Case(name="name_with_a_dot_exr", scene="picture", values={"output": "//out/v1.2_####.exr"}),
)

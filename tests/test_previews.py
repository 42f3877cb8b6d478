"""The preview picture that Blender keeps in a .blend, read without Blender."""

import gzip
import struct
from pathlib import Path

import OpenImageIO as oiio
import pytest
import zstandard

from brender.blendfile.header import preview
from tests.conftest import BLENDS, SCENES

CUBE = SCENES / "03_animated_cube.blend"
#: Of that file: where the content of the block with its preview begins, after the header and a block of 72 bytes.
AT = 12 + 24 + 72 + 24


@pytest.mark.parametrize("file", [CUBE, BLENDS / "brender-1" / "benchmark.blend"], ids=["64 bits", "32 bits"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"])
def test_a_preview_is_read_however_the_file_is_packed(file: Path, pack: object, tmp_path: Path) -> None:
    packed = tmp_path / "packed.blend"
    packed.write_bytes(pack(file.read_bytes()[:300_000]))  # type: ignore[operator]
    found = preview(packed)
    assert found is not None and (found.width, found.height) == (128, 128)
    (tmp_path / "made.png").write_bytes(found.as_png())
    image = oiio.ImageBuf(str(tmp_path / "made.png"))
    assert image.read() and (image.spec().width, image.spec().height, image.nchannels) == (128, 128, 4)


def test_a_preview_stands_upright() -> None:
    found, content = preview(CUBE), CUBE.read_bytes()
    assert found is not None and found.pixels[: 128 * 4] == content[AT + 8 + 127 * 512 : AT + 8 + 128 * 512]


@pytest.mark.parametrize("size", [(0, 128), (-1, 128), (127, 128), (2**31 - 1, 2**31 - 1), (128, 2**30)])
def test_a_preview_that_is_no_picture_is_none(size: tuple[int, int], tmp_path: Path) -> None:
    content = bytearray(CUBE.read_bytes())
    content[AT : AT + 8] = struct.pack("<ii", *size)
    (tmp_path / "odd.blend").write_bytes(content)
    assert preview(tmp_path / "odd.blend") is None


@pytest.mark.parametrize("length", [0, 5, 12, 40, AT, AT + 3, AT + 5000])
def test_of_a_file_that_is_cut_off_there_is_no_preview(length: int, tmp_path: Path) -> None:
    (tmp_path / "cut.blend").write_bytes(CUBE.read_bytes()[:length])
    (tmp_path / "packed.blend").write_bytes(gzip.compress(CUBE.read_bytes()[:length]))
    assert preview(tmp_path / "cut.blend") is preview(tmp_path / "packed.blend") is None


def test_a_file_that_was_saved_without_one_has_no_preview() -> None:
    assert preview(SCENES / "01_linked_collection.blend") is None

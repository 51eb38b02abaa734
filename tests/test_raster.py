"""Everyday image formats: hand-made files with known pixels, and hostile ones."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtransfer.imaging.decode import decode, decode_noting
from medtransfer.imaging.errors import DecodeError
from medtransfer.imaging.raster import DEEP_COLOUR, FIRST_OF_SEVERAL, read_raster

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
DEEP = np.array([[0, 257, 1000], [4095, 32768, 65535]], dtype=np.uint16)


def save(path: Path, image: Image.Image, **options) -> str:
    image.save(path, **options)
    return path.name


def encoded(image: Image.Image, name: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    """A PNG by the letter of its specification: `rows` are its filtered lines."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_grey_png_is_read_as_it_is_and_told_by_content(tmp_path):
    assert (decode(tmp_path, save(tmp_path / "a.png", Image.fromarray(RAMP)), 1) == RAMP).all()
    (tmp_path / "a.png").rename(tmp_path / "a.DCM")
    assert (decode(tmp_path, "a.DCM", 1) == RAMP).all()
    assert (decode(tmp_path, "a.DCM", 3) == RAMP[:, :, None]).all()


def test_sixteen_bits_are_divided_by_their_whole_range_not_by_what_is_there():
    assert (read_raster(encoded(Image.fromarray(DEEP), "PNG")).pixels == np.rint(DEEP / 257)).all()
    dark = (DEEP // 100).astype(np.uint16)
    assert read_raster(encoded(Image.fromarray(dark), "PNG")).pixels.max() == round(655 / 257)
    assert (read_raster(b"P5 3 2 65535\n" + DEEP.astype(">u2").tobytes()).pixels == np.rint(DEEP / 257)).all()


def test_sixteen_bit_colour_keeps_its_upper_half_and_says_so():
    rows = b"".join(b"\0" + np.stack([row] * 3, axis=1).astype(">u2").tobytes() for row in DEEP)
    raster = read_raster(png(3, 2, 16, 2, rows))
    assert (raster.pixels == (DEEP >> 8)[:, :, None]).all() and raster.notes == (DEEP_COLOUR,)
    assert np.abs(raster.pixels[:, :, 0] - np.rint(DEEP / 257)).max() <= 1


@pytest.mark.parametrize(("maximum", "stored"), [(100, [0, 50, 100]), (255, [0, 128, 255]), (1000, [0, 500, 1000])])
def test_the_range_of_a_netpbm_file_is_what_its_header_says(maximum, stored):
    expected = np.rint(np.array(stored) * 255 / maximum)
    plain = f"P2\n# a comment\n3 1\n{maximum}\n{stored[0]} {stored[1]} {stored[2]}\n".encode()
    assert np.abs(read_raster(plain).pixels[0] - expected).max() <= 1
    binary = f"P5 3 1 {maximum}\n".encode() + np.array(stored, dtype=">u2" if maximum > 255 else "u1").tobytes()
    assert np.abs(read_raster(binary).pixels[0] - expected).max() <= 1


def test_an_interlaced_png():
    # Adam7 of a 2 x 2 image: its pixels come in passes 1, 6 and 7.
    rows = b"\0\x0a" + b"\0\x14" + b"\0\x1e\x28"
    assert read_raster(png(2, 2, 8, 0, rows, interlaced=True)).pixels.tolist() == [[10, 20], [30, 40]]


def test_a_tiff_whose_white_is_zero_is_turned():
    for values, whole in ((RAMP, 255), (DEEP, 65535)):
        black_is_zero = encoded(Image.fromarray(values), "TIFF")
        turned = black_is_zero.replace(struct.pack("<HHIHH", 262, 3, 1, 1, 0), struct.pack("<HHIHH", 262, 3, 1, 0, 0))
        assert turned != black_is_zero
        assert (read_raster(turned).pixels == 255 - np.rint(values / whole * 255)).all()


def test_transparency_lies_over_black():
    rgba = np.full((2, 2, 4), 200, dtype=np.uint8)
    rgba[:, :, 3] = [[255, 0], [51, 255]]
    assert read_raster(encoded(Image.fromarray(rgba), "PNG")).pixels[:, :, 1].tolist() == [[200, 0], [40, 200]]
    grey = read_raster(encoded(Image.fromarray(rgba[:, :, 2:]), "PNG"))
    assert grey.pixels.tolist() == [[200, 0], [40, 200]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 250, 250, 250])
    palette.putdata([0, 1])
    assert read_raster(encoded(palette, "PNG", transparency=1)).pixels.tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_palette_and_bilevel_images_become_plain_values():
    colour = Image.new("RGB", (16, 16), (200, 30, 60))
    assert read_raster(encoded(colour.quantize(4), "GIF")).pixels[0, 0] == pytest.approx([200, 30, 60], abs=8)
    bilevel = RAMP > 100
    for name in ("PNG", "PPM", "TIFF"):
        assert (read_raster(encoded(Image.fromarray(bilevel), name)).pixels == bilevel * 255).all()


def test_cmyk_with_and_without_adobes_marker_is_the_same_colour():
    by_adobe = encoded(Image.new("RGB", (16, 16), (200, 30, 60)).convert("CMYK"), "JPEG", quality=100)
    marker = by_adobe.index(b"\xff\xee")
    assert by_adobe[marker + 4 : marker + 9] == b"Adobe"  # which stores CMYK inverted
    length = 2 + struct.unpack_from(">H", by_adobe, marker + 2)[0]
    for content in (by_adobe, by_adobe[:marker] + by_adobe[marker + length :]):
        assert read_raster(content).pixels[8, 8].tolist() == pytest.approx([200, 30, 60], abs=4)


def test_colour_becomes_grey_by_luma(tmp_path):
    name = save(tmp_path / "c.png", Image.new("RGB", (2, 2), (255, 0, 0)))
    assert decode(tmp_path, name, 1).tolist() == [[76, 76], [76, 76]]  # ITU-R 601: 0.299 * 255


def test_exif_orientation_is_applied_and_colour_profiles_are_not():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise
    content = encoded(Image.fromarray(RAMP[:4]), "PNG", exif=exif, icc_profile=b"of some scanner")
    assert (read_raster(content).pixels == np.rot90(RAMP[:4], k=-1)).all()


@pytest.mark.parametrize("name", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_images_the_first_counts_and_that_is_noted(tmp_path, name):
    first, second = Image.fromarray(RAMP), Image.fromarray(255 - RAMP)
    (tmp_path / "a").write_bytes(encoded(first, name, save_all=True, append_images=[second], lossless=True))
    decoded = decode_noting(tmp_path, "a", 1)
    assert np.abs(decoded.pixels.astype(int) - RAMP).max() <= 1 and decoded.notes == (FIRST_OF_SEVERAL,)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8))
WHOLE = {
    "jpeg": encoded(NOISE, "JPEG"),
    "progressive jpeg": encoded(NOISE, "JPEG", progressive=True),
    "png": encoded(NOISE, "PNG"),
    "gif": encoded(NOISE.quantize(64), "GIF"),
    "bmp": encoded(NOISE, "BMP"),
    "webp": encoded(NOISE, "WEBP"),
    "ppm": encoded(NOISE, "PPM"),
    "tiff": encoded(NOISE, "TIFF"),
    "lzw tiff": encoded(NOISE, "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_cut_short_is_refused_or_whole_but_never_half_an_image(tmp_path, name):
    content, whole = WHOLE[name], read_raster(WHOLE[name]).pixels
    refused = 0
    for length in np.linspace(1, len(content) - 1, 60).astype(int):
        (tmp_path / "cut").write_bytes(content[:length])
        try:
            pixels = decode(tmp_path, "cut", 3)
        except DecodeError:
            refused += 1
        else:
            assert (pixels == whole).all()
    assert refused >= 55


def declaring(name: str, width: int, height: int) -> bytes:
    """A small file of a format whose header declares a huge image."""
    small = encoded(Image.new("L", (1, 1)), name) if name != "WEBP" else b""
    if name == "PNG":
        return png(width, height, 8, 0, b"")
    if name == "PPM":
        return f"P5 {width} {height} 255\n".encode()
    if name == "BMP":
        return small[:18] + struct.pack("<ii", width, height) + small[26:]
    if name == "GIF":
        return small[:6] + struct.pack("<HH", width, height) + small[10:]
    if name == "TIFF":
        one = [struct.pack("<HHII", tag, 4, 1, 1) for tag in (256, 257)]
        assert all(entry in small for entry in one)
        return small.replace(one[0], struct.pack("<HHII", 256, 4, 1, width)).replace(
            one[1], struct.pack("<HHII", 257, 4, 1, height)
        )
    if name == "JPEG":
        start = small.index(b"\xff\xc0")
        return small[: start + 5] + struct.pack(">HH", height, width) + small[start + 9 :]
    vp8x = (
        b"VP8X" + struct.pack("<IB3x", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(vp8x)) + b"WEBP" + vp8x


@pytest.mark.parametrize("name", ["PNG", "PPM", "BMP", "GIF", "TIFF", "JPEG", "WEBP"])
def test_a_small_file_that_declares_an_absurd_size_is_refused(tmp_path, name):
    (tmp_path / "bomb").write_bytes(declaring(name, 16_000, 16_000))
    with pytest.raises(DecodeError, match=r"256000000 pixels|neither DICOM nor"):
        decode(tmp_path, "bomb", 1)


def test_pixels_of_unknown_range_are_refused(tmp_path):
    for number, dtype in enumerate((np.float32, np.int32)):
        name = save(tmp_path / f"{number}.tiff", Image.fromarray(np.ones((2, 2), dtype)))
        with pytest.raises(DecodeError, match="range"):
            decode(tmp_path, name, 1)

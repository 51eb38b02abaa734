"""DICOM files that contradict themselves or hold no image: what is noted, and what is refused for which reason."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid

from medtransfer.imaging.decode import decode
from medtransfer.imaging.dicom import read_dicom, stored_pixels
from medtransfer.imaging.dicom.codestream import Codestream, read_codestream
from medtransfer.imaging.dicom.pixels import DECODERS, OUTSIDE, PRECISION, SECOND_CHOICE, SIGNED, TOO_LONG
from medtransfer.imaging.errors import DecodeError
from tests.dicom_files import as_bytes, compressed, dataset, dicom, encapsulated

RNG = np.random.default_rng(0)
STORED = RNG.integers(0, 4096, (40, 36), dtype=np.uint16)


# --- contradictions


def test_signs_and_precisions_that_disagree_are_noted():
    # The codestream holds unsigned values of 12 bits.
    unsigned = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), uid.JPEG2000Lossless)))
    unsigned.PixelRepresentation = 1
    assert read_dicom(as_bytes(unsigned))[1] == (SIGNED,)
    assert (stored_pixels(as_bytes(unsigned)) == np.where(STORED < 2048, STORED, STORED - 4096.0)).all()
    deep = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), uid.JPEG2000Lossless)))
    deep.BitsStored, deep.HighBit = 10, 9
    assert read_dicom(as_bytes(deep))[1] == (PRECISION, OUTSIDE)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
@pytest.mark.parametrize(
    ("tag", "value", "reason"),
    [
        ("Rows", 10, "40 x 36 pixels; the header says 10 x 36"),
        ("Columns", 240, "40 x 36 pixels; the header says 40 x 240"),
    ],
)
def test_a_codestream_of_another_size_is_refused(syntax, tag, value, reason):
    file = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), syntax)))
    setattr(file, tag, value)
    with pytest.raises(DecodeError, match=reason):
        read_dicom(as_bytes(file))


def test_more_pixel_data_than_declared_is_noted():
    assert read_dicom(as_bytes(dataset(STORED, 12, PixelData=STORED.tobytes() + b"\0" * 2)))[1] == (TOO_LONG,)
    odd = STORED[:3, :3].astype(np.uint8)
    assert read_dicom(as_bytes(dataset(odd, 8, PixelData=odd.tobytes() + b"\0")))[1] == ()  # the standard's own padding


# --- what is refused


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"Rows": 60_000, "Columns": 60_000}, "60000 x 60000"),
        ({"Rows": 0}, "0 x 36"),
        ({"Rows": None}, "without Rows"),
        ({"BitsAllocated": 12}, "12 bits allocated"),
        ({"BitsStored": 17}, "17 bits stored in 16"),
        ({"SamplesPerPixel": 3}, "MONOCHROME2 with 3 samples"),
        ({"PhotometricInterpretation": "HSV"}, "'HSV'"),
        ({"PixelRepresentation": 2}, "neither 0 nor 1"),
        (
            {"PhotometricInterpretation": "YBR_FULL", "SamplesPerPixel": 3, "PlanarConfiguration": 0, "Columns": 12},
            "YBR_FULL of 16 bits",
        ),
        ({"RescaleSlope": 0}, "RescaleSlope is 0"),
        ({"PixelData": STORED.tobytes()[:-62]}, "cut short: 2818 of 2880 bytes"),
    ],
    ids=str,
)
def test_a_header_that_leaves_no_honest_image_is_refused(tmp_path, tags, reason):
    with pytest.raises(DecodeError, match=reason):
        decode(tmp_path, dicom(tmp_path / "a", STORED, 12, **tags), 1)


def test_numbers_that_are_none_are_named():
    content = as_bytes(dataset(STORED, 12, NumberOfFrames=11)).replace(b"IS\x02\x0011", b"IS\x02\x001A")
    with pytest.raises(DecodeError, match="number of frames '1A' is not a number"):
        stored_pixels(content)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.RLELossless])
def test_a_compressed_file_that_is_cut_short_is_refused(syntax):
    content = compressed(dataset(STORED, 12), syntax)
    for length in range(200, len(content) - 12, 23):  # without the last 8 bytes, which end the sequence, it is whole
        with pytest.raises(DecodeError):
            read_dicom_or_refuse(content[:length])


def read_dicom_or_refuse(content: bytes) -> None:
    try:
        read_dicom(content)
    except DecodeError:
        raise
    except Exception as error:  # as `decode` does
        raise DecodeError(str(error)) from error


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless])
def test_a_codestream_that_is_cut_short_inside_of_a_whole_file_is_refused(syntax):
    whole = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), syntax)))
    stream = pydicom.encaps.get_frame(whole.PixelData, 0, number_of_frames=1)
    with pytest.raises(DecodeError, match="cut short"):
        stored_pixels(encapsulated(whole, stream[: len(stream) // 2], syntax))


def jp2(box_length: int) -> bytes:
    stream = pydicom.encaps.get_frame(
        pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), uid.JPEG2000Lossless))).PixelData,
        0,
        number_of_frames=1,
    )
    signature = b"\0\0\0\x0cjP  \r\n\x87\n"
    return signature + box_length.to_bytes(4, "big") + b"ftyp" + bytes(8) + b"\0\0\0\0jp2c" + stream


def test_the_boxes_of_a_jp2_file_are_skipped_and_broken_ones_end_nowhere():
    assert read_codestream(jp2(16)) == Codestream(rows=40, columns=36, samples=1, precision=12, signed=False)
    file = dataset(STORED, 12)
    for length in (0, 7, 2**32 - 1):
        with pytest.raises(DecodeError, match="broken JP2 header"):
            stored_pixels(encapsulated(file, jp2(length), uid.JPEG2000Lossless))


@pytest.mark.parametrize(
    ("position", "value", "reason"),
    [
        (40, b"\x6b", "108 bits; the header allocates 16"),  # a precision that no decoder has
        (22, b"\0\0\0\1\0\0\0\1", "lacks some of its tiles"),
        (22, b"\0\0\0\0", "empty tiles"),
        (38, b"\0\3", "3 samples per pixel"),
    ],
)
def test_a_jpeg_2000_header_is_not_believed(position, value, reason):
    file = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), uid.JPEG2000Lossless)))
    stream = bytearray(pydicom.encaps.get_frame(file.PixelData, 0, number_of_frames=1))
    stream[position + 2 : position + 2 + len(value)] = value
    with pytest.raises(DecodeError, match=reason):
        stored_pixels(encapsulated(file, bytes(stream), uid.JPEG2000Lossless))


def test_a_jpeg_whose_segments_do_not_follow_each_other_is_refused():
    grey = (STORED >> 4).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG")
    stream = buffer.getvalue()
    table = stream.index(b"\xff\xc4")
    file = dataset(grey, 8)
    with pytest.raises(DecodeError, match="JPEG codestream that is broken"):
        stored_pixels(encapsulated(file, stream[:table] + b"\0" * 8 + stream[table:], uid.JPEGBaseline8Bit))
    filled = stream[:table] + b"\xff" * 8 + stream[table:]  # which the standard allows
    whole = stored_pixels(encapsulated(dataset(grey, 8), stream, uid.JPEGBaseline8Bit))
    assert (stored_pixels(encapsulated(file, filled, uid.JPEGBaseline8Bit)) == whole).all()


def test_what_only_the_second_decoder_reads_is_noted(monkeypatch):
    content = compressed(dataset(STORED, 12), uid.RLELossless)
    monkeypatch.setitem(DECODERS, uid.RLELossless, ("not installed", "pydicom"))
    image, notes = read_dicom(content)
    assert (image == np.rint(STORED / 4095 * 255)).all() and notes == (SECOND_CHOICE,)


def test_transfer_syntaxes_without_a_decoder_and_contradicted_ones_are_named():
    video = pydicom.dcmread(io.BytesIO(compressed(dataset(STORED, 12), uid.RLELossless)))
    video.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    with pytest.raises(DecodeError, match=r"MPEG2 .* no decoder"):
        stored_pixels(as_bytes(video))
    plain = as_bytes(dataset(STORED, 12)).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    with pytest.raises(DecodeError, match="RLE Lossless, but pixel data that are not encapsulated"):
        stored_pixels(plain)

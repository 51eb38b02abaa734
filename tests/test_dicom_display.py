"""What a DICOM image looks like: grey scale, palettes, padding, pixel shape, and what is noted of it."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.sequence import Sequence

from medtransfer.imaging.dicom import read_dicom
from medtransfer.imaging.dicom.checks import INVERTED, ONE_VALUE, SHAPE, WINDOWED_AWAY
from medtransfer.imaging.dicom.display import NO_WINDOW, NOT_NUMBERS, NOT_SQUARE, STRETCHED
from medtransfer.imaging.dicom.pixels import OUTSIDE
from medtransfer.imaging.errors import DecodeError
from tests.dicom_files import as_bytes, dataset

STORED = np.array([[0, 100, 2048], [3000, 4000, 4095]], dtype=np.uint16)
RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def shown(pixels: np.ndarray, bits: int, **tags) -> np.ndarray:
    """The image, of which nothing is noted."""
    image, notes = read_dicom(as_bytes(dataset(pixels, bits, **tags)))
    assert notes == ()
    return image


def noted(pixels: np.ndarray, bits: int, **tags) -> tuple[str, ...]:
    return read_dicom(as_bytes(dataset(pixels, bits, **tags)))[1]


def item(**tags) -> pydicom.Dataset:
    content = pydicom.Dataset()
    for name, value in tags.items():
        setattr(content, name, value)
    return content


def window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """The linear window of PS3.3 section C.11.2.1.2.1, to 0..255."""
    return np.rint(255 * ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1))


# --- grey scale


def test_without_a_window_the_range_of_the_stored_bits_counts():
    assert (shown(STORED, 12) == np.rint(STORED / 4095 * 255)).all()
    assert shown(np.array([[-2048, 0, 2047]], dtype=np.int16), 12).tolist() == [[0, 128, 255]]
    wide = np.array([[0, 2**31, 2**32 - 1]], dtype=np.uint32)
    assert shown(wide, 32).tolist() == [[0, 128, 255]]
    assert (shown(STORED, 12, WindowCenter=None, WindowWidth=None) == np.rint(STORED / 4095 * 255)).all()


def test_colour_of_any_depth_is_scaled_by_its_bits():
    colours = np.array([[[0, 100, 255], [7, 8, 9]]], dtype=np.uint8)
    for dtype in (np.uint8, np.uint16, np.uint32):
        assert (shown(colours.astype(dtype), 8) == colours).all()
    assert (shown(colours.astype(np.uint16) * 257, 16) == colours).all()


def test_one_bit_is_black_and_white():
    bits = np.array([[1, 0, 0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 1, 1, 1, 1]], dtype=np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    assert (shown(bits, 1, BitsAllocated=1, PixelData=packed) == 255 * bits).all()


def test_monochrome1_is_inverted():
    assert (shown(STORED, 12, PhotometricInterpretation="MONOCHROME1") == 255 - shown(STORED, 12)).all()


@pytest.mark.parametrize(("slope", "centre"), [(2, 1500), (-2, -5000)])
def test_the_first_window_applies_after_rescale(slope, centre):
    tags = {"RescaleSlope": slope, "RescaleIntercept": -1000, "WindowCenter": [centre, 0], "WindowWidth": [4000, 10]}
    assert (shown(STORED, 12, **tags) == window(STORED * float(slope) - 1000, centre, 4000)).all()


def test_every_window_function():
    tags = {"WindowCenter": 2000, "WindowWidth": 1000}
    values = STORED.astype(float)
    exact = ((values - 2000) / 1000 + 0.5).clip(0, 1)
    sigmoid = 1 / (1 + np.exp(-4 * (values - 2000) / 1000))
    assert (shown(STORED, 12, **tags, VOILUTFunction="LINEAR") == window(values, 2000, 1000)).all()
    assert (shown(STORED, 12, **tags, VOILUTFunction="LINEAR_EXACT") == np.rint(255 * exact)).all()
    assert (shown(STORED, 12, **tags, VOILUTFunction="SIGMOID") == np.rint(255 * sigmoid)).all()
    one = shown(STORED, 12, WindowCenter=2048, WindowWidth=1)
    assert one.tolist() == [[0, 0, 255], [255, 255, 255]]  # black up to centre - 0.5, white above it


def test_a_table_takes_the_place_of_the_window():
    table = item(LUTDescriptor=[256, 0, 16], LUTData=(65535 - 257 * np.arange(256)).astype(np.uint16).tobytes())
    assert (shown(RAMP, 8, VOILUTSequence=Sequence([table]), WindowCenter=1, WindowWidth=2) == 255 - RAMP).all()


def test_a_modality_table_sets_the_range():
    table = item(LUTDescriptor=[4, 10, 10], LUTData=np.array([0, 341, 682, 1023], dtype=np.uint16).tobytes())
    stored = np.array([[0, 10, 11, 12, 13, 200]], dtype=np.uint8)  # below the table its first value, above it its last
    assert shown(stored, 8, ModalityLUTSequence=Sequence([table])).tolist() == [[0, 0, 85, 170, 255, 255]]


def test_the_functional_groups_of_a_frame_hold_its_window():
    frames = np.stack([RAMP, RAMP, RAMP])
    each = [
        item(FrameVOILUTSequence=Sequence([item(WindowCenter=centre, WindowWidth=101)])) for centre in (60, 120, 180)
    ]
    shared = item(PixelValueTransformationSequence=Sequence([item(RescaleSlope=2, RescaleIntercept=5)]))
    content = as_bytes(
        dataset(
            RAMP,
            8,
            NumberOfFrames=3,
            PixelData=frames.tobytes(),
            SharedFunctionalGroupsSequence=Sequence([shared]),
            PerFrameFunctionalGroupsSequence=Sequence(each),
        )
    )
    for number, centre in enumerate((60, 120, 180)):
        assert (read_dicom(content, number)[0] == window(RAMP * 2.0 + 5, centre, 101)).all()


def test_floats_need_a_window():
    values = np.array([[0.0, 0.25, np.nan, 1.0]], dtype=np.float32)
    file = dataset(values, 32, FloatPixelData=values.tobytes())
    del file.PixelData, file.BitsStored, file.HighBit, file.PixelRepresentation
    with pytest.raises(DecodeError, match="floating-point"):
        read_dicom(as_bytes(file))
    file.WindowCenter, file.WindowWidth, file.VOILUTFunction = 0.5, 1, "LINEAR_EXACT"
    image, notes = read_dicom(as_bytes(file))
    assert image.tolist() == [[0, 64, 0, 255]] and notes == (NOT_NUMBERS,)


# --- padding, palettes, pixel shape


def test_padding_is_background_and_does_not_stretch_the_range():
    stored = np.array([[-2000, -1990, -1024, 0, 1024]], dtype=np.int16)
    tags = {"WindowCenter": 0, "WindowWidth": 2049, "PhotometricInterpretation": "MONOCHROME1"}
    plain = shown(stored, 16, **tags)
    padded = shown(stored, 16, PixelPaddingValue=-2000, **tags)
    ranged = shown(stored, 16, PixelPaddingValue=-1990, PixelPaddingRangeLimit=-2000, **tags)
    assert plain.tolist()[0][:2] == [255, 255]
    assert padded.tolist()[0][:2] == [0, 255] and ranged.tolist()[0][:2] == [0, 0]
    assert (plain[0, 2:] == padded[0, 2:]).all() and (plain[0, 2:] == ranged[0, 2:]).all()


PALETTE: dict[str, object] = {}
for colour, values in (("Red", [0, 65535, 257]), ("Green", [514, 0, 65535]), ("Blue", [65535, 771, 0])):
    PALETTE[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
    PALETTE[f"{colour}PaletteColorLookupTableData"] = np.array(values, dtype=np.uint16).tobytes()
INDICES = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)


def test_a_palette_gives_colours():
    image = shown(INDICES, 8, PhotometricInterpretation="PALETTE COLOR", **PALETTE)
    assert image[0].tolist() == [[0, 2, 255], [255, 0, 3], [1, 255, 0]] and (image[1] == image[0, ::-1]).all()


def test_a_segmented_palette_gives_colours():
    # Two discrete values, then a linear segment of three up to 60,000 (PS3.3 section C.7.9.2).
    segments = np.array([0, 2, 0, 30_000, 1, 3, 60_000], dtype=np.uint16).tobytes()
    tags: dict[str, object] = {
        f"{colour}PaletteColorLookupTableDescriptor": [5, 0, 16] for colour in ("Red", "Green", "Blue")
    }
    tags |= {f"Segmented{colour}PaletteColorLookupTableData": segments for colour in ("Red", "Green", "Blue")}
    image = shown(np.arange(5, dtype=np.uint8)[None], 8, PhotometricInterpretation="PALETTE COLOR", **tags)
    assert image[0, :, 0].tolist() == [round(value / 257) for value in (0, 30_000, 40_000, 50_000, 60_000)]


@pytest.mark.parametrize(
    "tags",
    [{"PixelAspectRatio": [2, 1]}, {"PixelSpacing": [0.4, 0.2]}, {"ImagerPixelSpacing": [0.4, 0.2]}],
    ids=str,
)
def test_pixels_that_are_not_square_are_made_square(tags):
    image, notes = read_dicom(as_bytes(dataset(RAMP, 8, **tags)))
    assert notes == (NOT_SQUARE,) and (image == RAMP.repeat(2, axis=0)).all()
    turned = {name: value[::-1] for name, value in tags.items()}
    assert (read_dicom(as_bytes(dataset(RAMP, 8, **turned)))[0] == RAMP.repeat(2, axis=1)).all()


@pytest.mark.parametrize("spacing", [[0, 0], [0.2, 0.2], [0.2, 0.2001], [0.4], None])
def test_pixels_that_are_square_or_of_unknown_shape_are_left(spacing):
    assert (shown(RAMP, 8, PixelSpacing=spacing) == RAMP).all()


def test_an_absurd_pixel_shape_is_left_out_and_noted():
    image, notes = read_dicom(as_bytes(dataset(RAMP, 8, PixelAspectRatio=[10_000, 1])))
    assert (image == RAMP).all() and notes == (STRETCHED,)


# --- notes


def test_bits_above_those_stored_are_left_out_and_noted():
    image, notes = read_dicom(as_bytes(dataset(STORED | 0x8000, 12)))  # an overlay in the highest bit
    assert notes == (OUTSIDE,) and (image == shown(STORED, 12)).all()
    signed = np.array([[-2048, -1, 0, 2047]], dtype=np.int16)
    image, notes = read_dicom(as_bytes(dataset(signed & 0x0FFF, 12)))  # signs that end at bit 11
    assert notes == (OUTSIDE,) and (image == shown(signed, 12)).all()


def test_a_window_that_shows_nothing():
    assert noted(STORED, 12, WindowCenter=-500, WindowWidth=100) == (WINDOWED_AWAY,)
    assert noted(np.full((4, 4), 7, dtype=np.uint16), 12) == (ONE_VALUE,)
    image, notes = read_dicom(as_bytes(dataset(STORED, 12, WindowCenter=2000, WindowWidth=0)))
    assert notes == (NO_WINDOW,) and (image == np.rint(STORED / 4095 * 255)).all()


def test_a_presentation_shape_that_contradicts_the_photometric_interpretation():
    assert noted(STORED, 12, PresentationLUTShape="INVERSE") == (SHAPE,)
    assert noted(STORED, 12, PresentationLUTShape="IDENTITY", PhotometricInterpretation="MONOCHROME1") == (SHAPE,)
    assert noted(STORED, 12, PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1") == ()


def chest() -> np.ndarray:
    """Something like a chest: two dark lungs and a bright spine in a grey body, with dark air around it."""
    film = np.full((200, 200), 20, dtype=np.uint8)
    film[20:, 30:170] = 140
    film[40:140, 45:90] = film[40:140, 110:155] = 70
    film[:, 92:108] = 220
    return film


@pytest.mark.parametrize(
    ("film", "tags", "notes"),
    [
        (chest(), {"Modality": "CR"}, ()),
        (255 - chest(), {"Modality": "CR", "PhotometricInterpretation": "MONOCHROME1"}, ()),
        (chest(), {"Modality": "DX", "PhotometricInterpretation": "MONOCHROME1"}, (INVERTED,)),
        (255 - chest(), {"Modality": "CR"}, (INVERTED,)),
        (255 - chest(), {"Modality": "US"}, ()),
        (np.pad(chest(), ((0, 0), (60, 60)), constant_values=255), {"Modality": "CR"}, ()),  # unexposed at both sides
    ],
)
def test_films_whose_air_is_bright(film, tags, notes):
    assert noted(film, 8, **tags) == notes
    smaller = np.asarray(Image.fromarray(film).resize((90, 130)))
    assert noted(smaller, 8, **tags) == notes


def test_the_image_does_not_depend_on_its_byte_order():
    content = io.BytesIO()
    big = dataset(STORED, 12, WindowCenter=2000, WindowWidth=3000)
    big.PixelData = STORED.astype(">u2").tobytes()
    big.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    pydicom.dcmwrite(content, big, implicit_vr=False, little_endian=False)
    assert (read_dicom(content.getvalue())[0] == shown(STORED, 12, WindowCenter=2000, WindowWidth=3000)).all()

"""Small whole files to start from: every raster format and every DICOM transfer syntax that can be written here."""

import io

import gdcm
import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.sequence import Sequence

from tests.dicom_files import as_bytes, compressed, compressed_by_gdcm, dataset, encapsulated
from tests.test_dicom_display import INDICES, PALETTE, item


def seeds() -> dict[str, bytes]:
    """Files by name; the same every time."""
    return {**rasters(), **dicoms()}


def rasters() -> dict[str, bytes]:
    grey = _smooth(48, 40)
    colour = Image.fromarray(np.dstack([grey, grey[::-1], grey[:, ::-1]]))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(grey))
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": _encoded(Image.fromarray(grey), "PNG"),
        "deep.png": _encoded(deep, "PNG"),
        "alpha.png": _encoded(alpha, "PNG", exif=exif),
        "palette.png": _encoded(colour.quantize(16), "PNG", transparency=3),
        "grey.jpg": _encoded(Image.fromarray(grey), "JPEG"),
        "progressive.jpg": _encoded(colour, "JPEG", progressive=True, exif=exif),
        "cmyk.jpg": _encoded(colour.convert("CMYK"), "JPEG"),
        "two.gif": _encoded(colour.quantize(16), "GIF", save_all=True, append_images=[colour.quantize(8)]),
        "lossy.webp": _encoded(colour, "WEBP"),
        "lossless.webp": _encoded(alpha, "WEBP", lossless=True),
        "colour.bmp": _encoded(colour, "BMP"),
        "grey.pgm": _encoded(Image.fromarray(grey), "PPM"),
        "bilevel.pbm": _encoded(Image.fromarray(grey > 99), "PPM"),
        "plain.tif": _encoded(colour, "TIFF"),
        "deep.tif": _encoded(deep, "TIFF"),
        **{f"{name}.tif": _encoded(colour, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits")},
        "group4.tif": _encoded(Image.fromarray(grey > 99), "TIFF", compression="group4"),
    }


def dicoms() -> dict[str, bytes]:
    grey = _smooth(48, 40)
    film = grey.astype(np.uint16) * 16
    colour = np.dstack([grey, grey[::-1], grey[:, ::-1]])
    window = {"WindowCenter": 2000, "WindowWidth": 3000, "RescaleSlope": 1, "RescaleIntercept": -10, "Modality": "CR"}
    table = item(LUTDescriptor=[256, 0, 16], LUTData=np.arange(256, dtype=np.uint16).tobytes())
    frame = item(FrameVOILUTSequence=Sequence([item(WindowCenter=60, WindowWidth=101)]))
    deflated = dataset(film, 12, **window)
    deflated.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    implicit = dataset(film, 12, **window, PixelPaddingValue=0, PixelSpacing=[0.2, 0.1])
    implicit.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    big = dataset(film, 12, **window, PixelData=film.astype(">u2").tobytes())
    big.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    frames = {
        "NumberOfFrames": 2,
        "PixelData": grey.tobytes() * 2,
        "PerFrameFunctionalGroupsSequence": Sequence([frame]),
    }
    by_pydicom = (uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless)
    by_gdcm = (gdcm.TransferSyntax.JPEGLosslessProcess14, gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    return {
        "implicit.dcm": as_bytes(implicit),
        "explicit.dcm": as_bytes(dataset(film, 12, **window)),
        "big.dcm": as_bytes(big, implicit_vr=False, little_endian=False),
        "deflated.dcm": as_bytes(deflated),
        "tables.dcm": as_bytes(
            dataset(grey, 8, ModalityLUTSequence=Sequence([table]), VOILUTSequence=Sequence([table]))
        ),
        "frames.dcm": as_bytes(dataset(grey, 8, **frames)),
        "palette.dcm": as_bytes(dataset(INDICES, 8, PhotometricInterpretation="PALETTE COLOR", **PALETTE)),
        "jpeg.dcm": encapsulated(
            dataset(colour, 8, PhotometricInterpretation="YBR_FULL_422"),
            _encoded(Image.fromarray(colour), "JPEG"),
            uid.JPEGBaseline8Bit,
        ),
        **{
            f"{number} {syntax.name}.dcm": compressed(dataset(values, 12 if values.ndim == 2 else 8, **window), syntax)
            for syntax in by_pydicom
            for number, values in enumerate((film, colour))
        },
        **{f"lossless {syntax}.dcm": compressed_by_gdcm(dataset(film, 12, **window), syntax) for syntax in by_gdcm},
    }


def _smooth(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (128 + 100 * np.sin(rows / 5) * np.cos(columns / 7)).astype(np.uint8)


def _encoded(image: Image.Image, name: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()

"""DICOM files with known pixels, for tests."""

import io
import tempfile
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage


def dataset(pixels: np.ndarray, bits: int, **tags) -> FileDataset:
    """An uncompressed grey (or RGB) image, with any further tags."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, UID("1.2.3")
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, UID("1.2.3")
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored, file.HighBit = bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes()
    file["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in tags.items():
        setattr(file, name, value)
    return file


def dicom(path: Path, pixels: np.ndarray, bits: int, **tags) -> str:
    """Write such an image; the file's name."""
    path.write_bytes(as_bytes(dataset(pixels, bits, **tags)))
    return path.name


def as_bytes(file: pydicom.Dataset, **options) -> bytes:
    """The file that a dataset is saved as."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=False, **options)
    return buffer.getvalue()


def compressed(file: pydicom.Dataset, syntax: UID) -> bytes:
    """The file with its pixels compressed by pydicom's encoders."""
    file.compress(syntax, generate_instance_uid=False)
    return as_bytes(file)


def encapsulated(file: pydicom.Dataset, codestream: bytes, syntax: UID) -> bytes:
    """The file with a codestream, whatever it holds, in the place of its pixels."""
    file.PixelData = encapsulate([codestream])
    file["PixelData"].is_undefined_length = True
    file.file_meta.TransferSyntaxUID = syntax
    return as_bytes(file)


def compressed_by_gdcm(file: pydicom.Dataset, syntax: int) -> bytes:
    """The file in a transfer syntax of GDCM, such as `gdcm.TransferSyntax.JPEGLosslessProcess14_1`."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before", Path(folder) / "after"
        before.write_bytes(as_bytes(file))
        reader = gdcm.ImageReader()
        reader.SetFileName(str(before))
        reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        writer = gdcm.ImageWriter()
        if not change.Change():
            raise ValueError("GDCM has no encoder for this transfer syntax and these pixels")
        writer.SetFileName(str(after))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        return after.read_bytes()

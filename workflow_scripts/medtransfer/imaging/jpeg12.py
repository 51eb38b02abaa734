"""DICOM's 12-bit JPEG (Extended, process 4), which pydicom has no decoder for: GDCM, asked directly, has one."""

import tempfile

import gdcm
import numpy as np
from pydicom import Dataset
from pydicom.uid import JPEGExtended12Bit

from medtransfer.imaging.errors import DecodeError


def is_jpeg12(header: Dataset) -> bool:
    """Whether a DICOM file's pixels are grey JPEG of more than 8 bits."""
    return (
        header.file_meta.TransferSyntaxUID == JPEGExtended12Bit
        and header.BitsStored > 8
        and header.SamplesPerPixel == 1
    )


def read_jpeg12(content: bytes, header: Dataset) -> np.ndarray:
    """The stored values of such a file, uint16 [rows, columns]. Raises DecodeError when GDCM cannot read it."""
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:  # GDCM's Python binding reads from named files alone
        file.write(content)
        file.flush()
        reader = gdcm.ImageReader()
        reader.SetFileName(file.name)
        if not reader.Read():
            raise DecodeError("12-bit JPEG that GDCM cannot read")
        values = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(values, dtype="<u2").reshape(header.Rows, header.Columns)

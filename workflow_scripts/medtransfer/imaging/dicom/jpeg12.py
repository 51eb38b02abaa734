"""DICOM's 12-bit JPEG (Extended, process 4), which pydicom has no decoder for: GDCM, asked directly, has one."""

import gdcm
import numpy as np

from medtransfer.imaging.errors import DecodeError

BITS = 12


def decode_jpeg12(content: bytes, rows: int, columns: int) -> np.ndarray:
    """The samples of a grey 12-bit codestream, uint16 [rows, columns]. Raises DecodeError when GDCM cannot read it."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(content)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    # All 12 bits, whatever the header says is stored: a lossy sample may exceed that, and GDCM would wrap it to black.
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, BITS, BITS - 1, 0))
    values = image.GetBuffer()
    if values is None:
        raise DecodeError("12-bit JPEG that GDCM cannot read")
    samples = np.frombuffer(values.encode("utf-8", "surrogateescape"), dtype="<u2")
    if samples.size != rows * columns:
        raise DecodeError("12-bit JPEG that GDCM cannot read to its end")
    return samples.reshape(rows, columns)

"""The DICOM header that drawn films of all hospitals share: 12 bits in 16, uncompressed, and no invented person."""

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian


def film_header(storage: UID, number: int, modality: str, shape: tuple[int, ...]) -> Dataset:
    """Header of a film of `shape` (rows, columns). `number` makes its UID (2.25: DICOM PS3.5 B.2), so that the file is
    the same by seed, as with a fresh one it would not be."""
    uid = UID(f"2.25.{number}")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID = storage
    header.SOPInstanceUID = uid
    header.Modality = modality
    header.SamplesPerPixel = 1
    header.Rows, header.Columns = shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "US"
    return header

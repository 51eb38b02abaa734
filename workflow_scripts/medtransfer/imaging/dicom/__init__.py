"""DICOM images, to 8 bits by the grey scale that the header states.

Grey values pass the standard's chain (DICOM PS3.4 section N.2): modality LUT or rescale, then VOI LUT or window. The
first window counts where several are given. Without either, the whole range of the stored bits maps to 0..255: the
range that the pixels happen to span is never used, so films stay comparable.
"""

import numpy as np

from medtransfer.imaging.dicom.checks import header_notes, image_notes
from medtransfer.imaging.dicom.display import to_square, to_uint8
from medtransfer.imaging.dicom.header import frame_header, is_dicom, read_header, read_patient, read_tags
from medtransfer.imaging.dicom.pixels import read_frame, stored_pixels
from medtransfer.imaging.errors import DecodeError

__all__ = ["is_dicom", "read_dicom", "read_patient", "read_tags", "stored_pixels"]


def read_dicom(content: bytes, frame: int | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Decode one frame of a DICOM file to uint8, [height, width] for grey images and [height, width, 3] for colour.

    `frame` counts from 0; without it, the file must have a single one. MONOCHROME1 is inverted, so that bone is bright
    in every film; padding becomes black. YBR and palette colours become RGB. Where the header says that pixels are not
    square, the shorter axis is enlarged until they are.

    Also returns notes: what in the file contradicts itself, and how it was taken, in sentences that can be counted.
    Raises DecodeError for what is no single image or has no honest rendering, and whatever pydicom raises on broken
    files.
    """
    header, n_frames = read_header(content)
    if frame is None and n_frames != 1:
        raise DecodeError(f"DICOM with {n_frames} frames: name one as file#0 to file#{n_frames - 1}")
    if frame is not None and frame >= n_frames:
        raise DecodeError(f"DICOM with {n_frames} frames, counted from 0: there is no frame {frame}")
    header = frame_header(header, frame or 0)
    stored = read_frame(header, frame or 0, n_frames)
    notes = [*stored.notes, *header_notes(header)]
    image = to_uint8(stored.pixels, stored.photometric, header, notes)
    notes += image_notes(image, stored.pixels, header)
    return to_square(image, header, notes), tuple(notes)

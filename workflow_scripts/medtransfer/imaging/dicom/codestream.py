"""What a JPEG, JPEG-LS or JPEG 2000 codestream says of itself, read before a decoder believes it."""

import struct
from typing import NamedTuple

from medtransfer.imaging.errors import DecodeError

JPEG2000 = b"\xff\x4f\xff\x51"  # start of codestream, then its size segment
JP2 = b"\0\0\0\x0cjP  "  # some files have the boxes of a JP2 file before it
JPEG = b"\xff\xd8"
END = b"\xff\xd9"  # both families end in it
MAX_TILES = 65_535  # ISO/IEC 15444-1, annex A
# JPEG frame headers, but not the tables (C4, C8, CC) between them; F7 is JPEG-LS (ISO/IEC 10918-1 table B.1, 14495-1).
FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
START_OF_SCAN = 0xDA
START_OF_TILE = b"\xff\x90"
STANDALONE = {0x01, *range(0xD0, 0xD9)}


class Codestream(NamedTuple):
    """Size in pixels, samples per pixel, bits per sample, and whether samples are signed (None: it does not say)."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None


def read_codestream(content: bytes) -> Codestream:
    """The header of a codestream. Raises DecodeError where there is none, or no end: that image would be half grey."""
    if content[:2] == JPEG:
        codestream, end = _read_jpeg(content)
    else:
        start = _after_boxes(content) if content.startswith(JP2) else 0
        if not content.startswith(JPEG2000, start):
            raise DecodeError("compressed pixel data without a codestream")
        codestream, end = _read_jpeg2000(content, start)
    if content.rfind(END, end) < 0:
        raise DecodeError("pixel data cut short: their codestream has no end")
    return codestream


def _read_jpeg(content: bytes) -> tuple[Codestream, int]:
    """The frame header, and where coded data begin. Segments must be contiguous: GDCM dies of some that are not."""
    position, codestream = len(JPEG), None
    try:
        while True:
            fill, marker, length = struct.unpack_from(">BBH", content, position)
            if fill != 0xFF or (marker in FRAME_HEADERS and codestream):
                break
            if marker == START_OF_SCAN and codestream:
                return codestream, position
            if marker in FRAME_HEADERS:
                precision, rows, columns, samples = struct.unpack_from(">BHHB", content, position + 4)
                codestream = Codestream(rows, columns, samples, precision, None)
            # A marker may be preceded by fill bytes, and some markers have no length.
            position += 1 if marker == 0xFF else 2 if marker in STANDALONE else 2 + length
    except struct.error:
        pass
    raise DecodeError("pixel data with a JPEG codestream that is broken or cut short")


def _after_boxes(content: bytes) -> int:
    """Where the codestream of a JP2 file begins."""
    position = 0
    while content[position + 4 : position + 8] != b"jp2c":
        length = int.from_bytes(content[position : position + 4], "big")
        if length < 8:  # pydicom would stay here for ever
            raise DecodeError("pixel data with a broken JP2 header")
        position += length
    return position + 8


def _read_jpeg2000(content: bytes, start: int) -> tuple[Codestream, int]:
    try:
        right, bottom, left, top, tile_width, tile_height, tiles_left, tiles_top, samples, first = struct.unpack_from(
            ">8IHB", content, start + 8
        )
    except struct.error:
        raise DecodeError("pixel data with a JPEG 2000 codestream that is cut short") from None
    if not tile_width * tile_height:
        raise DecodeError("pixel data with a JPEG 2000 codestream of empty tiles")
    tiles = -(-(right - tiles_left) // tile_width) * -(-(bottom - tiles_top) // tile_height)
    if tiles > MAX_TILES:
        raise DecodeError(f"pixel data with a JPEG 2000 codestream of more than {MAX_TILES} tiles")
    codestream = Codestream(bottom - top, right - left, samples, (first & 0x7F) + 1, first >= 0x80)
    return codestream, _after_tiles(content, start + 2, tiles)


def _after_tiles(content: bytes, position: int, tiles: int) -> int:
    """Where the last tile-part of a JPEG 2000 codestream ends, or begins if it is not said how long it is.

    Decoders leave tiles black that are not there.
    """
    try:
        while content[position : position + 2] != START_OF_TILE:
            position += 2 + struct.unpack_from(">H", content, position + 2)[0]
        seen = set()
        while content[position : position + 2] == START_OF_TILE:
            tile, length = struct.unpack_from(">HI", content, position + 4)
            seen.add(tile)
            if length == 0:
                break
            position += max(length, 14)  # bytes of the segment itself, and of the marker that ends it
    except struct.error:
        raise DecodeError("pixel data cut short: their JPEG 2000 codestream ends too early") from None
    if len(seen) < tiles:
        raise DecodeError("pixel data with a JPEG 2000 codestream that lacks some of its tiles")
    return position

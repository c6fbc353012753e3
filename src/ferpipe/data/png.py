"""PNG files: checks that Pillow leaves out, and an encoder whose bytes depend on nothing else.

Chunks and their checksums: https://www.w3.org/TR/png-3/#5Chunk-layout
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type
# The passes of an interlaced PNG: first column, first row, column step, row step.
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
PIECE = 2**20  # bytes that are unpacked at a time
STORED = 65535  # most bytes of a stored block


def bits(data: bytes) -> int:
    """The bits per channel; ValueError if the header is not at the beginning."""
    if data[8:16] != b"\0\0\0\rIHDR":
        raise ValueError("its header is not at its beginning")
    return data[24]


def check(data: bytes) -> None:
    """Raise ValueError if the PNG is damaged, or if Pillow would fill it up with black."""
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    unpacked = zlib.decompressobj()
    missing = _unpacked_size(width, height, depth * CHANNELS[color], interlaced)
    offset, kind = 8, b""
    while kind != b"IEND":
        if len(data) < offset + 12:
            raise ValueError("no end")
        length, kind = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + 8 + length]
        checksum = data[offset + 8 + length : offset + 12 + length]
        if checksum != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError("a wrong checksum, or cut short")
        while kind == b"IDAT" and body and missing > 0:
            missing -= len(unpacked.decompress(body, PIECE))
            body = unpacked.unconsumed_tail
        offset += 12 + length
    if missing > 0:
        raise ValueError("too few pixels")


def _unpacked_size(width: int, height: int, bits: int, interlaced: int) -> int:
    """Uncompressed bytes of a PNG's rows; each row has one byte (its filter) before its pixels."""
    total = 0
    for left, top, column_step, row_step in ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // column_step), -(-(height - top) // row_step)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def encode(pixels: np.ndarray) -> bytes:
    """Encode uint8 (height, width) as gray or (height, width, 3) as RGB, with uncompressed data.

    Compressed bytes depend on the build of zlib, and so do the block boundaries at level 0. Stored
    blocks (RFC 1950, 1951) of the largest size have no such freedom.
    """
    height, width = pixels.shape[:2]
    filtered = np.zeros((height, 1 + pixels[0].size), np.uint8)  # filter 0 before each row
    filtered[:, 1:] = pixels.reshape(height, -1)
    rows = filtered.tobytes()
    blocks = b"".join(
        struct.pack("<BHH", start + STORED >= len(rows), len(block), len(block) ^ 0xFFFF) + block
        for start in range(0, len(rows), STORED)
        for block in (rows[start : start + STORED],)
    )
    data = b"\x78\x01" + blocks + struct.pack(">I", zlib.adler32(rows))
    color = 0 if pixels.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )

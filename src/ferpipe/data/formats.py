"""Image formats by the first bytes of a file, whatever its name."""

from __future__ import annotations

import re

HEAD = 128  # bytes that `detect` looks at
# Formats of Pillow that are opened, JPEG with its kin MPO: further pictures behind the first.
READ = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
# A file with such a name should be an image; all others are images if their first bytes say so.
SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
        *(".pbm", ".pgm", ".ppm", ".pnm", ".heic", ".heif", ".avif"),
    }
)
BMP_HEADERS = rb"(?:\x0c|\x28|\x34|\x38|\x40|\x6c|\x7c)\0\0\0"  # sizes of the second header
# Plain PNM (P1 to P3) is text, so that its name alone tells it from a table.
SIGNATURES = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "PNG": rb"\x89PNG\r\n\x1a\n",
        "JPEG": rb"\xff\xd8\xff",
        "GIF": rb"GIF8[79]a",
        "TIFF": rb"II[*+]\0|MM\0[*+]",
        "WEBP": rb"RIFF....WEBP",
        "BMP": rb"BM.{12}" + BMP_HEADERS,
        "PPM": rb"P[456](?:\s|#[^\n]*\n)+\d+\s+\d+\s",
        # Known, and refused by name.
        "AVIF": rb"....ftypavi[fs]",
        "HEIC": rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)",
        "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
        "JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    }.items()
}


def detect(head: bytes) -> str:
    """The image format that the first bytes of a file say, "" if none."""
    matches = (name for name, pattern in SIGNATURES.items() if pattern.match(head))
    return next(matches, "")

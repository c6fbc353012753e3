"""The files of a zip, none of which is extracted or read beyond its declared size."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ferpipe.core.errors import PipelineError
from ferpipe.sources.intake.files.encodings import decode_names
from ferpipe.sources.intake.files.entry import (
    LINK_OR_SPECIAL,
    Entry,
    Files,
    archive_files,
    naming_damage,
)

# Other methods are refused: bzip2 and xz unpack a kilobyte to gigabytes in one step.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED, UTF_8 = 0x1, 0x800  # flags of a member
UNICODE_PATH = 0x7075  # the extra field of Info-ZIP


def zip_files(source: Path, path: Path, name_encoding: str | None, stack: ExitStack) -> Files:
    """The files of a zip at `path`, which errors name `source`; `stack` closes it."""
    with naming_damage(f"{source} is not a valid zip"):
        zipped = stack.enter_context(zipfile.ZipFile(path))
    return archive_files(_members(source, zipped, name_encoding))


def _members(
    source: Path, zipped: zipfile.ZipFile, name_encoding: str | None
) -> Iterator[tuple[str, Entry | None]]:
    entries = [(entry, _known_name(entry)) for entry in zipped.infolist()]
    zipped.NameToInfo.clear()  # members are opened by their entries
    raw = [_raw(entry) for entry, known in entries if known is None]
    decoded = iter(decode_names(source, raw, name_encoding))
    for entry, known in entries:
        # .NET before 4.6.1 and PowerShell wrote backslashes.
        name = (next(decoded) if known is None else known).replace("\\", "/")
        if name.endswith("/"):
            yield name, None
        elif stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            yield name, Entry(0, None, LINK_OR_SPECIAL)
        else:
            yield name, Entry(entry.file_size, _Opener(source, zipped, entry, name))


def _known_name(entry: zipfile.ZipInfo) -> str | None:
    """The name of a member, None if its encoding is not known."""
    name = entry.orig_filename  # `filename` is cut at a NUL
    if entry.flag_bits & UTF_8 or name.isascii():
        return name
    extra = entry.extra
    while len(extra) >= 9:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == UNICODE_PATH:
            _, checksum = struct.unpack_from("<BI", extra, 4)
            # Otherwise another program has renamed the member since.
            if checksum == zlib.crc32(_raw(entry)):
                return extra[9 : 4 + length].decode("utf-8", errors="surrogateescape")
        extra = extra[4 + length :]
    return None


def _raw(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("cp437")  # as zipfile has decoded it


class _Opener(NamedTuple):
    """Opens a member of a zip; a `functools.partial` takes three times the memory."""

    source: Path
    zipped: zipfile.ZipFile
    entry: zipfile.ZipInfo
    name: str

    def __call__(self) -> io.BufferedIOBase:
        if self.entry.flag_bits & ENCRYPTED:
            raise PipelineError(f"{self.source}: {self.name} is encrypted")
        if self.entry.compress_type not in METHODS:
            raise PipelineError(
                f"{self.source}: {self.name} is compressed by method {self.entry.compress_type}; "
                "compress it with deflate, the default of zip programs"
            )
        return io.BufferedReader(_Member(*self))


class _Member(io.RawIOBase):
    """A member of a zip as a stream that raises PipelineError if it is damaged."""

    def __init__(
        self, source: Path, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str
    ) -> None:
        self._fault = f"{source} is not a valid zip: {name} cannot be read"
        self._missing = entry.file_size
        with naming_damage(self._fault):
            self._file = zipped.open(entry)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        with naming_damage(self._fault):
            # With a size, zipfile unpacks no more than the declared bytes; the last of them come
            # with the check of their CRC.
            data = self._file.read(len(buffer))
            self._missing -= len(data)
            if buffer and not data and self._missing:
                raise zipfile.BadZipFile(f"{self._missing} bytes less than its declared size")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()

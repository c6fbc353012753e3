"""The files of a tar. A compressed one is unpacked to a temporary file first, under the limits.

Its members can then be read in any order, in constant memory.
"""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from ferpipe.core.errors import PipelineError, one_line
from ferpipe.params.download import Limits
from ferpipe.sources.intake.files.encodings import decode_names
from ferpipe.sources.intake.files.entry import (
    EMPTY_FOLDER,
    LINK_OR_SPECIAL,
    MB,
    Entry,
    Files,
    check_limit,
)

# First bytes of a compressed file -> module with `open`.
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}
PIECE = 2**20
ESCAPED = "surrogateescape"
# lzma.LZMAError is an Exception of its own.
DAMAGED = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError)


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are the header of a tar, old or new."""
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", ESCAPED)
    except tarfile.HeaderError:
        return False
    return True


def decompress(source: Path, path: Path, limits: Limits, target: Path) -> None:
    """Unpack a gzip, bzip2 or xz file at `path` to `target`; errors name it `source`."""
    with path.open("rb") as file:
        head = file.read(6)
    (name,) = (name for start, name in COMPRESSED.items() if head.startswith(start))
    module = importlib.import_module(name)
    damaged = (*DAMAGED, getattr(module, "LZMAError", OSError))
    size, packed = 0, path.stat().st_size
    with target.open("wb") as out, module.open(path) as unpacked:
        while True:
            try:
                piece = unpacked.read(PIECE)
            except damaged as error:
                raise PipelineError(f"{source} is damaged: {one_line(error)}") from None
            if not piece:
                break
            size += len(piece)
            check_limit(source, limits, "total_mb", size / MB, " unpacks to too much")
            if size > 10 * PIECE:
                ratio = size / packed
                check_limit(source, limits, "ratio", ratio, " unpacks to too much for its size")
            out.write(piece)


def open_tar(source: Path, path: Path) -> tarfile.TarFile:
    """Open an uncompressed tar at `path`; errors name it `source`."""
    try:
        return tarfile.TarFile(path, encoding="utf-8")
    except DAMAGED as error:
        raise PipelineError(f"{source} is not a valid tar: {one_line(error)}") from None


def tar_files(
    source: Path, tar: tarfile.TarFile, limits: Limits, name_encoding: str | None
) -> Files:
    """The files of an uncompressed tar."""
    members = _members(source, tar, limits)
    raw = [member.name.encode("utf-8", ESCAPED) for member in members]
    folders, filled = [], set()
    for name, member in zip(decode_names(source, raw, name_encoding), members, strict=True):
        path = PurePosixPath(name)
        if member.isdir():
            folders.append(path)
            continue
        filled.update(path.parents)
        opened = functools.partial(_open_member, source, tar, member)
        plain = member.isreg() and not member.issparse()
        yield name, Entry(member.size, opened) if plain else Entry(0, None, LINK_OR_SPECIAL)
    for path in dict.fromkeys(folders):
        if path not in filled and path.parts:
            yield str(path), Entry(0, None, EMPTY_FOLDER)


def _members(source: Path, tar: tarfile.TarFile, limits: Limits) -> list[tarfile.TarInfo]:
    try:
        members = list(itertools.islice(tar, limits.files + 1))
        check_limit(source, limits, "files", len(members), " has too many files")
        # The standard library ends without a word at a damaged header.
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no end, or no header at byte {tar.offset}")
    except DAMAGED as error:
        raise PipelineError(f"{source} is not a valid tar: {one_line(error)}") from None
    return members


def _open_member(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedIOBase:
    try:
        return tar.extractfile(member)
    except DAMAGED as error:
        damage = f"{member.name} cannot be read: {one_line(error)}"
        raise PipelineError(f"{source} is not a valid tar: {damage}") from None

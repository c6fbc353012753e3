"""The files of a tar. A compressed one is unpacked to a temporary file first, under the limits.

Its members can then be read in any order, in constant memory.
"""

from __future__ import annotations

import functools
import importlib
import io
import itertools
import tarfile
from contextlib import ExitStack
from pathlib import Path

from ferpipe.params.download import Limits
from ferpipe.sources.intake.files.encodings import decode_names
from ferpipe.sources.intake.files.entry import (
    LINK_OR_SPECIAL,
    MB,
    Entry,
    Files,
    archive_files,
    check_limit,
    naming_damage,
)

# First bytes of a compressed file -> module with `open`.
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma"}
PIECE = 2**20
ESCAPED = "surrogateescape"


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are the header of a tar, old or new."""
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", ESCAPED)
    except tarfile.HeaderError:
        return False
    return True


def decompress(source: Path, path: Path, name: str, limits: Limits, target: Path) -> None:
    """Unpack a file at `path`, compressed by the module `name` of COMPRESSED, to `target`."""
    module, fault = importlib.import_module(name), " unpacks to too much"
    error = getattr(module, "LZMAError", OSError)  # an Exception of its own
    with target.open("wb") as out, module.open(path) as unpacked:
        while True:
            with naming_damage(f"{source} is damaged", error):
                piece = unpacked.read(PIECE)
            if not piece:
                break
            size = out.tell() + len(piece)
            check_limit(source, limits, "total_mb", size / MB, fault)
            if size > 10 * PIECE:
                ratio = size / path.stat().st_size
                check_limit(source, limits, "ratio", ratio, f"{fault} for its size")
            out.write(piece)


def tar_files(
    source: Path, path: Path, limits: Limits, name_encoding: str | None, stack: ExitStack
) -> Files:
    """The files of an uncompressed tar at `path`, which errors name `source`; `stack` closes it."""
    with naming_damage(f"{source} is not a valid tar"):
        tar = stack.enter_context(tarfile.TarFile(path, encoding="utf-8"))
        members = list(itertools.islice(tar, limits.files + 1))
        check_limit(source, limits, "files", len(members), " has too many files")
        # The standard library ends without a word at a damaged header.
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no end, or no header at byte {tar.offset}")
    raw = [member.name.encode("utf-8", ESCAPED) for member in members]
    names = decode_names(source, raw, name_encoding)
    entries = [_entry(source, tar, member) for member in members]
    return archive_files(zip(names, entries, strict=True))


def _entry(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry | None:
    if member.isdir():
        return None
    if not member.isreg() or member.issparse():
        return Entry(0, None, LINK_OR_SPECIAL)
    return Entry(member.size, functools.partial(_open_member, source, tar, member))


def _open_member(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedIOBase:
    with naming_damage(f"{source} is not a valid tar: {member.name} cannot be read"):
        return tar.extractfile(member)

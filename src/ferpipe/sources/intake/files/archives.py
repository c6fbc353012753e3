"""What kind of file a source is, by its content, and the files in it."""

from __future__ import annotations

import functools
import zipfile
from contextlib import ExitStack
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.data import formats
from ferpipe.data.archive import DAMAGED
from ferpipe.params.download import Limits
from ferpipe.sources.intake.files import tars
from ferpipe.sources.intake.files.entry import Entry, Files
from ferpipe.sources.intake.files.zips import zip_files

HEAD = 4096  # bytes that tell the kind
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NOT_READ = {b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive"}


def files_in(
    source: Path, path: Path, limits: Limits, name_encoding: str | None, stack: ExitStack
) -> Files:
    """The files of a zip or tar, or a text file as the only file.

    Args:
        source: its name in error messages.
        path: where it lies.
        limits: see params.yaml.
        name_encoding: encoding of file names in an archive that does not say it.
        stack: closes what is open.
    """
    head = _head(path)
    if any(head.startswith(start) for start in tars.COMPRESSED):
        folder = stack.enter_context(files.scratch(paths.CACHE / "unpacked"))
        packed, path = path, folder / path.stem
        tars.decompress(source, packed, limits, path)
        head = _head(path)
    # A tar may end with a zip, so that it would be taken for one.
    if tars.is_tar(head):
        tar = stack.enter_context(tars.open_tar(source, path))
        return tars.tar_files(source, tar, limits, name_encoding)
    is_text = bool(head) and (b"\0" not in head or head.startswith(UTF_16))
    if head.startswith(b"PK") or (not is_text and zipfile.is_zipfile(path)):
        try:
            zipped = stack.enter_context(zipfile.ZipFile(path))
        except DAMAGED as error:
            raise PipelineError(f"{source} is not a valid zip: {one_line(error)}") from None
        return zip_files(source, zipped, name_encoding)
    image = formats.detect(head)
    if is_text and not image:
        return iter([(path.name, Entry(path.stat().st_size, functools.partial(path.open, "rb")))])
    known = [kind for start, kind in NOT_READ.items() if head.startswith(start)]
    kind = known[0] if known else f"a {image} image" if image else "of no kind that is read"
    raise PipelineError(f"{source} is {kind}; it should be a folder, a zip, a tar or a CSV")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)

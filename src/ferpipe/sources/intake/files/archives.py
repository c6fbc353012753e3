"""What kind of file a source is, by its content, and the files in it."""

from __future__ import annotations

import functools
import zipfile
from contextlib import ExitStack
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import formats
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
    """The files of a zip or tar at `path`, or a text file as the only file.

    Errors name it `source`; `stack` closes what is open.
    """
    head = _head(path)
    for start, module in tars.COMPRESSED.items():
        if head.startswith(start):
            folder = stack.enter_context(files.scratch(paths.CACHE / "unpacked"))
            tars.decompress(source, path, module, limits, folder / path.stem)
            path = folder / path.stem
            head = _head(path)
            break
    # A tar may end with a zip, so that it would be taken for one.
    if tars.is_tar(head):
        return tars.tar_files(source, path, limits, name_encoding, stack)
    is_text = bool(head) and (b"\0" not in head or head.startswith(UTF_16))
    if head.startswith(b"PK") or (not is_text and zipfile.is_zipfile(path)):
        return zip_files(source, path, name_encoding, stack)
    image = formats.detect(head)
    if is_text and not image and path.suffix.lower() not in (".zip", ".tar", ".tgz"):
        return iter([(path.name, Entry(path.stat().st_size, functools.partial(path.open, "rb")))])
    known = [kind for start, kind in NOT_READ.items() if head.startswith(start)]
    if not head:
        raise PipelineError(f"{source} is empty; fetch it again")
    kind = f"a {image} image" if image else (known or ["of no kind that is read"])[0]
    raise PipelineError(f"{source} is {kind}; it should be a folder, a zip, a tar or a CSV")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)

"""Tiny images of noise, as files, folders and zips."""

import functools
import io
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
from PIL import Image

from ferpipe.core import paths
from ferpipe.core.tables import write_table
from ferpipe.data import thumbnails
from ferpipe.params.download import Convert, Layout
from ferpipe.params.reader import read_yaml
from ferpipe.sources.intake import repacking
from ferpipe.sources.intake.files.listing import Entry

BASE = read_yaml(Path(__file__).parent.parent / "presets/base.yaml")["download"]
LIMITS = SimpleNamespace(files=10**6, file_mb=10, total_mb=100, ratio=1000)

CLASSES = ("anger", "happy", "sadness")
# CK+ style names: subject, sequence, frame. Each of 30 subjects shows each class in 3 frames.
PATHS = [
    f"{label}/S{subject:03}_{sequence:03}_{frame:08}.png"
    for sequence, label in enumerate(CLASSES, start=1)
    for subject in range(1, 31)
    for frame in (10, 11, 12)
]


def noise(seed=0, width=12, height=10, mode="L"):
    """A Pillow image of noise."""
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def encoded(image, form="PNG", **options):
    """The bytes of an image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(seed=0, **shape):
    """The bytes of a PNG of noise."""
    return encoded(noise(seed, **shape))


def png_chunk(name, data):
    """A chunk of a PNG with its checksum."""
    crc = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + crc


def png_by_hand(width, height, depth, colour_type, rows, before=b"", after=b"", interlaced=0):
    """The bytes of a PNG with any header and rows, which Pillow would not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlaced)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = png_chunk(b"IHDR", header) + after
    chunks += png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + before + chunks


def dataset(per_class=2, classes=("angry", "happy"), **shape):
    """Different PNGs by their paths `<label>/<file>`."""
    return {
        f"{label}/{number:02}.png": png(seed=100 * position + number, **shape)
        for position, label in enumerate(classes)
        for number in range(per_class)
    }


def write_folder(folder, tree):
    """Write `{path: bytes}` as files; returns the folder."""
    for path, data in tree.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def write_zip(path, tree, compression=zipfile.ZIP_DEFLATED, date=(2019, 5, 4, 3, 2, 0)):
    """Write `{path: bytes}` as a zip, members in the order given; returns the path."""
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in tree.items():
            zipped.writestr(zipfile.ZipInfo(name, date_time=date), data, compression)
    return path


def listed(*paths, skip=(), data=None):
    """A source as it is listed; files contain `data` or their own path, `skip` are no images."""
    tree = {}
    for path in (*paths, *skip):
        content = path.encode() if data is None else data
        reason = "not an image file" if path in skip else ""
        tree[PurePosixPath(path)] = Entry(
            len(content), functools.partial(io.BytesIO, content), reason
        )
    return tree


def write_tar(path, tree, compression=""):
    """Write `{path: bytes}` as a tar, members in the order given; returns the path.

    Args:
        compression: "gz", "bz2", "xz" or none.
    """
    with tarfile.open(path, f"w:{compression}") as tar:
        for name, data in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def layout(**keys):
    """The section `download.layout` as in presets/base.yaml, with some keys changed."""
    return Layout(**{**BASE["layout"], **keys})


def repack(source, target, root=None, max_bad_fraction=0.0, limits=LIMITS, **keys):
    """Repack with these keys of the section `download`; others are of `convert` or `layout`."""
    keys = {"conflicts": "error", **BASE["convert"], **BASE["layout"], **keys}
    convert = {name: keys.pop(name) for name in BASE["convert"]}
    keys = SimpleNamespace(
        root=root,
        max_bad_fraction=max_bad_fraction,
        limits=limits,
        conflicts=keys.pop("conflicts"),
        convert=Convert(**convert),
        layout=layout(**keys),
    )
    return repacking.repack(source, target, keys, workers=2)


def write_raw(source, part_of=lambda path: ""):
    """Write data/raw/ from a source, as `download` does; `part_of` gives each official part."""
    contents = repack(source, paths.IMAGES)
    index = contents.images
    write_table(paths.INDEX, index.assign(part=index["path"].map(part_of)))
    thumbnails.write(paths.THUMBNAILS, contents.thumbnails)

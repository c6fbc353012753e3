"""Names in zips and tars that do not say their encoding."""

import io
import struct
import tarfile
import zipfile
import zlib

import pytest
from faces import png, repack, write_zip

from ferpipe.data.archive import read_images

CHINESE = ("高兴", "生气")
JAPANESE = ("幸せ", "怒り", "表情")  # 表 has a backslash as its second byte in Shift JIS
GERMAN = ("fröhlich", "wütend")


def tree(classes, between="/", folder="faces"):
    """Two images of each class, by their paths."""
    return {
        between.join((folder, label, f"{number}.png")): png(2 * position + number)
        for position, label in enumerate(classes)
        for number in range(2)
    }


def zip_of(names, flags=0, extra=None):
    """A zip whose names are the bytes given, without a word of their encoding."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for number, (name, data) in enumerate(names.items()):
            entry = zipfile.ZipInfo(f"{number:04}".ljust(len(name), "_"))
            entry.extra = extra(name) if extra else b""
            zipped.writestr(entry, data)
    data = file.getvalue()
    for number, name in enumerate(names):
        data = data.replace(f"{number:04}".ljust(len(name), "_").encode(), name)
    return data


def tar_of(names):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in names.items():
            member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def encoded_names(classes, encoding, **options):
    return {path.encode(encoding): data for path, data in tree(classes, **options).items()}


def expected(classes):
    return {path.removeprefix("faces/"): data for path, data in tree(classes).items()}


@pytest.fixture
def source(here):
    """Write bytes as a source."""

    def write(data):
        (here / "source").write_bytes(data)
        return here / "source"

    return write


@pytest.mark.parametrize("archive_of", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("classes", "encoding", "shown"),
    [
        (CHINESE, "gbk", "gbk: 高兴, 生气; "),
        (("快樂", "生氣"), "big5", "; big5: 快樂, 生氣; "),
        (JAPANESE, "shift_jis", "shift_jis: 幸せ, 怒り; "),
        (("행복", "분노"), "euc-kr", "; euc-kr: 행복, 분노; "),
        (GERMAN, "cp1252", "; cp1252: fröhlich, wütend; "),
        (GERMAN, "cp437", "; cp437: fröhlich, wütend"),
    ],
)
def test_names_in_an_unknown_encoding_need_the_key(
    here, source, refused, archive_of, classes, encoding, shown
):
    path = source(archive_of(encoded_names(classes, encoding)))
    message = refused(path)
    assert "does not say how its file names are encoded; set download.layout.name_enc" in message
    assert shown in f"{message}; "
    repack(path, here / "images.zip", name_encoding=encoding)
    assert dict(read_images(here / "images.zip")) == expected(classes)


@pytest.mark.parametrize("archive_of", [zip_of, tar_of])
@pytest.mark.parametrize("classes", [CHINESE, GERMAN])
def test_utf_8_needs_no_flag(here, source, archive_of, classes):
    repack(source(archive_of(encoded_names(classes, "utf-8"))), here / "images.zip")
    assert dict(read_images(here / "images.zip")) == expected(classes)


@pytest.mark.parametrize("encoding", [None, "gbk"])
def test_names_with_the_flag_do_not_need_the_key(here, encoding):
    path = write_zip(here / "source.zip", tree(CHINESE))
    repack(path, here / "images.zip", name_encoding=encoding)
    assert dict(read_images(here / "images.zip")) == expected(CHINESE)


def info_zip(name):
    """The extra field of Info-ZIP with the name in UTF-8, and one of another kind before it."""
    text = name.decode("gbk").encode()
    body = struct.pack("<BI", 1, zlib.crc32(name)) + text
    return struct.pack("<HHI", 0x5455, 4, 0) + struct.pack("<HH", 0x7075, len(body)) + body


def test_the_extra_field_of_info_zip_has_the_name(here, source, refused):
    names = encoded_names(CHINESE, "gbk")
    repack(source(zip_of(names, extra=info_zip)), here / "images.zip")
    assert dict(read_images(here / "images.zip")) == expected(CHINESE)
    stale = zip_of(names, extra=lambda name: info_zip(name.replace(b"faces", b"FACES")))
    assert "does not say how" in refused(source(stale))


def test_a_wrong_encoding_is_an_error_that_shows_others(source, refused):
    path = source(zip_of(encoded_names(CHINESE, "gbk")))
    message = refused(path, name_encoding="ascii")
    assert " is not in download.layout.name_encoding = 'ascii'; gbk: 高兴, 生气; " in message


@pytest.mark.parametrize(
    ("classes", "encoding"), [(("angry", "happy"), None), (JAPANESE, "shift_jis")]
)
def test_backslashes_in_a_zip_are_separators(here, source, classes, encoding):
    names = encoded_names(classes, encoding or "ascii", between="\\")
    names[b"faces\\empty\\"] = b""
    contents = repack(source(zip_of(names)), here / "images.zip", name_encoding=encoding)
    assert dict(read_images(here / "images.zip")) == expected(classes)
    assert contents.skipped == [("faces/empty", "an empty folder")]

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from faces import LIMITS, write_zip
from PIL import Image

from ferpipe.sources.intake.labels import codes, rows

SIDE = 8
USAGES = ("Training", "PublicTest", "PrivateTest")
FACES = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE), dtype=np.uint8)


def cell(pixels, between=" "):
    return between.join(map(str, pixels.ravel().tolist()))


def csv_of(template="{code},{pixels},{usage}", header="emotion,pixels,Usage", end="\n", **options):
    """A CSV of the faces, two of each code and usage, with lines as in the template."""
    lines = [header] if header else []
    for number, face in enumerate(FACES):
        facts = {"code": number % 2, "usage": USAGES[number // 2], "number": number}
        lines.append(template.format(pixels=cell(face, **options), **facts))
    return (end.join(lines) + end).encode()


@pytest.fixture
def read(found_by):
    """The images of a source, decoded, by label, name and part; and all that was found."""

    def found(tree, *args, **keys):
        result = found_by(rows, tree, *args, **keys)
        return result, {
            (member.label, member.name, member.part): np.asarray(
                Image.open(io.BytesIO(member.read()))
            )
            for member in reversed(result.members)
        }

    return found


def expected(parts=("train", "val", "test")):
    return {
        (str(number % 2), f"row-{number + 1:05}.png", parts[number // 2] if parts else ""): face
        for number, face in enumerate(FACES)
    }


def same(images, others):
    assert sorted(images) == sorted(others)
    assert all((images[key] == others[key]).all() for key in images)


@pytest.mark.parametrize(
    "data",
    [
        csv_of(),
        csv_of("{code},{usage},{pixels}", "emotion, Usage, pixels"),  # as icml_face_data.csv
        csv_of('"{code}","{pixels}","{usage}"', end="\r\n"),
        csv_of("{code}, {pixels} , {usage}"),
        csv_of("{code};{pixels};{usage}", "emotion;pixels;usage"),
        csv_of("{code}\t{pixels}\t{usage}", "Emotion\tPixels\tUsage"),
        csv_of("{usage},[{pixels}],{code}.0", "split,pixels,label"),
        csv_of('{number},{code},"{pixels}",{usage}', ",emotion,pixels,Usage", between=","),
        csv_of("{code},{pixels},{usage}", header=""),
        b"\xef\xbb\xbf" + csv_of(),
        csv_of().decode().encode("utf-16"),
        csv_of().decode().encode("utf-16-le"),
        csv_of().replace(b"\n", b"\n\n"),
    ],
    ids=[
        *("fer2013", "icml", "quoted, CRLF", "blanks", "semicolons", "tabs", "floats in brackets"),
        *("numbered, commas", "no header", "BOM", "UTF-16", "UTF-16 without mark", "blank lines"),
    ],
)
def test_every_row_is_an_image_of_its_code_and_official_part(read, data):
    result, images = read({"fer.csv": data})
    same(images, expected())
    assert result.skipped == []


@pytest.mark.parametrize("suffix", ["pixels,emotion", "emotion,pixels"])
def test_without_a_column_of_parts_there_are_none(read, suffix):
    order = suffix.replace("emotion", "{code}").replace("pixels", "{pixels}")
    _, images = read({"train.csv": csv_of(order, suffix)})
    same(images, expected(parts=()))


def test_a_zip_gives_the_same_images_and_other_files_are_skipped(read):
    tree = {"data/fer2013.csv": csv_of(), "readme.txt": b"hello", "happy/1.png": b"?"}
    result, images = read(tree, write_zip)
    same(images, expected())
    assert sorted(result.skipped) == [
        ("happy/1.png", "not in fer2013.csv"),
        ("readme.txt", "not an image file"),
    ]


def test_the_pngs_have_the_same_bytes_every_time(here, found_by):
    first, again = (found_by(rows, {"fer.csv": csv_of()}).members for _ in range(2))
    assert [member.read() for member in first] == [member.read() for member in again]
    assert first[0].read() == first[0].read()
    assert list((here / ".ferpipe").iterdir()) == []


@pytest.mark.parametrize(
    ("header", "numbers", "named"),
    [
        ("emotion,pixels", (0, 6), True),
        ("emotion,pixels", (0, 7), True),
        ("emotion,pixels", (0, 8), False),
        ("emotion,pixels", ("joy", "fear"), False),
        ("label,pixels", (0, 1), False),
        ("", (0, 1), False),
    ],
)
def test_the_names_of_the_codes_are_known_for_fer2013s_columns(read, header, numbers, named):
    lines = [header, *(f"{code},{cell(FACES[0])}" for code in numbers)]
    result, _ = read({"a.csv": "\n".join(lines).encode()})
    assert result.codes == (codes.FER2013.names if named else {})
    assert {member.label for member in result.members} == set(map(str, numbers))


def test_columns_and_file_by_params(read):
    """Also columns with numbers for names, and further names of parts."""
    data = csv_of("{number},{usage},{code},{pixels}", header="").replace(b"Training", b"fold1")
    keys = {"columns": {"label": 2, "part": 1}, "parts": {"fold1": "train"}}
    _, images = read({"a.csv": csv_of(), "b.data": data}, file="b.data", **keys)
    same(images, expected())
    tree = {"a.csv": csv_of("{number},{code},{pixels}", "index,feeling,image"), "b.data": b""}
    _, images = read(tree, columns={"label": "feeling", "pixels": "image"})
    same(images, expected(parts=()))


FACE = cell(FACES[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1 2 3 4\n1,1 2 3\n", "a.csv, row 2: 3 pixels are no square; rows should be gray"),
        ("0,1 2 3 4\n\n1,1 2 3 256\n", "a.csv, row 2: the pixel 256 is more than 255"),
        (f"0,{FACE} 99999999999999999999\n", "a.csv, row 1: the pixel "),
        ("0,1 2 -3 4\n", "a.csv, row 1: the pixel '-3' is no integer from 0 to 255"),
        ("0,1 2 0.5 4\n", "a.csv, row 1: the pixel '0.5' is no integer from 0 to 255"),
        ("0,1 2 \uff13 4\n", "a.csv, row 1: the pixel '\uff13' is no integer from 0 to 255"),
        ("0,1 2 nan 4\n", "a.csv, row 1: the pixel 'nan' is no integer from 0 to 255"),
        ("0,\n", "a.csv, row 1: 0 pixels are no square"),
        (",1 2 3 4\n", "a.csv, row 1: it has no label"),
        ("0,1 2 3 4\n0\n", "a.csv, row 2: 1 values for 2 columns"),
        ('0,"1 2 3 4\n', "a.csv is not CSV: unexpected end of data"),
        ("0,1 2 3\0 4\n", "a.csv is not CSV: it contains the character NUL"),
    ],
)
def test_a_row_that_is_no_image_is_an_error_that_names_it(fault_of, text, message):
    assert message in fault_of(rows, {"a.csv": f"emotion,pixels\n{text}"}, file="a.csv")


@pytest.mark.parametrize(
    ("tree", "keys", "message"),
    [
        ({"a.csv": b"path,label\n1.png,2\n"}, {}, "has no CSV with a column of pixels"),
        ({"a.csv": b""}, {}, "has no CSV with a column of pixels"),
        ({"a.csv": b"emotion,pixels"}, {}, "a.csv has no rows"),
        ({"a.csv": b"pixels\n1 2 3 4\n"}, {}, "a.csv: no column is known to be the label; set "),
        (
            {"a.csv": csv_of(), "b/c.csv": csv_of()},
            {},
            "has several CSVs of pixels: a.csv, b/c.csv; set download.layout.file to one of them",
        ),
        ({"a.csv": csv_of().replace(b"PublicTest", b"later")}, {}, "a.csv: later is no official"),
        (
            {"a.csv": "emotion,pixels\n\xe9,1\n".encode("latin-1")},
            {"file": "a.csv"},
            "a.csv is not in UTF-8; save it as UTF-8",
        ),
    ],
)
def test_a_source_without_one_csv_of_pixels_is_an_error(fault_of, tree, keys, message):
    assert message in fault_of(rows, tree, **keys)


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013"])
@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"ratio": 100}, "more than download.limits.ratio = 100"),
        ({"total_mb": 1}, "more than download.limits.total_mb = 1"),
    ],
)
def test_a_csv_in_a_zip_is_not_unpacked_beyond_the_limits(fault_of, name, limits, message):
    tree = {name: b"emotion,pixels\n0," + b"0 " * 10**6}
    limits = SimpleNamespace(**{**vars(LIMITS), **limits})
    fault = fault_of(rows, tree, write_zip, limits, file=name)
    assert fault.endswith(f"{message}; raise it if the source is as intended")
    assert f"{name} unpacks to {len(tree[name])} bytes" in fault


def test_a_csv_without_labels_beside_one_with_them_is_no_question(read):
    """The competition's test.csv has pixels only."""
    tree = {
        "test.csv": b"pixels\n" + FACE.encode(),
        "train.csv": csv_of("{code},{pixels}", "emotion,pixels"),
    }
    result, images = read(tree)
    same(images, expected(parts=()))
    assert result.skipped == [("test.csv", "not an image file")]


PEAK = """
import functools, re, types
from pathlib import Path, PurePosixPath
from ferpipe.sources.intake.labels import codes, rows
from ferpipe.sources.intake.files.listing import Entry

layout = types.SimpleNamespace(file=None, columns={}, parts={})
entry = Entry(1, functools.partial(Path("a.csv").open, "rb"))
found = rows.members({PurePosixPath("a.csv"): entry}, layout, Path("a.csv"))
status = Path("/proc/self/status").read_text()
print(len(found.members), re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory in /proc")
def test_memory_does_not_grow_with_the_csv(here, run_python):
    """Of 160 rows more, the text has 80 MB and the pixels 20 MB."""
    row = "0," + " ".join(["200"] * 360**2)
    peaks = []
    for count in (40, 200):
        (here / "a.csv").write_text("\n".join(["emotion,pixels", *[row] * count]))
        done = run_python("-c", PEAK)
        assert done.stderr == ""
        rows_read, peak = map(int, done.stdout.split())
        assert rows_read == count
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 8_000

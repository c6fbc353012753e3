"""The command `ferpipe predict`."""

import json
import os
import re
import shutil
import sys
from fractions import Fraction

import numpy as np
import pytest
from faces import noise, png, write_folder
from image_files import ACCEPTED, CONVERTED, DEEP, NEVER, REFUSED
from networks import bars, published
from PIL import Image

from ferpipe.prediction import videos
from ferpipe.tools import cli

av = pytest.importorskip("av")
CROPPED = ("predict", "--cropped")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return published(tmp_path_factory.mktemp("model"), ["anger", "joy"])


@pytest.fixture
def predict(tmp_path, monkeypatch, capsys, model_file):
    """Run the command beside a folder of pictures; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in ("models", "empty"):
        (tmp_path / name).mkdir()
    shutil.copy(model_file, tmp_path / "models")
    write_folder(tmp_path / "photos", {"a/1.png": png(1), "b/1.png": png(2), "b/2.png": png(3)})

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["ferpipe", *arguments])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_a_table_is_printed_and_the_caution_once(predict):
    status, out, err = predict(*CROPPED, "photos")
    assert status == 0
    header, _, *rows = out.splitlines()
    assert header.split() == ["picture", "face", "expression", "probabilities"]
    assert [row.split()[0] for row in rows] == [
        "photos/a/1.png",
        "photos/b/1.png",
        "photos/b/2.png",
    ]
    assert (
        err.splitlines()[-2]
        == "model: Trained on drawn faces: 98.4% of 189 test images correct. Not for photographs."
    )
    assert err.count("Caution: Do not read its output as what a person feels") == 1


def test_tables_and_pictures_are_written_the_same_every_time(predict, tmp_path, files_under):
    options = ("--csv", "out/1.csv", "--json", "out/1.json", "--annotate", "out", "--explain")
    contents = []
    for _ in range(2):
        assert predict(*CROPPED, "photos", *options)[0] == 0
        names = files_under(tmp_path / "out")
        contents.append({name: (tmp_path / "out" / name).read_bytes() for name in names})
        shutil.rmtree(tmp_path / "out")
    assert contents[0] == contents[1]
    faces = ["1-2-face1.png", "1-2.png", "1-face1.png", "1.csv", "1.json", "1.png"]
    assert sorted(contents[0]) == [*faces, "2-face1.png", "2.png"]
    rows = json.loads(contents[0]["1.json"])
    assert [row["path"] for row in rows] == ["photos/a/1.png", "photos/b/1.png", "photos/b/2.png"]
    assert all(row["p_anger"] + row["p_joy"] == pytest.approx(1, abs=1e-5) for row in rows)


def test_a_picture_without_a_face_is_no_error(predict, tmp_path):
    Image.fromarray(np.full((80, 100), 90, np.uint8)).save(tmp_path / "wall.png")
    status, out, _ = predict("predict", "wall.png", "--csv", "out.csv")
    assert status == 0
    assert out.splitlines()[-1].split("  ")[-1].strip() == "no face found"
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "wall.png,,,0,,,,,,,,,"


def test_a_picture_that_cannot_be_used_is_named_and_the_others_are_done(predict, tmp_path):
    (tmp_path / "photos/b/2.png").write_bytes(b"no image")
    status, out, err = predict(*CROPPED, "photos", "nosuch.jpg", "--csv", "out.csv")
    assert status == 1
    assert "ferpipe: photos/b/2.png cannot be used: not an image" in err
    assert "ferpipe: nosuch.jpg cannot be read: No such file or directory" in err
    assert err.splitlines()[-1] == (
        "ferpipe: error: 2 of 4 files could not be used or read to the end, see above"
    )
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3
    assert len(out.splitlines()) == 4


def test_a_face_unlike_the_training_images_is_marked(predict, tmp_path):
    published(tmp_path / "models", ["anger", "joy", "sadness"], familiar=bars(60, 1, side=24))
    Image.fromarray(bars(1, 1, side=24).images[0, ..., 0]).save(tmp_path / "bar.png")
    clip(tmp_path / "clip.mp4", 5)
    status, out, _ = predict(*CROPPED, "photos", "bar.png", "clip.mp4", "--csv", "o.csv")
    assert status == 0
    lines = out.splitlines()[2:]
    assert [", unlike training" in line for line in lines] == [True, True, True, False, False]
    assert lines[-1].endswith("; 5 unlike training")
    header, *rows = (line.split(",") for line in (tmp_path / "o.csv").read_text().splitlines())
    assert header[9:11] == ["label", "distance"]
    assert [float(row[10]) > 1 for row in rows] == [True] * 3 + [False] + [True] * 5


BAD = ("cannot be decoded", "not an image", "empty", "px, more than", "is not read")
FILES = {**ACCEPTED, **CONVERTED, **REFUSED, **{name: (data, DEEP) for name, data in NEVER.items()}}


def test_every_kind_of_image_file_is_predicted_or_named_with_the_reason(predict, tmp_path):
    names = {f"{number:03}.jpg": name for number, name in enumerate(FILES)}
    write_folder(tmp_path / "all", {file: FILES[name][0] for file, name in names.items()})
    status, _, err = predict(*CROPPED, "all", "--csv", "o.csv")
    named = dict(re.findall(r"^ferpipe: all/(\S+) cannot be used: (.*)$", err, re.M))
    done = [row.split(",")[0] for row in (tmp_path / "o.csv").read_text().splitlines()[1:]]
    assert sorted([*named, *(path.removeprefix("all/") for path in done)]) == list(names)
    refused = {name for name in REFUSED if any(why in REFUSED[name][1] for why in BAD)}
    never = {*NEVER, "16 bits of colour PPM", "floats", "32-bit integers"}
    assert {names[file] for file in named} == refused | never
    for file, reason in named.items():
        why = FILES[names[file]][1]
        assert reason.startswith(why.removesuffix(", and not plain"))
    # Each has its line, then the written file, model, caution and the count.
    assert (status, len(err.splitlines())) == (1, len(named) + 4)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such names")
def test_odd_files_and_names_are_done_or_named_in_a_line(predict, tmp_path, files_under):
    odd = {
        "two\nlines": png(1),
        os.fsdecode(b"n\xff"): png(2),
        "y" * 240: png(3),
        "é\x1b[1m": png(4),
    }
    write_folder(tmp_path / "odd", {f"{name}.png": data for name, data in odd.items()})
    os.mkfifo(tmp_path / "odd/pipe.jpg")
    (tmp_path / "odd/gone.jpg").symlink_to("nowhere")
    options = ("--csv", "o.csv", "--json", "o.json", "--annotate", "o", "--explain")
    status, out, err = predict(*CROPPED, "odd", "nosuch*", "photos/a/1.png", *options)
    paths = ["n\\udcff", "two\\nlines", "y" * 240, "é\\x1b[1m"]
    shown = [*(f"odd/{name}.png" for name in paths), "photos/a/1.png"]
    assert [row.split("  ")[0].strip() for row in out.splitlines()[2:]] == shown
    rows = json.loads((tmp_path / "o.json").read_text("utf-8"))
    assert [row["path"] for row in rows] == shown
    assert len(files_under(tmp_path / "o")) == 10
    assert (status, err.splitlines()[:3]) == (
        1,
        [
            "ferpipe: no file matches nosuch*",
            "ferpipe: odd/gone.jpg cannot be read: No such file or directory",
            "ferpipe: odd/pipe.jpg cannot be read: it is a pipe or device; save it as a file",
        ],
    )


def test_an_annotated_copy_replaces_no_picture(predict, tmp_path, files_under):
    before = (tmp_path / "photos/b/1.png").read_bytes()
    arguments = ("photos/b/1.png", "photos/b/1.png", "--annotate", "photos/../photos/b")
    assert predict(*CROPPED, *arguments)[0] == 0
    assert files_under(tmp_path / "photos/b") == ["1-2.png", "1-3.png", "1.png", "2.png"]
    assert (tmp_path / "photos/b/1.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "status", "fault"),
    [
        (("nosuch/*.png",), 1, "ferpipe: error: no file matches nosuch/*.png"),
        (("photos", "--model", "nosuch.keras"), 1, "nosuch.keras is missing; run `dvc repro`"),
        (("photos", "--threshold", "2"), 2, "argument --threshold: 2 is not from 0 to 1"),
        (("photos", "--min-size", "0"), 2, "argument --min-size: 0 is not above 0"),
        (("photos", "--min-size", "big"), 2, "argument --min-size: invalid positive value: 'big'"),
        (("photos", "--explain"), 1, "--explain needs --annotate FOLDER"),
        (("photos", "--annotate", "models/model.keras"), 1, "models/model.keras is a file: give "),
        (("photos", "--annotate", "models/model.keras/o"), 1, "model.keras is not a folder"),
        (("photos", "--csv", "models/model.keras"), 1, "--csv models/model.keras is read: give "),
        (("photos", "--json", "photos/./a/1.png"), 1, "--json photos/a/1.png is read: give the "),
        (("photos", "--csv", "photos"), 1, "--csv photos is a folder: give the name of a file"),
        (("photos", "--json", "photos/a/1.png/o"), 1, "photos/a/1.png is not a folder"),
        (("photos", "--csv", "o", "--json", "a/../o"), 1, "--csv and --json are both o: give "),
        (("photos", "--json", "-"), 1, "--json -: give the name of a file"),
        (("photos", "--csv", "/dev/null"), 1, "--csv /dev/null is a pipe or device: give the "),
        (("empty", "*.gif"), 1, "empty has no images and no videos; no file matches *.gif"),
        ((), 2, "the following arguments are required: PATH"),
    ],
)
def test_wrong_arguments_are_one_line(predict, arguments, status, fault):
    found, _, err = predict(*CROPPED, *arguments)
    assert (found, fault in err.splitlines()[-1]) == (status, True), err


def clip(path, count):
    """Write a video of noise, ten frames a second."""
    with videos.written(path, Fraction(10)) as add:
        for number in range(count):
            add(noise(number, 48, 48, "RGB"))


def test_every_frame_of_a_video_is_predicted_and_annotated(predict, tmp_path, files_under):
    clip(tmp_path / "clip.mp4", 40)
    status, out, _ = predict(
        *CROPPED, "clip.mp4", "--every", "2", "--csv", "o.csv", "--annotate", "o"
    )
    assert status == 0
    assert out.splitlines()[-1].split("  ")[0] == "clip.mp4" and "20 frames" in out
    rows = [row.split(",") for row in (tmp_path / "o.csv").read_text().splitlines()[1:]]
    assert [row[1:4] for row in rows] == [[str(2 * n), str(n / 5), "1"] for n in range(20)]
    assert files_under(tmp_path / "o") == ["clip-timeline.png", "clip.mp4"]
    with videos.opened(tmp_path / "o/clip.mp4") as (rate, count, frames):
        assert (rate, count, len(list(frames()))) == (5, 20, 20)


def test_a_video_that_breaks_off_gives_its_frames_and_exit_code_1(predict, tmp_path):
    clip(tmp_path / "whole.mp4", 100)
    with av.open("whole.mp4") as old, av.open("cut.mkv", "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    path = tmp_path / "cut.mkv"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    status, _, err = predict(*CROPPED, "cut.mkv", "photos", "--csv", "o.csv", "--annotate", "o")
    assert status == 1
    assert "ferpipe: cut.mkv breaks off after" in err
    rows = (tmp_path / "o.csv").read_text().splitlines()[1:]
    assert 10 < sum(row.startswith("cut.mkv,") for row in rows) < 100
    assert sum(row.startswith("photos/") for row in rows) == 3
    with videos.opened(tmp_path / "o/cut.mp4") as (_, count, _):
        assert count == len(rows) - 3

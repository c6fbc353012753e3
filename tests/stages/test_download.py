import hashlib
import zipfile

import pytest
from faces import dataset, write_folder

from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.stages.download import download

TREE = dataset(per_class=2)
# The digest of TREE, by the rule that params.yaml's `expect.digest` follows.
DIGEST = hashlib.sha256(
    b"".join(
        f"{path} {hashlib.sha256(data).hexdigest()}\n".encode()
        for path, data in sorted(TREE.items())
    )
).hexdigest()
COUNTS_WRONG = (
    "the class counts are {angry: 2, happy: 2}, not those of download.expect.class_counts; to "
    "accept them, write them there (or null: no check)"
)


@pytest.fixture
def target(project):
    """An old archive, which only a valid download may replace."""
    write_folder(project, {"data/raw/images.zip": b"the old archive"})
    write_folder(project / "data" / "local", TREE)
    return project / "data" / "raw" / "images.zip"


@pytest.fixture
def fetch(values, target):
    """Download the local images with some expectations."""

    def fetched(**expect):
        values["download"]["source"] = "local"
        values["download"]["expect"] |= expect
        return download(Download(**values["download"]), Run(**values["run"]), target)

    return fetched


@pytest.mark.parametrize(
    "expect",
    [{}, {"class_counts": {"happy": 2, "angry": 2}, "digest": DIGEST}],
    ids=["no expectations", "counts in any order and digest"],
)
def test_the_expected_images_replace_the_old_archive(fetch, target, expect):
    assert fetch(**expect).digest == DIGEST
    with zipfile.ZipFile(target) as zipped:
        assert zipped.namelist() == sorted(TREE)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"class_counts": {"angry": 2, "happy": 3}}, COUNTS_WRONG),
        ({"class_counts": {"angry": 2}}, COUNTS_WRONG),
        ({"class_counts": {"angry": 2, "happy": 2, "sad": 1}}, COUNTS_WRONG),
        (
            {"digest": "0" * 64},
            f"the images are not those of download.expect.digest ({'0' * 64}): 4 images with "
            f"digest {DIGEST}; to accept them, write that digest there (or null: no check)",
        ),
    ],
    ids=["another count", "a class more", "a class less", "another digest"],
)
def test_other_images_are_an_error_and_the_old_archive_stays(fetch, target, expect, message):
    with pytest.raises(PipelineError) as error:
        fetch(**expect)
    assert str(error.value) == message
    assert target.read_bytes() == b"the old archive"
    assert list(target.parent.iterdir()) == [target]


def test_the_stage_writes_archive_index_and_skipped_files(
    project, write_params, run_stage, files_under
):
    write_folder(project / "data" / "local", TREE | {"notes.txt": b"hello", "sad/1.png": b"?"})
    write_params({"download.source": "local", "download.max_bad_fraction": 0.2})
    done = run_stage("download")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "download: 4 images from local: angry 2, happy 2",
        "download: skipped files: 2, reasons in data/raw/skipped.csv",
        f"download: content digest {DIGEST} (pin it as download.expect.digest)",
        "download: images in data/raw/images.zip, their index in data/raw/index.csv",
    ]
    raw = project / "data" / "raw"
    assert files_under(raw) == ["images.zip", "index.csv", "skipped.csv", "thumbnails.npy"]
    rows = [
        f"{path},{path.split('/')[0]},12,10,L,{hashlib.sha256(data).hexdigest()},"
        f"{images.pixel_digest(images.decode(data))},,,\n"
        for path, data in sorted(TREE.items())
    ]
    assert (raw / "index.csv").read_text() == (
        "path,label,width,height,mode,sha256,pixels_sha256,part,subject,sequence\n" + "".join(rows)
    )
    assert (raw / "skipped.csv").read_text() == (
        "path,reason\nnotes.txt,not an image file\n"
        'sad/1.png,"not an image (PNG, JPEG, BMP, GIF, TIFF, WEBP, PNM)"\n'
    )


def test_the_stage_prints_notes_and_writes_official_parts(project, write_params, run_stage):
    tree = {f"{part}/{path}": data for part in ("Train", "test") for path, data in TREE.items()}
    tree = {path.replace("happy", "happy "): data for path, data in tree.items()}
    write_folder(project / "data" / "local", tree)
    write_params({"download.source": "local"})
    done = run_stage("download")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        "download: WARNING: 'happy ' is read as 'happy': blanks around a name do not count",
        "download: 8 images from local: angry 4, happy 4",
    ]
    rows = (project / "data/raw/index.csv").read_text().splitlines()
    assert rows[1].startswith("angry/Train_00.png,angry,") and rows[1].endswith(",train,,")


@pytest.mark.parametrize("names", [(1, 7), ("1", "7"), ("11", 3)])
def test_classes_may_be_numbers(project, write_params, run_stage, names):
    write_folder(project / "data" / "local", dataset(classes=tuple(map(str, names))))
    counts = "{" + ", ".join(f"{name!r}: 2" for name in names) + "}"
    write_params({"download.source": "local"})
    text = (project / "params.yaml").read_text()  # JSON, whose keys are text
    text = text.replace('"class_counts": null', f'"class_counts": {counts}')
    (project / "params.yaml").write_text(text)
    done = run_stage("download")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{names[0]} 2, {names[1]} 2" in done.stdout


def test_warnings_come_before_the_summary(project, write_params, run_stage):
    same = dataset(classes=("angry",))["angry/00.png"]
    write_folder(project / "data" / "local", TREE | {"happy/same.png": same})
    write_params({"download.source": "local", "download.conflicts": "drop"})
    lines = run_stage("download").stdout.splitlines()
    assert lines[:2] == [
        "download: WARNING: images left out, because the same image has another label: 2; they are "
        "in data/raw/skipped.csv",
        "download: 3 images from local: angry 1, happy 2",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"download.local.path": "faces.zip"}, "faces.zip is missing; it should be a folder"),
        ({"download.source": "web"}, "params.yaml: download.source = 'web': should be 'sample'"),
    ],
    ids=["missing", "wrong key"],
)
def test_an_error_of_the_stage_is_one_line_and_exit_code_1(
    target, project, write_params, run_stage, files_under, changes, message
):
    write_params({"download.source": "local", **changes})
    done = run_stage("download")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"download: error: {message}")
    assert done.stderr.count("\n") == 1
    assert files_under(project / "data" / "raw") == ["images.zip"]
    assert target.read_bytes() == b"the old archive"

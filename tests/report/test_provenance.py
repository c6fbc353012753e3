import hashlib
import json
from collections import namedtuple

import pandas as pd
import pytest

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.core.tables import write_table
from ferpipe.report import provenance
from ferpipe.sources.intake import repacking

Row = namedtuple("Row", paths.INDEX_COLUMNS, defaults=("", "", ""))
HASHES = ("ab" * 32, "cd" * 32)
IMAGES = [
    Row(f"{label}/S{person:03}_00{take}_{frame}.png", label, 12, 12, "L", "ab" * 32, "cd" * 32)
    for label, take in (("anger", 1), ("happy", 2))
    for person in range(3)
    for frame in range(2)
]
SKIPPED = [
    ("a/1.png", "cannot be decoded: its header is not at its beginning"),
    ("a/2.png", "cannot be decoded: OSError, truncated"),
    ("a/read, me.txt", "not an image (PNG, JPEG)"),
]


@pytest.fixture
def run(project):
    """The files of a run, as its stages leave them."""

    def write(known=True):
        write_table(paths.INDEX, pd.DataFrame(IMAGES))
        split = [
            (i.path, i.label, *((i.path[6:10], i.path[6:14]) if known else ("", "")), "train")
            for i in IMAGES
        ]
        write_table(paths.SPLIT, pd.DataFrame(split, columns=list(paths.SPLIT_COLUMNS)))
        write_table(paths.SKIPPED, pd.DataFrame(SKIPPED, columns=list(paths.SKIPPED_COLUMNS)))
        files.write_json(paths.SPLIT_AUDIT, {"train": 12})
        files.write_bytes(paths.TRAINED, b"weights")

    write()
    return write


def test_the_content_digest_is_the_one_that_download_prints(run):
    found = provenance.read()
    images = repacking.Contents(pd.DataFrame(IMAGES), thumbnails=None, skipped=[])
    assert found.digests["images (content)"] == images.digest
    assert found.digests["trained.keras"] == hashlib.sha256(b"weights").hexdigest()


def test_people_and_recordings_are_counted_where_names_tell(run):
    found = provenance.read()
    assert found.images == {"anger": 6, "happy": 6}
    assert found.subjects == 3
    assert found.sequences == {"anger": 3, "happy": 3}
    run(known=False)
    found = provenance.read()
    assert (found.subjects, found.sequences) == (None, None)


def test_every_param_of_the_run_is_told_under_its_own_name(run, values):
    params = provenance.read().params
    assert list(params) == ["download", "split", "preprocess", "train", "evaluate"]
    assert params["train"]["augment.rotate"] == values["train"]["augment"]["rotate"]
    assert params["split"] == values["split"] | {"assigned": "assigned.csv"}
    assert params["download"] == {"source": "sample", "sample.subjects": 48, "sample.seed": 1}


def test_no_path_is_told(run, write_params):
    write_params(
        {
            "download.source": "local",
            "download.local.path": "/home/somebody/faces",
            "split.assigned": "/home/somebody/folds.csv",
            "train.weights": "/home/somebody/w.h5",
            "train.weights_sha256": "0" * 64,
        }
    )
    params = provenance.read().params
    assert params["train"]["weights"] == "w.h5"
    assert params["download"] == {"source": "local"}
    assert params["split"]["assigned"] == "folds.csv"
    assert "somebody" not in json.dumps(params)


def test_versions_are_those_that_are_installed(run):
    import keras

    versions = provenance.read().versions
    assert versions["keras"] == keras.__version__
    assert list(versions) == ["python", *provenance.PACKAGES]


def test_a_missing_index_is_one_clear_line(run):
    paths.INDEX.unlink()
    with pytest.raises(PipelineError, match=r"index\.csv is missing; run `dvc repro`"):
        provenance.read()


def test_skipped_files_are_counted_by_reason(run):
    assert provenance.read().skipped == {"cannot be decoded": 2, "not an image": 1}
    write_table(paths.SKIPPED, pd.DataFrame([], columns=list(paths.SKIPPED_COLUMNS)))
    assert provenance.read().skipped == {}


def test_the_digest_of_an_assigned_file_is_told(run):
    assert "split.assigned" not in provenance.read().digests
    files.write_json(paths.SPLIT_AUDIT, {"assigned_sha256": "ab" * 32})
    assert provenance.read().digests["split.assigned"] == "ab" * 32


def test_the_description_can_be_chosen(run, write_params):
    write_params({"download.source": "local", "evaluate.dataset": "jaffe"})
    assert provenance.read().data.name == "JAFFE"

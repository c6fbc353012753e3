import pytest

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.data import index

ROWS = [
    ("anger/1.png", "anger", 48, 40, "L", "0" * 64),
    ("joy/1.png", "joy", 48, 48, "RGB", "f" * 64),
]


def written(folder, rows):
    files.write_csv(folder / "index.csv", paths.INDEX_COLUMNS, rows)
    return folder / "index.csv"


def test_what_download_writes_is_read_row_by_row(tmp_path):
    first, second = index.read_index(written(tmp_path, ROWS))
    assert list(first.values()) == ["anger/1.png", "anger", "48", "40", "L", "0" * 64]
    assert second["label"] == "joy"


WRONG = {
    "another class": ("joy/2.png", "anger", 48, 48, "L", "0" * 64),
    "no class": ("2.png", "", 48, 48, "L", "0" * 64),
    "deeper": ("joy/a/2.png", "joy", 48, 48, "L", "0" * 64),
    "twice": ROWS[1],
    "out of order": ("anger/0.png", "anger", 48, 48, "L", "0" * 64),
    "no size": ("joy/2.png", "joy", "", 48, "L", "0" * 64),
    "no mode of ours": ("joy/2.png", "joy", 48, 48, "CMYK", "0" * 64),
    "no hash": ("joy/2.png", "joy", 48, 48, "L", "0" * 63),
    "control character": ("joy/2\x1b.png", "joy", 48, 48, "L", "0" * 64),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
def test_a_row_that_download_does_not_write_is_told_with_its_line(tmp_path, row):
    path = written(tmp_path, [*ROWS, row])
    with pytest.raises(PipelineError, match=r"index\.csv, line 4: this is not what `download` wr"):
        index.read_index(path)


def test_an_index_without_images_is_told(tmp_path):
    with pytest.raises(PipelineError, match=r"index\.csv names no image; run `dvc repro --force`"):
        index.read_index(written(tmp_path, []))


def test_a_missing_index_is_told(tmp_path):
    with pytest.raises(PipelineError, match=r"index\.csv is missing; run `dvc repro`"):
        index.read_index(tmp_path / "index.csv")

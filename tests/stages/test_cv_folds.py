import pytest
from faces import PATHS, png, write_folder, write_raw

from ferpipe.core import paths
from ferpipe.data import folds
from ferpipe.stages import cv_folds


@pytest.fixture
def run(project, write_params, capsys):
    """Run the stage on 30 people of three frames a class; returns what it printed."""

    def done(part_of=lambda path: "", **changes):
        if not paths.INDEX.exists():
            tree = {path: png(number) for number, path in enumerate(PATHS)}
            write_raw(write_folder(project / "source", tree), part_of)
        changes = {"cv_seeds": [1, 2], "split_val_size": 0.1} | changes
        write_params({key.replace("_", ".", 1): value for key, value in changes.items()})
        cv_folds.main()
        return capsys.readouterr().out.splitlines()

    return done


def person(path):
    return int(path.split("/S")[1][:3])


@pytest.mark.parametrize("count", [2, 10])
def test_own_folds(run, count):
    assert run(cv_folds=list(range(count))) == [
        f"cv_folds: 270 images in {count} folds, grouped by subject; seeds: 2; tables in "
        "data/cv/folds"
    ]
    first, second = map(folds.read_folds, (1, 2))
    assert folds.count_folds(first) == count
    assert not first.equals(second)


def test_the_official_test_part_is_in_no_fold(run):
    lines = run(
        lambda path: "train" if person(path) <= 20 else "test",
        split_official="use",
        cv_folds=[0, 1, 2, 3],
    )
    assert lines == [
        "cv_folds: 180 images in 4 folds, grouped by subject; seeds: 2; tables in data/cv/folds",
        "cv_folds: test of the source's official parts (90 images) is in no fold",
    ]
    table = folds.read_folds(1)
    assert table["path"].tolist() == PATHS
    assert ((table["fold_0"] == "") == (table["path"].map(person) > 20)).all()


def test_the_folds_of_a_file_are_those_of_every_seed(run, project, capsys):
    lines = ["subject\tfold", *(f"S{n:03}\t{n % 5}" for n in range(1, 31))]
    (project / "five.tsv").write_text("\n".join(lines))
    assert run(split_assigned="five.tsv", cv_folds=[0, 1, 2, 3, 4]) == [
        "cv_folds: 270 images in 5 folds, those of five.tsv; val grouped by subject; seeds: 2; "
        "tables in data/cv/folds"
    ]
    for seed in (1, 2):
        table = folds.read_folds(seed)
        for fold in range(5):
            tested = set(table["path"][table[f"fold_{fold}"] == "test"].map(person) % 5)
            assert tested == {fold}
    before = {path.name: path.read_bytes() for path in paths.CV_FOLDS.iterdir()}
    with pytest.raises(SystemExit):
        run(split_assigned="five.tsv", cv_folds=list(range(10)))
    assert capsys.readouterr().err == (
        "cv_folds: error: cv.folds has 10 folds, but five.tsv (split.assigned) has 5; set cv.folds "
        "to [0, 1, 2, 3, 4]\n"
    )
    assert {path.name: path.read_bytes() for path in paths.CV_FOLDS.iterdir()} == before


def test_ignored_parts_are_told(run):
    first, _ = run(lambda path: "train" if person(path) <= 20 else "val")
    assert first == (
        "cv_folds: the source has official parts (train 180, val 90): ignored (split.official)"
    )

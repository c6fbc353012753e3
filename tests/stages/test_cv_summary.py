import pandas as pd
import pytest

from ferpipe.core import files, paths, tables
from ferpipe.data import folds
from ferpipe.params.cv import CrossValidation
from ferpipe.stages import cv_summary

LABELS = ["anger"] * 12 + ["happy"] * 8
PATHS = [f"{label}/{index:02}.png" for index, label in enumerate(LABELS)]


def predictions(wrong):
    """The images, all but some of the first predicted right; those of a fold differ by ten."""
    guesses = ["happy"] * wrong + LABELS[wrong:]
    return pd.DataFrame({"path": PATHS, "actual": LABELS, "predicted": guesses})


@pytest.fixture
def summarise(write_params, capsys):
    """Run the stage on two seeds of two images a fold; returns the lines that it prints."""

    def run(subjects, val, unused=0, **changes):
        write_params({"cv.seeds": [1, 2], "split.val_size": 0.1 if val else 0} | changes)
        paths.INDEX.parent.mkdir(parents=True)
        paths.INDEX.touch()
        baseline = []
        for seed in (1, 2):
            splits = {name: ["train"] * 20 for name in folds.fold_columns(10)}
            for fold in range(10):
                splits[f"fold_{fold}"][fold::10] = ["test", "test"]
                test = predictions(seed)[fold::10]
                rows = pd.concat([test.assign(split="test"), test[:val].assign(split="val")])
                rows = rows.assign(p_anger=0.5, p_happy=0.5)
                rows = rows[list(folds.predictions_header(["anger", "happy"]))]
                tables.write_table(folds.predictions_path(seed, fold), rows)
                baseline.append(predictions(5)[fold::10].assign(seed=seed, fold=fold))
            columns = {"path": PATHS, "label": LABELS, "subject": subjects, "sequence": subjects}
            rows = pd.DataFrame(columns | splits)
            rows = pd.concat([rows, rows[:unused].assign(**dict.fromkeys(splits, ""))])
            tables.write_table(folds.folds_path(seed), rows)
        table = pd.concat(baseline)[list(paths.CV_BASELINE_COLUMNS)]
        tables.write_table(paths.CV_BASELINE, table)
        cv_summary.main()
        return capsys.readouterr().out.splitlines()

    return run


def test_it_prints_the_scores_with_their_intervals(summarise):
    assert summarise(subjects=[""] * 20, val=1) == [
        "cv_summary: 20 images, grouped by subject; folds: 10, seeds: 2",
        "  network    92.5%  (95% interval 73.1% to 98.2%, Wilson over images; seeds 90.0% to "
        "95.0%; SD of folds 18.4%), macro-F1 0.924",
        "  baseline   75.0%  (SD of folds 26.4%), macro-F1 0.749",
        "  network against baseline, all seeds together: p = 0.12, exact sign-flip test over 20 "
        "images",
        "  ",
        "  recall of      images    people    network         interval    baseline",
        "  anger              12         -      87.5%   59.8% to 97.1%       58.3%",
        "  happy               8         -     100.0%  67.6% to 100.0%      100.0%",
        "  Intervals: Wilson over images.",
        "cv_summary: all of it in reports/cv",
    ]
    summary = files.read_json(paths.CV / "summary.json")
    # Of one image a fold, the first, seed 1 predicts one of ten wrong, seed 2 two.
    assert summary["val_accuracy"] == pytest.approx(0.85)
    confusion = (paths.CV / "confusion.csv").read_text()
    assert confusion.splitlines()[2] == "anger,happy,3,0.125,val"


def test_few_people_get_one_caution_and_selection_on_test_a_flag(summarise):
    lines = summarise(subjects=[f"S{index % 10}" for index in range(20)], val=0)
    assert lines[0].endswith("folds: 10, seeds: 2; optimistic: selected on test")
    assert "bootstrap over subjects, 10 people; seeds" in lines[1]
    assert lines[-2] == (
        "  Intervals: bootstrap over subjects or Wilson over subjects, 8 to 10 people; few people, "
        "may be too narrow."
    )
    assert files.read_json(paths.CV / "summary.json")["val_accuracy"] is None
    assert (paths.CV / "per_class.csv").read_text().count(",test,") == 2


def test_the_official_test_part_is_not_scored(summarise):
    lines = summarise([""] * 20, 1, unused=5, **{"split.official": "use"})
    assert lines[0] == (
        "cv_summary: 20 images, grouped by subject; the test part of the source (5 images) is in "
        "no fold; folds: 10, seeds: 2"
    )
    summary = files.read_json(paths.CV / "summary.json")
    assert (summary["images"], summary["in_no_fold"], summary["split_by"]) == (20, 5, "official")


@pytest.mark.parametrize("column", ["part", "fold"])
def test_the_file_that_assigned_is_told(summarise, project, column):
    values = ("train", "test") if column == "part" else (0, 1)
    lines = [f"path,{column}", *(f"{path},{values[n % 2]}" for n, path in enumerate(PATHS))]
    (project / "list.csv").write_text("\n".join(lines))
    unused = 5 if column == "part" else 0
    first = summarise([""] * 20, 1, unused=unused, **{"split.assigned": "list.csv"})[0]
    told = {
        "part": "grouped by subject; the test part of list.csv (5 images) is in no fold; folds: 10",
        "fold": "val grouped by subject; folds: 10 of list.csv",
    }
    assert first == f"cv_summary: 20 images, {told[column]}, seeds: 2"
    summary = files.read_json(paths.CV / "summary.json")
    assert (summary["in_no_fold"], summary["split_by"]) == (unused, "assigned")


@pytest.mark.parametrize(("seeds", "index"), [([2], b"path,label\n"), ([1], b"path,labels\n")])
def test_the_fingerprint_is_of_params_and_images(seeds, index):
    def fingerprint(seeds, *contents):
        section = CrossValidation(seeds=seeds, folds=[0, 1])
        return cv_summary.fingerprint({"cv": section}, *contents)

    first = fingerprint([1], b"path,label\n")
    assert first == fingerprint([1], b"path,label\n")
    assert first != fingerprint(seeds, index)
    assert first != fingerprint([1], b"path,label\n", b"digest of an assigned file")

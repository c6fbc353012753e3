"""Stage `cv_summary`: scores of network and baseline over all folds and seeds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds
from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.cross_validation import PER_CLASS_HEADER, per_class, score, summarise
from ferpipe.evaluation.significance import PairedTest
from ferpipe.params.cv import CrossValidation
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, read_section
from ferpipe.params.split import Split
from ferpipe.params.train import Train

# What the cross-validation replaces or does not use, so that it cannot change a metric.
NOT_READ = {"split": ("seed", "test_size", "folds", "fold"), "train": ("seed",)}


def fingerprint(sections: Mapping[str, Section], index: bytes) -> str:
    """SHA-256 of the params that the folds read and of index.csv, which names each image's bytes.

    So metrics in a table can be traced to a params file and its images.
    """
    values = {
        name: section.model_dump(exclude=set(NOT_READ.get(name, ())))
        for name, section in sections.items()
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode() + b"\n" + index).hexdigest()


def text(
    summary: Mapping[str, object],
    recalls: Sequence[Mapping[str, object]],
    params: Split,
    confidence: float,
) -> list[str]:
    """The lines that the stage prints.

    Args:
        summary: as in summary.json.
        recalls: the rows of per_class.csv.
        params: the section `split`.
        confidence: level of the intervals, such as 0.95.
    """
    flag = "; optimistic: selected on test" if summary["selected_on_test"] else ""
    basis = intervals.basis(summary["interval"], summary["people"])
    test = PairedTest(summary["baseline_p_value"], summary["baseline_test"])
    lines = [
        f"{summary['images']} images, grouped by {params.group_by}; folds: {summary['folds']}, "
        f"seeds: {summary['seeds']}{flag}",
        f"network   {summary['accuracy']:6.1%}  ({confidence:.0%} interval "
        f"{summary['accuracy_low']:.1%} to {summary['accuracy_high']:.1%}, {basis}; seeds "
        f"{summary['accuracy_worst_seed']:.1%} to {summary['accuracy_best_seed']:.1%}; SD of folds "
        f"{summary['fold_sd']:.1%}), macro-F1 {summary['macro_f1']:.3f}",
        f"baseline  {summary['baseline_accuracy']:6.1%}  (SD of folds "
        f"{summary['baseline_fold_sd']:.1%}), macro-F1 {summary['baseline_macro_f1']:.3f}",
        f"network against baseline, all seeds together: {test}",
        "",
    ]
    width = max(len("recall of"), *(len(str(row["class"])) for row in recalls))
    lines.append(f"{'recall of':{width}}  images  people  network         interval  baseline")
    for row in recalls:
        interval = f"{row['recall_low']:.1%} to {row['recall_high']:.1%}"
        people = "-" if row["people"] is None else row["people"]
        lines.append(
            f"{row['class']:{width}}  {row['support']:6}  {people:>6}  {row['recall']:7.1%}  "
            f"{interval:>15}  {row['baseline_recall']:8.1%}"
        )
    return [*lines, intervals.note([(row["interval"], row["people"]) for row in recalls])]


@exits_cleanly("cv_summary")
def main() -> None:
    """Read all predictions, write summary.json and the tables, print them."""
    sections = {
        "cv": read_section(paths.PARAMS, "cv", CrossValidation),
        "split": read_section(paths.PARAMS, "split", Split),
        "preprocess": read_section(paths.PARAMS, "preprocess", Preprocess),
        "train": read_section(paths.PARAMS, "train", Train),
    }
    confidence = read_section(paths.PARAMS, "evaluate", Evaluate).confidence
    seeds, selected_on_test = sections["cv"].seeds, sections["split"].val_size == 0
    table = folds.read_folds(folds.folds_path(seeds[0]))
    images = Counter(table.labels)
    classes = sorted(images)

    header = folds.predictions_header(classes)
    tests: dict[tuple[int, int], list[dict[str, str]]] = {}
    val: list[bool] = []
    for seed in seeds:
        for fold in range(folds.FOLDS):
            rows = files.read_csv(folds.predictions_path(seed, fold), header)
            tests[seed, fold] = [row for row in rows if row["split"] == "test"]
            val += [row["actual"] == row["predicted"] for row in rows if row["split"] == "val"]
    baseline_tests: dict[tuple[int, int], list[dict[str, str]]] = defaultdict(list)
    for row in files.read_csv(paths.CV_BASELINE, paths.CV_BASELINE_COLUMNS):
        baseline_tests[int(row["seed"]), int(row["fold"])].append(row)

    network, baseline = (
        score(each, table.paths, classes, table.subjects) for each in (tests, baseline_tests)
    )
    summary = summarise(
        network,
        baseline,
        fmean(val) if val else None,
        len(table.paths),
        confidence,
        selected_on_test=selected_on_test,
    )
    summary["params_sha256"] = fingerprint(sections, paths.INDEX.read_bytes())
    selected_on = "test" if selected_on_test else "val"
    support = [images[name] for name in classes]
    recalls = per_class(network, baseline, support, classes, selected_on, confidence)
    files.write_json(paths.CV / "summary.json", summary)
    files.write_csv(
        paths.CV / "per_class.csv", PER_CLASS_HEADER, [tuple(row.values()) for row in recalls]
    )
    confusions = metrics.confusion_rows(network.confusion, classes, selected_on)
    files.write_csv(paths.CV / "confusion.csv", metrics.CONFUSION_HEADER, confusions)
    print("cv_summary: " + "\n  ".join(text(summary, recalls, sections["split"], confidence)))
    print(f"cv_summary: all of it in {paths.CV}")

"""Stage `cv_summary`: scores of network and baseline over all folds and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pandas as pd
from tabulate import tabulate

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds
from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.cross_validation import per_class, score, summarise
from ferpipe.params.cv import CrossValidation
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, read_section
from ferpipe.params.split import Split
from ferpipe.params.train import Train

READ = {"cv": CrossValidation, "split": Split, "preprocess": Preprocess, "train": Train}
# Keys that the cross-validation replaces or does not use: they cannot change a metric.
NOT_READ = {"split": ("seed", "test_size", "folds", "fold"), "train": ("seed",)}


def fingerprint(sections: Mapping[str, Section], index: bytes) -> str:
    """SHA-256 of the params that the folds read and of index.csv, to trace metrics to them."""
    values = {
        name: section.model_dump(exclude=set(NOT_READ.get(name, ())))
        for name, section in sections.items()
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode() + b"\n" + index).hexdigest()


def text(
    summary: Mapping[str, object], recalls: pd.DataFrame, group_by: str, confidence: float
) -> list[str]:
    """The lines that the stage prints of summary.json and per_class.csv."""
    flag = "; optimistic: selected on test" if summary["selected_on_test"] else ""
    basis = intervals.basis(summary["interval"], summary["people"])
    percent = recalls.select_dtypes("float").map("{:.1%}".format)
    columns = {
        "recall of": recalls["class"],
        "images": recalls["support"],
        "people": recalls["people"].astype(object).fillna("-"),
        "network": percent["recall"],
        "interval": percent["recall_low"] + " to " + percent["recall_high"],
        "baseline": percent["baseline_recall"],
    }
    right = ["right"] * 5
    table = tabulate(columns, "keys", "plain", colalign=("left", *right), disable_numparse=True)
    return [
        f"{summary['images']} images, grouped by {group_by}; folds: {summary['folds']}, "
        f"seeds: {summary['seeds']}{flag}",
        f"network   {summary['accuracy']:6.1%}  ({confidence:.0%} interval "
        f"{summary['accuracy_low']:.1%} to {summary['accuracy_high']:.1%}, {basis}; seeds "
        f"{summary['accuracy_worst_seed']:.1%} to {summary['accuracy_best_seed']:.1%}; SD of folds "
        f"{summary['fold_sd']:.1%}), macro-F1 {summary['macro_f1']:.3f}",
        f"baseline  {summary['baseline_accuracy']:6.1%}  (SD of folds "
        f"{summary['baseline_fold_sd']:.1%}), macro-F1 {summary['baseline_macro_f1']:.3f}",
        f"network against baseline, all seeds together: p = {summary['baseline_p_value']:.2g}, "
        f"{summary['baseline_test']}",
        "",
        *table.splitlines(),
        intervals.note(zip(recalls["interval"], recalls["people"], strict=True)),
    ]


@exits_cleanly("cv_summary")
def main() -> None:
    """Read all predictions, write summary.json and the tables, print them."""
    sections = {name: read_section(paths.PARAMS, name, model) for name, model in READ.items()}
    confidence = read_section(paths.PARAMS, "evaluate", Evaluate).confidence
    seeds, selected_on_test = sections["cv"].seeds, sections["split"].val_size == 0
    selected_on = "test" if selected_on_test else "val"
    images = folds.read_folds(seeds[0])
    classes = sorted(set(images["label"]))

    columns = dict.fromkeys(folds.predictions_header(classes), "str")
    predictions = pd.concat(
        tables.read_table(folds.predictions_path(seed, fold), columns).assign(seed=seed, fold=fold)
        for seed in seeds
        for fold in range(folds.FOLDS)
    )
    val = predictions[predictions["split"] == "val"]
    network, baseline = (
        score(test, images["path"], classes, images["subject"])
        for test in (
            predictions[predictions["split"] == "test"],
            tables.read_table(paths.CV_BASELINE, paths.CV_BASELINE_COLUMNS),
        )
    )
    val_accuracy = float((val["actual"] == val["predicted"]).mean()) if len(val) else None
    summary = summarise(
        network, baseline, val_accuracy, confidence, selected_on_test=selected_on_test
    )
    summary["params_sha256"] = fingerprint(sections, paths.INDEX.read_bytes())
    recalls = per_class(network, baseline, classes, selected_on, confidence)
    files.write_json(paths.CV / "summary.json", summary)
    tables.write_table(paths.CV / "per_class.csv", recalls)
    confusion = metrics.confusion_table(network.confusions.total, classes, selected_on)
    tables.write_table(paths.CV / "confusion.csv", confusion)
    lines = text(summary, recalls, sections["split"].group_by, confidence)
    print("cv_summary: " + "\n  ".join(lines))
    print(f"cv_summary: all of it in {paths.CV}")

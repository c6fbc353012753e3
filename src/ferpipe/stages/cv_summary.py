"""Stage `cv_summary`: scores of network and baseline over all folds and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds
from ferpipe.data.assigned import Assigned, read_assigned
from ferpipe.evaluation import intervals, metrics
from ferpipe.evaluation.cross_validation import per_class, score, summarise
from ferpipe.params.cv import CrossValidation
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, read_section
from ferpipe.params.split import Split
from ferpipe.params.train import Train

READ = {"cv": CrossValidation, "split": Split, "preprocess": Preprocess, "train": Train}
# Keys that the cross-validation replaces or does not use: they cannot change a metric. Of
# `split.assigned` the file's content can, not its path.
NOT_READ = {"split": ("seed", "test_size", "folds", "fold", "assigned"), "train": ("seed",)}


def fingerprint(sections: Mapping[str, Section], *contents: bytes) -> str:
    """SHA-256 of the params that the folds read and of files, to trace metrics to them."""
    values = {
        name: section.model_dump(exclude=set(NOT_READ.get(name, ())))
        for name, section in sections.items()
    }
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(b"\n".join([text.encode(), *contents])).hexdigest()


def split_by(params: Split, assigned: Assigned | None) -> str:
    """Who made the split, as in split_audit.json: random, official or assigned."""
    if assigned:
        return "assigned"
    return "official" if params.official == "use" else "random"


def protocol(summary: Mapping[str, object], params: Split, assigned: Assigned | None) -> str:
    """The images, what is kept together, and the folds."""
    folds, grouped = f"folds: {summary['folds']}", f"grouped by {params.group_by}"
    if assigned and assigned.folds:
        grouped = f"val grouped by {params.group_by}"
        folds += f" of {assigned.path.name}"
    if summary["in_no_fold"]:
        source = assigned.path.name if assigned else "the source"
        part = f"the test part of {source} ({summary['in_no_fold']} images) is in no fold"
        grouped += f"; {part}"
    return f"{summary['images']} images, {grouped}; {folds}, seeds: {summary['seeds']}"


def text(
    summary: Mapping[str, object], recalls: pd.DataFrame, protocol: str, confidence: float
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
        f"{protocol}{flag}",
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
    table = folds.read_folds(seeds[0])
    images = table[table["fold_0"] != ""]
    classes = sorted(set(images["label"]))
    assigned = read_assigned(Path(sections["split"].assigned))

    columns = dict.fromkeys(folds.predictions_header(classes), "str")
    predictions = pd.concat(
        tables.read_table(folds.predictions_path(seed, fold), columns).assign(seed=seed, fold=fold)
        for seed in seeds
        for fold in range(folds.count_folds(table))
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
    summary["split_by"] = split_by(sections["split"], assigned)
    summary["in_no_fold"] = len(table) - len(images)
    contents = [bytes.fromhex(assigned.sha256)] if assigned else []
    summary["params_sha256"] = fingerprint(sections, paths.INDEX.read_bytes(), *contents)
    recalls = per_class(network, baseline, classes, selected_on, confidence)
    files.write_json(paths.CV / "summary.json", summary)
    tables.write_table(paths.CV / "per_class.csv", recalls)
    confusion = metrics.confusion_table(network.confusions.total, classes, selected_on)
    tables.write_table(paths.CV / "confusion.csv", confusion)
    lines = text(summary, recalls, protocol(summary, sections["split"], assigned), confidence)
    print("cv_summary: " + "\n  ".join(lines))
    print(f"cv_summary: all of it in {paths.CV}")

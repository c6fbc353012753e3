"""Stage `summary`: what network and baseline reach over all folds and seeds, in a few numbers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from ferpipe import crossval, files, scoring
from ferpipe.errors import exits_cleanly
from ferpipe.index import read_index
from ferpipe.judging import Judged, judge
from ferpipe.params.cv import CrossValidation
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import Section, read_section
from ferpipe.params.split import Split
from ferpipe.params.train import Train
from ferpipe.split import who

BASELINE_COLUMNS = ("baseline_recall", "baseline_recall_low", "baseline_recall_high")
PER_CLASS_HEADER = (
    *("class", "precision", "recall", "recall_low", "recall_high", "f1", "support", "chosen_on"),
    *BASELINE_COLUMNS,
)


def numbers(
    network: Judged,
    baseline: Judged,
    val_accuracy: float | None,
    images: int,
    confidence: float,
    *,
    chosen_on_test: bool,
) -> dict[str, object]:
    """The headline numbers, flat for `dvc metrics show`.

    The intervals are bootstraps over subjects, each with all its images and seeds: another seed
    judges the same people again, which makes a sure mean but no larger sample of them. Where the
    names tell no subjects it is Wilson's around the mean accuracy with n = images.

    Args:
        network: what the network did.
        baseline: what the baseline did.
        val_accuracy: of the network on all val images, 0..1; None where there is no val, or where
            it has taught too.
        images: how many there are.
        confidence: level of the intervals, such as 0.95.
        chosen_on_test: whether there is no val.
    """
    if network.by_subject is None:
        bounds = scoring.wilson(network.accuracy * images, images, confidence)
        interval, f1_interval = scoring.Interval(*bounds, "Wilson over images"), None
    else:
        interval = scoring.bootstrap(network.by_subject, scoring.accuracy, confidence)
        f1_interval = scoring.bootstrap(network.by_subject, scoring.macro_f1, confidence)
    return {
        "accuracy": network.accuracy,
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "interval": interval.method,
        "accuracy_worst_seed": min(network.by_seed.values()),
        "accuracy_best_seed": max(network.by_seed.values()),
        "fold_sd": network.fold_sd,
        "macro_f1": float(network.f1.mean()),
        "macro_f1_low": f1_interval.low if f1_interval else None,
        "macro_f1_high": f1_interval.high if f1_interval else None,
        "val_accuracy": val_accuracy,
        "baseline_accuracy": baseline.accuracy,
        "baseline_fold_sd": baseline.fold_sd,
        "baseline_macro_f1": float(baseline.f1.mean()),
        "images": images,
        "folds": crossval.FOLDS,
        "seeds": len(network.by_seed),
        "chosen_on_test": chosen_on_test,
    }


def per_class(
    network: Judged,
    baseline: Judged,
    support: Sequence[int],
    classes: Sequence[str],
    chosen_on: str,
    confidence: float,
) -> list[tuple[object, ...]]:
    """Rows of per_class.csv; intervals are Wilson's with n = the images of the class."""
    rows = []
    for i, (name, count) in enumerate(zip(classes, support, strict=True)):
        recall, bar = float(network.recall[i]), float(baseline.recall[i])
        scores = (
            *(float(network.precision[i]), recall),
            *scoring.wilson(recall * count, count, confidence),
            float(network.f1[i]),
        )
        bounds = scoring.wilson(bar * count, count, confidence)
        rows.append((name, *scores, count, chosen_on, bar, *bounds))
    return rows


def fingerprint(sections: Mapping[str, Section], index: bytes) -> str:
    """SHA-256 of the params (as canonical JSON) and of index.csv, which names each image's bytes.

    So numbers in a table can be told to be those of a params file and its images, or of others.
    """
    values = {name: section.model_dump() for name, section in sections.items()}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode() + b"\n" + index).hexdigest()


def table(
    found: Mapping[str, object], rows: Sequence[Sequence[object]], params: Split, confidence: float
) -> list[str]:
    """The lines that the stage prints."""
    flag = "; chosen on test: too high" if found["chosen_on_test"] else ""
    lines = [
        f"{found['images']} images, grouped by {params.group_by}; folds: {found['folds']}, "
        f"seeds: {found['seeds']}{flag}",
        f"network   {found['accuracy']:6.1%}  ({confidence:.0%} interval "
        f"{found['accuracy_low']:.1%} to {found['accuracy_high']:.1%}, {found['interval']}; seeds "
        f"{found['accuracy_worst_seed']:.1%} to {found['accuracy_best_seed']:.1%}; SD of folds "
        f"{found['fold_sd']:.1%}), macro-F1 {found['macro_f1']:.3f}",
        f"baseline  {found['baseline_accuracy']:6.1%}  (SD of folds "
        f"{found['baseline_fold_sd']:.1%}), macro-F1 {found['baseline_macro_f1']:.3f}",
        "",
    ]
    width = max(len("recall of"), *(len(str(row[0])) for row in rows))
    lines.append(f"{'recall of':{width}}  images  network         interval  baseline")
    for name, _, recall, low, high, _, support, _, bar, *_ in rows:
        interval = f"{low:.1%} to {high:.1%}"
        lines.append(f"{name:{width}}  {support:6}  {recall:7.1%}  {interval:>15}  {bar:8.1%}")
    return lines


@exits_cleanly("summary")
def main() -> None:
    """Read all predictions, write summary.json and the tables, print them."""
    sections = {
        "cv": read_section(files.PARAMS, "cv", CrossValidation),
        "split": read_section(files.PARAMS, "split", Split),
        "preprocess": read_section(files.PARAMS, "preprocess", Preprocess),
        "train": read_section(files.PARAMS, "train", Train),
    }
    confidence = read_section(files.PARAMS, "evaluate", Evaluate).confidence
    index = read_index(files.INDEX)
    paths = [row["path"] for row in index]
    images = Counter(row["label"] for row in index)
    classes = sorted(images)

    header = crossval.predictions_header(classes)
    tests: dict[tuple[int, int], list[dict[str, str]]] = {}
    val: list[bool] = []
    for seed in sections["cv"].seeds:
        for fold in range(crossval.FOLDS):
            rows = files.read_csv(crossval.predictions_path(seed, fold), header)
            tests[seed, fold] = [row for row in rows if row["split"] == "test"]
            val += [row["actual"] == row["predicted"] for row in rows if row["split"] == "val"]
    bar: dict[tuple[int, int], list[dict[str, str]]] = defaultdict(list)
    for row in files.read_csv(files.CV_BASELINE, files.CV_BASELINE_HEADER):
        bar[int(row["seed"]), int(row["fold"])].append(row)

    subjects = [who(path, sections["split"].name_pattern)[0] for path in paths]
    network, baseline = (judge(each, paths, classes, subjects) for each in (tests, bar))
    val_accuracy = fmean(val) if val else None
    chosen_on_test = sections["split"].val_size == 0
    found = numbers(
        *(network, baseline, val_accuracy, len(paths), confidence), chosen_on_test=chosen_on_test
    )
    found["params_sha256"] = fingerprint(sections, files.INDEX.read_bytes())
    chosen_on = "test" if chosen_on_test else "val"
    support = [images[name] for name in classes]
    recalls = per_class(network, baseline, support, classes, chosen_on, confidence)
    files.write_json(files.CV / "summary.json", found)
    files.write_csv(files.CV / "per_class.csv", PER_CLASS_HEADER, recalls)
    confusions = scoring.confusion_rows(network.confusion, classes, chosen_on)
    files.write_csv(files.CV / "confusion.csv", scoring.CONFUSION_HEADER, confusions)
    print("summary: " + "\n  ".join(table(found, recalls, sections["split"], confidence)))
    print(f"summary: all of it in {files.CV}")

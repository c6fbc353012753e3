"""Stage `evaluate`: judge the model once, on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    balanced_accuracy_score,
    classification_report,
    f1_score,
    precision_recall_fscore_support,
)

from ferpipe import bars, figures, files, keras_file, records, scoring
from ferpipe.backend import prepare
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.reader import read_section

BATCH_SIZE = 64
PER_CLASS_HEADER = (
    "class",
    "precision",
    "recall",
    "recall_low",
    "recall_high",
    "f1",
    "support",
    "chosen_on",
)


@dataclass(frozen=True)
class Result:
    """What the model did on test.

    Args:
        classes: class names, in the schema's order.
        paths: archive path of each image (n).
        labels: int (n,), the true class of each image.
        probabilities: float64 (n, classes), rows summing to 1.
        chosen_on_test: whether test also chose the epoch.
        subjects: who each image shows (n); nobody, or empty, where that is not known.
    """

    classes: list[str]
    paths: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    chosen_on_test: bool
    subjects: Sequence[str] = ()

    @property
    def chosen_on(self) -> str:
        """The split that chose the epoch, as the tables and plots say it."""
        return "test" if self.chosen_on_test else "val"

    @property
    def predicted(self) -> np.ndarray:
        """Int (n,), the most probable class of each image."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Int (classes, classes), rows the actual class, columns the predicted one."""
        return scoring.confusion(self.labels, self.predicted, len(self.classes))


def metrics(result: Result, confidence: float) -> dict[str, object]:
    """The headline numbers, flat for `dvc metrics show`.

    Args:
        result: what the model did.
        confidence: level of the intervals around accuracy and macro-F1; the latter has none
            where subjects are not known.
    """
    predicted = result.predicted
    hits = int((predicted == result.labels).sum())
    interval, f1_interval = scoring.intervals(
        result.labels, predicted, result.subjects, len(result.classes), confidence
    )
    present = np.unique(result.labels)
    return {
        "accuracy": hits / len(result.labels),
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "interval": interval.method,
        "balanced_accuracy": float(balanced_accuracy_score(result.labels, predicted)),
        "macro_f1": float(
            f1_score(result.labels, predicted, labels=present, average="macro", zero_division=0)
        ),
        "macro_f1_low": f1_interval.low if f1_interval else None,
        "macro_f1_high": f1_interval.high if f1_interval else None,
        "log_loss": scoring.log_loss(result.labels, result.probabilities),
        "images": len(result.labels),
        "chosen_on_test": result.chosen_on_test,
    }


def per_class(result: Result, confidence: float) -> list[tuple[object, ...]]:
    """Rows of per_class.csv; precision, recall and its bounds, and F1 are shares, 0..1."""
    scores = precision_recall_fscore_support(
        result.labels, result.predicted, labels=range(len(result.classes)), zero_division=0
    )
    rows = []
    for name, hits, precision, recall, f1, support in zip(
        result.classes, result.confusion.diagonal(), *scores, strict=True
    ):
        low, high = scoring.wilson(int(hits), int(support), confidence)
        scored = (float(precision), float(recall), low, high, float(f1))
        rows.append((name, *scored, int(support), result.chosen_on))
    return rows


def prediction_rows(result: Result) -> list[tuple[object, ...]]:
    """Rows of predictions.csv: path, actual, predicted, and the probability of each class."""
    return [
        (path, result.classes[label], result.classes[guess], *(f"{p:.6f}" for p in row))
        for path, label, guess, row in zip(
            result.paths, result.labels, result.predicted, result.probabilities, strict=True
        )
    ]


def text_report(result: Result, line: str) -> str:
    """The familiar classification report, under the headline that says what it is of."""
    table = classification_report(
        result.labels,
        result.predicted,
        labels=range(len(result.classes)),
        target_names=result.classes,
        digits=4,
        zero_division=0,
    )
    return f"{line}\n\n{table}"


def headline(numbers: dict[str, object], confidence: float) -> str:
    """Accuracy with its interval and protocol, in a line."""
    flag = ", chosen on test: too high" if numbers["chosen_on_test"] else ""
    return (
        f"{numbers['accuracy']:.1%} of {numbers['images']} test images right "
        f"({confidence:.0%} interval {numbers['accuracy_low']:.1%} to "
        f"{numbers['accuracy_high']:.1%}, {numbers['interval']}){flag}"
    )


def subjects_of(paths: Sequence[str]) -> list[str]:
    """Who the images show, from split.csv; empty where their names do not tell.

    Raises:
        PipelineError: split.csv does not name an image.
    """
    subjects = {
        row["path"]: row["subject"] for row in files.read_csv(files.SPLIT, files.SPLIT_HEADER)
    }
    missing = [path for path in paths if path not in subjects]
    if missing:
        raise PipelineError(
            f"{files.SPLIT} does not name {missing[0]}, which is in {files.RECORDS}; "
            "run `dvc repro`"
        )
    return [subjects[path] for path in paths]


def beside_the_network(
    result: Result, schema: records.Schema, test: records.Dataset
) -> list[bars.Judged]:
    """The network and the bars that have learned from train and val."""
    learned = [records.read_split(files.RECORDS, schema, name) for name in ("train", "val")]
    network = bars.Judged("network", result.predicted, None, result.chosen_on)
    return [network, *bars.predict(learned, test)]


@exits_cleanly("evaluate")
def main() -> None:
    """Load model and records, predict test once, write metrics, tables and figures."""
    params = read_section(files.PARAMS, "evaluate", Evaluate)
    schema = records.read_schema(files.RECORDS)
    test = records.read_split(files.RECORDS, schema, "test")
    subjects = subjects_of(test.paths)
    chosen = files.read_json(files.TRAIN_FACTS)
    history = files.read_csv(files.HISTORY, files.HISTORY_HEADER)

    prepare()
    model = keras_file.load(files.MODEL, test.images.shape[1:], len(schema.classes))
    probabilities = keras_file.predict(model, test.images, BATCH_SIZE).astype(np.float64)
    result = Result(
        *(schema.classes, test.paths, test.labels, probabilities),
        *(schema.chosen_on_test, subjects),
    )

    beside = beside_the_network(result, schema, test)
    compared = bars.rows(*(beside, result.labels, subjects, len(schema.classes), params.confidence))
    numbers = metrics(result, params.confidence) | {
        "baseline_accuracy": compared[1][1],
        "majority_accuracy": compared[2][1],
    }
    files.write_csv(files.REPORTS / "bars.csv", bars.HEADER, compared)
    files.write_json(files.REPORTS / "metrics.json", numbers)
    table = per_class(result, params.confidence)
    files.write_csv(files.REPORTS / "per_class.csv", PER_CLASS_HEADER, table)
    files.write_csv(
        files.REPORTS / "confusion.csv",
        scoring.CONFUSION_HEADER,
        scoring.confusion_rows(result.confusion, result.classes, result.chosen_on),
    )
    header = ("path", "actual", "predicted", *(f"p_{name}" for name in schema.classes))
    files.write_csv(files.REPORTS / "predictions.csv", header, prediction_rows(result))
    line = headline(numbers, params.confidence)
    report = text_report(result, line)
    files.write_text(files.REPORTS / "classification_report.txt", report)
    folder, dpi = files.REPORTS / "figures", params.figure_dpi
    figures.draw_confusion(result.confusion, schema.classes, line, dpi, folder / "confusion.png")
    best = chosen["best_epoch"]
    kept = f"Epoch {best} of {len(history)} kept, chosen on {result.chosen_on}"
    figures.draw_curves(history, kept, dpi, folder / "curves.png", best)
    recalls = [dict(zip(PER_CLASS_HEADER, row, strict=True)) for row in table]
    figures.draw_per_class(recalls, line, dpi, folder / "per_class.png")
    print("evaluate: " + report.rstrip().replace("\n", "\n  "))
    print("evaluate: beside it\n  " + "\n  ".join(bars.lines(compared)))
    print(f"evaluate: figures in {files.REPORTS / 'figures'}; `dvc plots show` draws the rest")

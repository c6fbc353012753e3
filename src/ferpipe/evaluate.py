"""Stage `evaluate`: judge the model once, on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)

from ferpipe import (
    bars,
    calibration,
    files,
    keras_file,
    one_vs_rest,
    provenance,
    publish,
    records,
    scoring,
)
from ferpipe.backend import prepare
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.findings import Findings
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.reader import read_section
from ferpipe.wording import summary

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
    """Load model and records, predict test once, write metrics, tables, figures and pages."""
    params = read_section(files.PARAMS, "evaluate", Evaluate)
    made_with = provenance.read()
    schema = records.read_schema(files.RECORDS)
    test = records.read_split(files.RECORDS, schema, "test")
    subjects = subjects_of(test.paths)
    facts = files.read_json(files.TRAIN_FACTS)
    if "temperature" not in facts:
        raise PipelineError(f"{files.TRAIN_FACTS} tells no temperature; run `dvc repro`")

    prepare()
    model = keras_file.load(files.MODEL, test.images.shape[1:], len(schema.classes))
    probabilities = keras_file.predict(model, test.images, BATCH_SIZE).astype(np.float64)
    result = Result(
        *(schema.classes, test.paths, test.labels, probabilities),
        *(schema.chosen_on_test, subjects),
    )

    measured = calibration.before_and_after(
        test.labels, probabilities, facts["temperature"], params.confidence
    )
    beside = beside_the_network(result, schema, test)
    compared = bars.rows(*(beside, result.labels, subjects, len(schema.classes), params.confidence))
    numbers = metrics(result, params.confidence) | calibration.numbers(measured)
    numbers |= {"baseline_accuracy": compared[1][1], "majority_accuracy": compared[2][1]}
    rows = per_class(result, params.confidence)
    found = Findings(
        classes=schema.classes,
        paths=test.paths,
        images=test.images,
        labels=test.labels,
        probabilities=probabilities,
        confidence=params.confidence,
        headline=headline(numbers, params.confidence),
        numbers=numbers,
        per_class=[dict(zip(PER_CLASS_HEADER, row, strict=True)) for row in rows],
        confusion=result.confusion,
        split=files.read_json(files.REPORTS / "split.json"),
        training=facts,
        history=files.read_csv(files.HISTORY, files.HISTORY_HEADER),
        calibration=measured,
        curves=one_vs_rest.curves(test.labels, probabilities, schema.classes),
        provenance=made_with,
        beside=[dict(zip(bars.HEADER, row, strict=True)) for row in compared],
        closest_pairs=files.read_csv(files.CLOSEST_PAIRS, files.CLOSEST_PAIRS_HEADER),
    )
    publish.write_tables(found)
    publish.draw_figures(found, params.figure_dpi)
    publish.write_pages(found, model)
    for told in (*summary(found), *bars.lines(compared)):
        print(f"evaluate: {told}")
    print(f"evaluate: open {publish.REPORT} in a browser; the model card is {publish.MODEL_CARD}")

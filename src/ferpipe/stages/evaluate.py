"""Stage `evaluate`: test the model once, on test, and compare it with its baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import records
from ferpipe.evaluation import baselines, calibration, curves
from ferpipe.evaluation.result import (
    PER_CLASS_HEADER,
    Result,
    headline,
    headline_metrics,
    per_class,
)
from ferpipe.model import saving
from ferpipe.model.backend import prepare
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.reader import read_section
from ferpipe.report import provenance, publish
from ferpipe.report.findings import Findings
from ferpipe.report.text import summary

BATCH_SIZE = 64


def subjects_of(images: Sequence[str]) -> list[str]:
    """Who the images show, from split.csv; empty where their names do not tell.

    Raises:
        PipelineError: split.csv does not name an image.
    """
    subjects = {
        row["path"]: row["subject"] for row in files.read_csv(paths.SPLIT, paths.SPLIT_COLUMNS)
    }
    missing = [path for path in images if path not in subjects]
    if missing:
        raise PipelineError(
            f"{paths.SPLIT} does not name {missing[0]}, which is in {paths.RECORDS}; "
            "run `dvc repro`"
        )
    return [subjects[path] for path in images]


@exits_cleanly("evaluate")
def main() -> None:
    """Load model and records, predict test once, write metrics, tables, figures and pages."""
    params = read_section(paths.PARAMS, "evaluate", Evaluate)
    made_with = provenance.read()
    schema = records.read_schema(paths.RECORDS)
    test = records.read_split(paths.RECORDS, schema, "test")
    subjects = subjects_of(test.paths)
    facts = files.read_json(paths.TRAINING)
    if "temperature" not in facts:
        raise PipelineError(f"{paths.TRAINING} tells no temperature; run `dvc repro`")

    prepare()
    model = saving.load(paths.MODEL, test.images.shape[1:], schema.classes)
    probabilities = saving.predict(model, test.images, BATCH_SIZE).astype(np.float64)
    result = Result(
        classes=schema.classes,
        paths=test.paths,
        labels=test.labels,
        probabilities=probabilities,
        selected_on_test=schema.selected_on_test,
        subjects=subjects,
    )

    measured = calibration.before_and_after(
        test.labels, probabilities, facts["temperature"], params.confidence, subjects
    )
    learned = [records.read_split(paths.RECORDS, schema, name) for name in ("train", "val")]
    network = baselines.Predictions("network", result.predicted, None, result.selected_on)
    classifiers = baselines.rows(
        network,
        baselines.predict(learned, test),
        labels=test.labels,
        subjects=subjects,
        classes=len(schema.classes),
        confidence=params.confidence,
    )
    _, hog, majority = classifiers
    test_metrics = headline_metrics(result, params.confidence)
    test_metrics |= calibration.calibration_metrics(measured)
    test_metrics |= {
        "baseline_accuracy": hog["accuracy"],
        "baseline_p_value": hog["p_value"],
        "majority_accuracy": majority["accuracy"],
    }
    recalls = per_class(result, params.confidence)
    found = Findings(
        classes=schema.classes,
        paths=test.paths,
        images=test.images,
        labels=test.labels,
        probabilities=probabilities,
        confidence=params.confidence,
        headline=headline(test_metrics, params.confidence),
        metrics=test_metrics,
        per_class=[dict(zip(PER_CLASS_HEADER, row, strict=True)) for row in recalls],
        confusion=result.confusion,
        split=files.read_json(paths.SPLIT_AUDIT),
        training=facts,
        history=files.read_csv(paths.HISTORY, paths.HISTORY_COLUMNS),
        calibration=measured,
        curves=curves.curves(test.labels, probabilities, schema.classes),
        provenance=made_with,
        classifiers=classifiers,
        closest_pairs=files.read_csv(paths.CLOSEST_PAIRS, paths.CLOSEST_PAIRS_COLUMNS),
    )
    publish.write_tables(found)
    publish.draw_figures(found, params.figure_dpi)
    publish.write_pages(found, model)
    for line in (*summary(found), *baselines.lines(classifiers)):
        print(f"evaluate: {line}")
    print(f"evaluate: open {publish.REPORT} in a browser; the model card is {publish.MODEL_CARD}")

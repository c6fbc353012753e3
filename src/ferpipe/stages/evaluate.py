"""Stage `evaluate`: judge the model once, on test."""

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
        row["path"]: row["subject"] for row in files.read_csv(paths.SPLIT, paths.SPLIT_HEADER)
    }
    missing = [path for path in images if path not in subjects]
    if missing:
        raise PipelineError(
            f"{paths.SPLIT} does not name {missing[0]}, which is in {paths.RECORDS}; "
            "run `dvc repro`"
        )
    return [subjects[path] for path in images]


def beside_the_network(
    result: Result, schema: records.Schema, test: records.Dataset
) -> list[baselines.Judged]:
    """The network and the bars that have learned from train and val."""
    learned = [records.read_split(paths.RECORDS, schema, name) for name in ("train", "val")]
    network = baselines.Judged("network", result.predicted, None, result.chosen_on)
    return [network, *baselines.predict(learned, test)]


@exits_cleanly("evaluate")
def main() -> None:
    """Load model and records, predict test once, write metrics, tables, figures and pages."""
    params = read_section(paths.PARAMS, "evaluate", Evaluate)
    made_with = provenance.read()
    schema = records.read_schema(paths.RECORDS)
    test = records.read_split(paths.RECORDS, schema, "test")
    subjects = subjects_of(test.paths)
    facts = files.read_json(paths.TRAIN_FACTS)
    if "temperature" not in facts:
        raise PipelineError(f"{paths.TRAIN_FACTS} tells no temperature; run `dvc repro`")

    prepare()
    model = saving.load(paths.MODEL, test.images.shape[1:], schema.classes)
    probabilities = saving.predict(model, test.images, BATCH_SIZE).astype(np.float64)
    result = Result(
        *(schema.classes, test.paths, test.labels, probabilities),
        *(schema.chosen_on_test, subjects),
    )

    measured = calibration.before_and_after(
        test.labels, probabilities, facts["temperature"], params.confidence
    )
    beside = beside_the_network(result, schema, test)
    compared = baselines.rows(
        *(beside, result.labels, subjects, len(schema.classes), params.confidence)
    )
    numbers = headline_metrics(result, params.confidence) | calibration.numbers(measured)
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
        split=files.read_json(paths.REPORTS / "split.json"),
        training=facts,
        history=files.read_csv(paths.HISTORY, paths.HISTORY_HEADER),
        calibration=measured,
        curves=curves.curves(test.labels, probabilities, schema.classes),
        provenance=made_with,
        beside=[dict(zip(baselines.HEADER, row, strict=True)) for row in compared],
        closest_pairs=files.read_csv(paths.CLOSEST_PAIRS, paths.CLOSEST_PAIRS_HEADER),
    )
    publish.write_tables(found)
    publish.draw_figures(found, params.figure_dpi)
    publish.write_pages(found, model)
    for told in (*summary(found), *baselines.lines(compared)):
        print(f"evaluate: {told}")
    print(f"evaluate: open {publish.REPORT} in a browser; the model card is {publish.MODEL_CARD}")

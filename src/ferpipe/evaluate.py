"""Stage `evaluate`: judge the model once, on test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferpipe import (
    bars,
    calibration,
    files,
    keras_file,
    one_vs_rest,
    provenance,
    publish,
    records,
)
from ferpipe.backend import prepare
from ferpipe.errors import PipelineError, exits_cleanly
from ferpipe.findings import Findings
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.reader import read_section
from ferpipe.result import PER_CLASS_HEADER, Result, headline, metrics, per_class
from ferpipe.wording import summary

BATCH_SIZE = 64


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

"""Stage `evaluate`: predict test once, and report the metrics of the model and its baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.core.tables import read_table
from ferpipe.data import records
from ferpipe.data.shards import Images
from ferpipe.evaluation import baselines, calibration, card, curves, robustness
from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.evaluation.result import Result, headline_metrics, per_class
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.report import model_card, provenance
from ferpipe.report.findings import Findings
from ferpipe.report.text import summary

BATCH_SIZE = 64  # images up to LARGE pixels
LARGE = 96


def batch_size(input_size: int | Sequence[int]) -> int:
    """Images that are predicted at once; fewer of larger ones, for activations of the same size."""
    side = max([input_size] if isinstance(input_size, int) else input_size)
    return max(1, min(BATCH_SIZE, BATCH_SIZE * LARGE**2 // side**2))


def subjects_of(images: Sequence[str]) -> list[str]:
    """The subject of each image, from split.csv; "" if its name does not state one.

    Raises:
        PipelineError: split.csv does not list an image.
    """
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS).set_index("path")
    missing = [path for path in images if path not in split.index]
    if missing:
        raise PipelineError(
            f"{paths.SPLIT} does not list {missing[0]}, which is in {paths.RECORDS}; "
            "run `dvc repro`"
        )
    return split["subject"].loc[images].tolist()


def framing_of(source: str, images: Images) -> np.ndarray | None:
    """Where eyes, nose and mouth lie in the training images; None if that cannot be measured."""
    if source == "sample":
        from ferpipe.sources.sample.framing import FRAMING

        return FRAMING
    from ferpipe.faces.framing import measure

    return measure(images)


@exits_cleanly("evaluate")
def main() -> None:
    """Load model and records, predict test, write metrics, tables, figures, pages and the model."""
    params = read_section(paths.PARAMS, "evaluate", Evaluate)
    made_from = provenance.read()
    schema = records.read_schema(paths.RECORDS)
    # Few images of train and val are needed.
    budget = {"train": 0, "val": 0, "test": read_section(paths.PARAMS, "run", Run).memory_mb}
    train, val, test = (
        records.read_split(paths.RECORDS, schema, name, memory_mb)
        for name, memory_mb in budget.items()
    )
    test_paths = list(test.paths)
    subjects = subjects_of(test_paths)
    training = files.read_json(paths.TRAINING)
    if "temperature" not in training:
        raise PipelineError(f"{paths.TRAINING} has no temperature; run `dvc repro`")

    learned_baselines = baselines.predict([train, val], test)
    # Keras after the baselines, which take as much memory, but for a moment.
    from ferpipe.evaluation import feature_network
    from ferpipe.model import saving
    from ferpipe.model.backend import prepare
    from ferpipe.report import publish

    prepare()
    batch = batch_size(made_from.params["train"]["input_size"])
    model = saving.load(paths.TRAINED, test.images.shape[1:], schema.classes)
    result = Result(
        classes=schema.classes,
        paths=test_paths,
        labels=test.labels,
        probabilities=saving.predict(model, test.images, batch).astype(np.float64),
        selected_on_test=schema.selected_on_test,
        subjects=subjects,
    )
    calibrations = calibration.before_and_after(
        test.labels, result.probabilities, training["temperature"], params.confidence, subjects
    )
    compared = baselines.compare(result, learned_baselines, params.confidence)
    _, hog, majority = compared.to_dict("records")
    findings = Findings(
        result=result,
        images=test.images,
        confidence=params.confidence,
        metrics={
            **headline_metrics(result, params.confidence),
            **calibration.calibration_metrics(calibrations),
            "baseline_accuracy": hog["accuracy"],
            "baseline_p_value": hog["p_value"],
            "majority_accuracy": majority["accuracy"],
        },
        per_class=per_class(result, params.confidence),
        baselines=compared,
        calibration=calibrations,
        curves=curves.curves(test.labels, result.probabilities, schema.classes),
        robustness=robustness.measure(
            result,
            test.images,
            lambda images: saving.predict(model, images, batch),
            CORRUPTIONS if params.robustness else (),
            params.confidence,
        ),
        audit=files.read_json(paths.SPLIT_AUDIT),
        training=training,
        history=read_table(paths.HISTORY, paths.HISTORY_COLUMNS),
        closest_pairs=read_table(paths.CLOSEST_PAIRS, paths.CLOSEST_PAIRS_COLUMNS),
        provenance=made_from,
    )
    framed = framing_of(made_from.params["download"]["source"], train.images)
    held_out = test if schema.selected_on_test else val
    distance = feature_network.measure(model, train, held_out.images, schema.selected_on, batch)
    card.publish(paths.TRAINED, paths.MODEL, model_card.for_file(findings, framed, distance))
    publish.publish(findings, model, params.figure_dpi)
    for line in (*summary(findings), *baselines.lines(compared)):
        print(f"evaluate: {line}")
    print(f"evaluate: open {publish.REPORT} in a browser; the model card is {publish.MODEL_CARD}")

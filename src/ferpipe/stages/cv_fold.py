"""Stage `cv_fold`: train without one fold and predict it; one process for each seed and fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import folds, records
from ferpipe.data.records import ALL
from ferpipe.model import backend_choice
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train


def parts_of(everything: records.Dataset, splits: list[str]) -> dict[str, records.Dataset]:
    """Divide the images by the fold's splits.

    Args:
        everything: all images (n).
        splits: (n), "train", "val" or "test".

    Returns:
        train, val and test, each in the order of `everything`.
    """
    names = np.array(splits)
    return {name: everything.take(np.flatnonzero(names == name)) for name in paths.SPLITS}


def predict(
    params: Train, schema: records.Schema, parts: dict[str, records.Dataset]
) -> dict[str, np.ndarray]:
    """Train on train and predict val and test.

    Args:
        params: the section `train`.
        schema: of the images.
        parts: train, val and test; where val is empty, test chooses the epoch.

    Returns:
        For val (unless it is empty, or the head was refit on it) and test, float64 (n, classes)
        probabilities.

    Raises:
        PipelineError: see `train`.
    """
    # Keras takes its backend when it is imported, and TensorFlow takes seconds.
    from ferpipe.model import saving
    from ferpipe.model.losses import softmax
    from ferpipe.training.loop import refits_on_val, train

    chooser = "test" if schema.selected_on_test else "val"
    model, _, _ = train(params, schema, parts["train"], parts[chooser])
    return {
        name: softmax(saving.predict(model, parts[name].images, params.batch_size))
        for name in (("test",) if refits_on_val(params, schema) else ("val", "test"))
        if parts[name].paths
    }


def rows(
    name: str, part: records.Dataset, probabilities: np.ndarray, classes: list[str]
) -> list[tuple[str, ...]]:
    """Rows of the predictions file.

    Args:
        name: "val" or "test".
        part: that split (n).
        probabilities: float (n, classes).
        classes: class names, in the order of the columns.
    """
    return [
        (path, name, classes[label], classes[row.argmax()], *(f"{p:.6f}" for p in row))
        for path, label, row in zip(part.paths, part.labels, probabilities, strict=True)
    ]


@exits_cleanly("cv_fold")
def main(seed: int, fold: int) -> None:
    """Read params, records and folds, train, write the fold's predictions.

    Args:
        seed: one of cv.seeds; of the folds, and of the training in place of train.seed.
        fold: the fold that is test, from 0.
    """
    params = read_section(paths.PARAMS, "train", Train).model_copy(update={"seed": seed})
    schema = records.read_schema(paths.CV_RECORDS)
    everything = records.read_split(paths.CV_RECORDS, schema, ALL)
    table = folds.read_folds(folds.folds_path(seed))
    if everything.paths != table.paths:
        raise PipelineError(
            f"{paths.CV_RECORDS} and {folds.folds_path(seed)} differ in their images; "
            "run `dvc repro cv/dvc.yaml`"
        )
    if not 0 <= fold < folds.FOLDS:
        raise PipelineError(f"--fold {fold}: the folds are 0 to {folds.FOLDS - 1}")
    parts = parts_of(everything, table.splits[fold])
    schema = replace(schema, selected_on_test=not parts["val"].paths)

    sizes = ", ".join(f"{name} {len(part.paths)}" for name, part in parts.items())
    print(f"cv_fold: seed {seed}, fold {fold} (0 to {folds.FOLDS - 1}): {sizes}", flush=True)
    backend_choice.choose(params.backend)
    predicted = predict(params, schema, parts)

    path = folds.predictions_path(seed, fold)
    lines = [
        row
        for name, probabilities in predicted.items()
        for row in rows(name, parts[name], probabilities, schema.classes)
    ]
    files.write_csv(path, folds.predictions_header(schema.classes), lines)
    right = int((predicted["test"].argmax(axis=1) == parts["test"].labels).sum())
    flag = ", optimistic: selected on test" if schema.selected_on_test else ""
    print(f"cv_fold: {right} of {len(parts['test'].paths)} test images right{flag}; all in {path}")

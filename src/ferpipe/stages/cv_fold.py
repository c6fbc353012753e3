"""Stage `cv_fold`: train without one fold and predict it; one process per seed and fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data import folds, records
from ferpipe.model import backend_choice
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.train import Train


def predict(
    params: Train,
    schema: records.Schema,
    parts: dict[str, records.Dataset],
    memory_mb: int = records.MEMORY_MB,
) -> dict[str, np.ndarray]:
    """Train and predict test, and val unless it is empty or the head was refit on it.

    Returns probabilities float64 (n, classes) of each.
    """
    # Keras reads its backend when it is imported, and TensorFlow takes seconds.
    from ferpipe.model import saving
    from ferpipe.model.losses import softmax
    from ferpipe.training.loop import refits_on_val, train

    validation = parts[schema.selected_on]
    model, _, _ = train(params, schema, parts["train"], validation, memory_mb=memory_mb)
    only_test = schema.selected_on_test or refits_on_val(params, schema)
    return {
        name: softmax(saving.predict(model, parts[name].images, params.batch_size))
        for name in (("test",) if only_test else ("val", "test"))
    }


def predictions_table(
    split: str, part: records.Dataset, probabilities: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """Rows of the predictions file for one split, probabilities with six decimals."""
    names = np.array(classes)
    actual, predicted = names[part.labels], names[probabilities.argmax(axis=1)]
    columns = (list(part.paths), split, actual, predicted, *np.char.mod("%.6f", probabilities.T))
    return pd.DataFrame(dict(zip(folds.predictions_header(classes), columns, strict=True)))


@exits_cleanly("cv_fold")
def main(seed: int, fold: int) -> None:
    """Train without a fold (from 0) of a seed of cv.seeds, and write its predictions."""
    params = read_section(paths.PARAMS, "train", Train).model_copy(update={"seed": seed})
    run = read_section(paths.PARAMS, "run", Run)
    schema = records.read_schema(paths.CV_RECORDS)
    images = records.read_split(paths.CV_RECORDS, schema, records.ALL, run.memory_mb)
    table = folds.read_folds(seed)
    if list(images.paths) != table["path"].tolist():
        raise PipelineError(
            f"{paths.CV_RECORDS} and {folds.folds_path(seed)} list other images; "
            "run `dvc repro cv/dvc.yaml`"
        )
    last = folds.count_folds(table) - 1
    if not 0 <= fold <= last:
        raise PipelineError(f"--fold {fold}: the folds are 0 to {last}")
    splits = table[f"fold_{fold}"]
    parts = {name: images.take(np.flatnonzero(splits == name)) for name in paths.SPLITS}
    schema = replace(schema, selected_on_test=not parts["val"].paths)

    sizes = ", ".join(f"{name} {len(part.paths)}" for name, part in parts.items())
    print(f"cv_fold: seed {seed}, fold {fold} (0 to {last}): {sizes}", flush=True)
    backend_choice.choose(params.backend)
    probabilities = predict(params, schema, parts, run.memory_mb)

    path = folds.predictions_path(seed, fold)
    predictions = pd.concat(
        predictions_table(name, parts[name], values, schema.classes)
        for name, values in probabilities.items()
    )
    tables.write_table(path, predictions)
    test = predictions[predictions["split"] == "test"]
    correct = (test["actual"] == test["predicted"]).sum()
    flag = ", optimistic: selected on test" if schema.selected_on_test else ""
    print(f"cv_fold: {correct} of {len(test)} test images correct{flag}; all in {path}")

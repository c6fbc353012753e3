"""Stage `fold`: train without one fold and predict it; one process for each seed and fold."""

from __future__ import annotations

import numpy as np

from ferpipe import crossval, files, keras_file, records
from ferpipe.errors import exits_cleanly
from ferpipe.index import read_index
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.params.train import Train
from ferpipe.scoring import softmax
from ferpipe.train import train, val_teaches


def predict(
    params: Train, schema: records.Schema, parts: dict[str, records.Dataset]
) -> dict[str, np.ndarray]:
    """Train on train and predict val and test.

    Args:
        params: the section `train`.
        schema: of the images.
        parts: train, val and test; where val is empty, test chooses the epoch.

    Returns:
        For val (unless it is empty, or has taught) and test, float64 (n, classes) probabilities.

    Raises:
        PipelineError: see `train`.
    """
    chooser = "test" if schema.chosen_on_test else "val"
    model, _, _ = train(params, schema, parts["train"], parts[chooser])
    return {
        name: softmax(keras_file.predict(model, parts[name].images, params.batch_size))
        for name in (("test",) if val_teaches(params, schema) else ("val", "test"))
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


@exits_cleanly("fold")
def main(seed: int, fold: int) -> None:
    """Read params and index, deal, decode, train, write the fold's predictions.

    Args:
        seed: of the dealing and of the training, in place of split.seed and train.seed.
        fold: the fold that is test, from 0.
    """
    split = read_section(files.PARAMS, "split", Split)
    preprocess = read_section(files.PARAMS, "preprocess", Preprocess)
    params = read_section(files.PARAMS, "train", Train).model_copy(update={"seed": seed})
    workers = read_section(files.PARAMS, "run", Run).workers
    index = read_index(files.INDEX)
    path = crossval.predictions_path(seed, fold)
    paths = [row["path"] for row in index]
    dealt = crossval.deal(paths, split, seed, fold, crossval.repeats(paths))
    schema, parts = crossval.decode(dealt, preprocess, workers, path)

    sizes = ", ".join(f"{name} {schema.images[name]}" for name in files.SPLITS)
    print(f"fold: seed {seed}, fold {fold} (0 to {crossval.FOLDS - 1}): {sizes}", flush=True)
    found = predict(params, schema, parts)

    table = [row for name in found for row in rows(name, parts[name], found[name], schema.classes)]
    files.write_csv(path, crossval.predictions_header(schema.classes), table)
    right = int((found["test"].argmax(axis=1) == parts["test"].labels).sum())
    flag = ", chosen on test: too high" if schema.chosen_on_test else ""
    print(f"fold: {right} of {schema.images['test']} test images right{flag}; all in {path}")

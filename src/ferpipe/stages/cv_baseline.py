"""Stage `cv_baseline`: predict every fold of every seed with the baseline, without a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ferpipe.core import paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds, records
from ferpipe.data.records import ALL
from ferpipe.data.shards import Images
from ferpipe.evaluation import hog
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run


def predict(
    dataset: records.Dataset,
    classes: list[str],
    fold_tables: Mapping[int, pd.DataFrame],
    memory_mb: int = records.MEMORY_MB,
) -> pd.DataFrame:
    """Predict each fold of each seed from all others: the table baseline.csv.

    Val is learned from as well, because the baseline selects nothing on it. Features of more than
    `memory_mb` million bytes are computed anew for each fold.
    """
    names, parts = np.array(classes), []
    fits = len(dataset.labels) * hog.FEATURES * 8 <= memory_mb * records.MB
    features = hog.features(dataset.images) if fits else None

    def images_at(rows: np.ndarray) -> Images:
        return dataset.take(rows).images

    image_paths, actual = np.array(list(dataset.paths)), names[dataset.labels]
    for seed, fold_table in fold_tables.items():
        for fold, name in enumerate(folds.fold_columns(folds.count_folds(fold_table))):
            test = np.flatnonzero(fold_table[name] == "test")
            training = np.flatnonzero(fold_table[name].isin(["train", "val"]))
            training = training[hog.subsample(len(training))]
            learned = features[training] if fits else hog.features(images_at(training))
            classifier = hog.fit(learned, dataset.labels[training])
            predicted = (
                classifier(features[test]) if fits else hog.classify(classifier, images_at(test))
            )
            table = {"seed": seed, "fold": fold, "path": image_paths[test]}
            table |= {"actual": actual[test], "predicted": names[predicted]}
            parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)


@exits_cleanly("cv_baseline")
def main() -> None:
    """Read params, records and folds, predict, write baseline.csv."""
    seeds = read_section(paths.PARAMS, "cv", CrossValidation).seeds
    schema = records.read_schema(paths.CV_RECORDS)
    memory_mb = read_section(paths.PARAMS, "run", Run).memory_mb
    dataset = records.read_split(paths.CV_RECORDS, schema, ALL, memory_mb)
    fold_tables = {seed: folds.read_folds(seed) for seed in seeds}
    table = predict(dataset, schema.classes, fold_tables, memory_mb)
    tables.write_table(paths.CV_BASELINE, table)
    right = (table["actual"] == table["predicted"]).mean()
    fewest = min(table["fold_0"].isin(["train", "val"]).sum() for table in fold_tables.values())
    some = f", learned from {hog.MOST_IMAGES} images of a fold" if fewest > hog.MOST_IMAGES else ""
    print(
        f"cv_baseline: HOG and kernel ridge classify {right:.1%} of the test images correctly "
        f"(seeds: {len(seeds)}{some}); all in {paths.CV_BASELINE}"
    )

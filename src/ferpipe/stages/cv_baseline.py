"""Stage `cv_baseline`: predict every fold of every seed with the baseline, without a network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ferpipe.core import paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds, records
from ferpipe.data.records import ALL
from ferpipe.evaluation import hog
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section


def predict(
    dataset: records.Dataset, classes: list[str], fold_tables: Mapping[int, pd.DataFrame]
) -> pd.DataFrame:
    """Predict each fold of each seed from all others: the table baseline.csv.

    Val is learned from as well, because the baseline selects nothing on it.
    """
    names, features, parts = np.array(classes), hog.features(dataset.images), []
    image_paths, actual = np.array(list(dataset.paths)), names[dataset.labels]
    for seed, fold_table in fold_tables.items():
        for fold, name in enumerate(folds.fold_columns(folds.count_folds(fold_table))):
            test = (fold_table[name] == "test").to_numpy()
            training = np.flatnonzero(fold_table[name].isin(["train", "val"]))
            training = training[hog.subsample(len(training))]
            classify = hog.fit(features[training], dataset.labels[training])
            table = {"seed": seed, "fold": fold, "path": image_paths[test]}
            table |= {"actual": actual[test], "predicted": names[classify(features[test])]}
            parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)


@exits_cleanly("cv_baseline")
def main() -> None:
    """Read params, records and folds, predict, write baseline.csv."""
    seeds = read_section(paths.PARAMS, "cv", CrossValidation).seeds
    schema = records.read_schema(paths.CV_RECORDS)
    dataset = records.read_split(paths.CV_RECORDS, schema, ALL)
    fold_tables = {seed: folds.read_folds(seed) for seed in seeds}
    table = predict(dataset, schema.classes, fold_tables)
    tables.write_table(paths.CV_BASELINE, table)
    right = (table["actual"] == table["predicted"]).mean()
    fewest = min(table["fold_0"].isin(["train", "val"]).sum() for table in fold_tables.values())
    some = f", learned from {hog.MOST_IMAGES} images of a fold" if fewest > hog.MOST_IMAGES else ""
    print(
        f"cv_baseline: HOG and kernel ridge classify {right:.1%} of the test images correctly "
        f"(seeds: {len(seeds)}{some}); all in {paths.CV_BASELINE}"
    )

"""Stage `cv_baseline`: what the baseline without a network reaches on every fold of every seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ferpipe.core import files, paths
from ferpipe.core.errors import exits_cleanly
from ferpipe.data import folds, records
from ferpipe.data.records import ALL
from ferpipe.evaluation import hog
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section


def predict(
    everything: records.Dataset, classes: list[str], tables: Mapping[int, folds.FoldTable]
) -> Iterator[tuple[int, int, str, str, str]]:
    """Predict each fold from all others.

    The baseline chooses nothing, so val trains too: it should be as good as it can be.

    Args:
        everything: all images (n).
        classes: class names; a label is an index into them.
        tables: the folds of each seed.

    Yields:
        Rows of baseline.csv: seed, fold, path, actual and predicted class.
    """
    features = hog.features(everything.images)
    for seed, table in tables.items():
        for fold, splits in enumerate(table.splits):
            test = np.array(splits) == "test"
            classify = hog.fit(features[~test], everything.labels[~test])
            for number, guess in zip(np.flatnonzero(test), classify(features[test]), strict=True):
                label = everything.labels[number]
                yield seed, fold, everything.paths[number], classes[label], classes[guess]


@exits_cleanly("cv_baseline")
def main() -> None:
    """Read params, records and folds, write what is predicted for each fold."""
    seeds = read_section(paths.PARAMS, "cv", CrossValidation).seeds
    schema = records.read_schema(paths.CV_RECORDS)
    everything = records.read_split(paths.CV_RECORDS, schema, ALL)
    tables = {seed: folds.read_folds(folds.folds_path(seed)) for seed in seeds}
    rows = list(predict(everything, schema.classes, tables))
    files.write_csv(paths.CV_BASELINE, paths.CV_BASELINE_COLUMNS, rows)
    right = sum(actual == predicted for *_, actual, predicted in rows)
    fewest = min(sum(name != "test" for name in t.splits[0]) for t in tables.values())
    some = f", learned from {hog.MOST_IMAGES} images of a fold" if fewest > hog.MOST_IMAGES else ""
    print(
        f"cv_baseline: HOG and kernel ridge get {right / len(rows):.1%} of the test images right "
        f"(seeds: {len(seeds)}{some}); all in {paths.CV_BASELINE}"
    )

"""Stage `baseline`: what the bar without a network reaches on every fold of every seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ferpipe import crossval, files, hog, records
from ferpipe.errors import exits_cleanly
from ferpipe.index import read_index
from ferpipe.params.cv import CrossValidation
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.split import Row


def predict(
    images: records.Dataset,
    classes: Sequence[str],
    params: Split,
    seeds: Sequence[int],
    repeats: Mapping[str, str] | None = None,
) -> Iterator[tuple[int, int, str, str, str]]:
    """Predict each fold from all others.

    Val trains too: the baseline has nothing to choose, and a bar should be as high as it can be.

    Args:
        images: all of them (n).
        classes: class names; a label is an index into them.
        params: the section `split`.
        seeds: the seeds to deal with.
        repeats: as `crossval.deal` takes them.

    Yields:
        Rows of baseline.csv: seed, fold, path, actual and predicted class.

    Raises:
        PipelineError: see `split` and `hog.fit`.
    """
    features = hog.features(images.images)
    for seed in seeds:
        for fold in range(crossval.FOLDS):
            dealt = crossval.deal(images.paths, params, seed, fold, repeats)
            test = np.array([row.split == "test" for row in dealt])
            classify = hog.fit(features[~test], images.labels[~test])
            found = classify(features[test])
            for number, guess in zip(np.flatnonzero(test), found, strict=True):
                label = images.labels[number]
                yield seed, fold, images.paths[number], classes[label], classes[guess]


@exits_cleanly("baseline")
def main() -> None:
    """Read params and index, decode all images, write what is predicted for each fold."""
    cv = read_section(files.PARAMS, "cv", CrossValidation)
    split = read_section(files.PARAMS, "split", Split)
    preprocess = read_section(files.PARAMS, "preprocess", Preprocess)
    workers = read_section(files.PARAMS, "run", Run).workers
    index = read_index(files.INDEX)
    everyone = [Row(row["path"], row["label"], "", "", "train") for row in index]
    schema, parts = crossval.decode(everyone, preprocess, workers, files.CV_BASELINE)

    everything = parts["train"]
    repeats = crossval.repeats(everything.paths)
    table = list(predict(everything, schema.classes, split, cv.seeds, repeats))
    files.write_csv(files.CV_BASELINE, files.CV_BASELINE_HEADER, table)
    right = sum(actual == predicted for *_, actual, predicted in table)
    print(
        f"baseline: HOG and kernel ridge get {right / len(table):.1%} of the test images right "
        f"(seeds: {len(cv.seeds)}); all in {files.CV_BASELINE}"
    )

"""The cross-validation that all stages of cv/dvc.yaml share: who is in which fold, and its files.

Each seed deals the images into ten folds; each fold is test once, so a seed judges every image
exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ferpipe import files, leakage, records
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import checked
from ferpipe.params.split import Split
from ferpipe.preprocess import preprocess
from ferpipe.split import Row, split

FOLDS = 10


def repeats(paths: Sequence[str]) -> dict[str, str]:
    """Find the images of data/raw/images.zip that are there more than once: see `leakage.repeats`.

    Args:
        paths: what it should hold, in its order.
    """
    return leakage.repeats(paths, leakage.look(files.IMAGES, paths).digests)


def deal(
    paths: Sequence[str],
    params: Split,
    seed: int,
    fold: int,
    repeats: Mapping[str, str] | None = None,
) -> list[Row]:
    """Deal the images for one fold.

    Args:
        paths: `<label>/<file>` of each image.
        params: the section `split`; seed, folds and fold are replaced.
        seed: one of cv.seeds; all its folds come from one dealing.
        fold: the fold that is test, 0..9.
        repeats: the images that are there more than once; they stay together.

    Returns:
        One row an image, in the order of `paths`.

    Raises:
        PipelineError: see `split`.
    """
    values = params.model_dump() | {"seed": seed, "folds": FOLDS, "fold": fold}
    return split(paths, checked(values, Split, files.PARAMS, prefix="split"), repeats)


def decode(
    rows: Sequence[Row], params: Preprocess, workers: int, target: Path
) -> tuple[records.Schema, dict[str, records.Dataset]]:
    """Decode the images of data/raw/images.zip as the stage `preprocess` does.

    Args:
        rows: which image is in which split.
        params: the section `preprocess`.
        workers: threads that decode; 0: one a core.
        target: what is made of them; the records lie beside it while they are read.

    Returns:
        The schema of the records, and each split in memory.
    """
    with files.scratch(target) as folder:
        schema = preprocess([asdict(row) for row in rows], files.IMAGES, params, folder, workers)
        return schema, {part: records.read_split(folder, schema, part) for part in files.SPLITS}


def predictions_path(seed: int, fold: int) -> Path:
    """Where the predictions of a fold lie."""
    return files.CV_PREDICTIONS / f"seed-{seed}-fold-{fold}.csv"


def predictions_header(classes: Sequence[str]) -> tuple[str, ...]:
    """The columns of a fold's predictions: split is val or test, `p_` a probability, 0..1."""
    return ("path", "split", "actual", "predicted", *(f"p_{name}" for name in classes))

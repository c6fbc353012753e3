"""Stage `cv_folds`: assign the images to ten folds for each seed of the cross-validation."""

from __future__ import annotations

import shutil

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data.folds import FOLDS, folds_path
from ferpipe.data.index import read_index
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split
from ferpipe.splitting import near_duplicates
from ferpipe.splitting.assign_folds import assign_folds


@exits_cleanly("cv_folds")
def main() -> None:
    """Read index, images and params; write `data/cv/folds/seed-<seed>.csv`."""
    seeds = read_section(paths.PARAMS, "cv", CrossValidation).seeds
    params = read_section(paths.PARAMS, "split", Split)
    images = read_index(paths.INDEX)["path"].tolist()
    digests, _ = near_duplicates.fingerprints(paths.IMAGES, images)
    repeats = near_duplicates.repeats(images, digests)
    with files.scratch(paths.CV_FOLDS) as temporary:
        folder = temporary / paths.CV_FOLDS.name
        for seed in seeds:
            table = assign_folds(images, params, seed, repeats)
            tables.write_table(folder / folds_path(seed).name, table)
        shutil.rmtree(paths.CV_FOLDS, ignore_errors=True)
        folder.replace(paths.CV_FOLDS)
    print(
        f"cv_folds: {len(images)} images in {FOLDS} folds, grouped by {params.group_by}; "
        f"seeds: {len(seeds)}; tables in {paths.CV_FOLDS}"
    )

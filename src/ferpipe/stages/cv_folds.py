"""Stage `cv_folds`: assign the images to folds for each seed of the cross-validation."""

from __future__ import annotations

import shutil

from ferpipe.core import files, paths, tables
from ferpipe.core.errors import exits_cleanly
from ferpipe.data.folds import folds_path
from ferpipe.data.index import read_index
from ferpipe.params.cv import CrossValidation
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split
from ferpipe.splitting import near_duplicates
from ferpipe.splitting.assign_folds import assign_folds
from ferpipe.splitting.given import given, notes
from ferpipe.splitting.subjects import name_images


@exits_cleanly("cv_folds")
def main() -> None:
    """Read index and params; write `data/cv/folds/seed-<seed>.csv`."""
    cv = read_section(paths.PARAMS, "cv", CrossValidation)
    params = read_section(paths.PARAMS, "split", Split)
    images = name_images(read_index(paths.INDEX), params)
    split = given(images, params)
    folds = len(cv.folds)
    repeats = near_duplicates.repeats(images["path"], images["pixels_sha256"])
    with files.scratch(paths.CV_FOLDS) as temporary:
        folder = temporary / paths.CV_FOLDS.name
        for seed in cv.seeds:
            table = assign_folds(images, params, seed, folds, repeats, split)
            tables.write_table(folder / folds_path(seed).name, table)
        shutil.rmtree(paths.CV_FOLDS, ignore_errors=True)
        folder.replace(paths.CV_FOLDS)
    for note in notes(images, params, split):
        print(f"cv_folds: {note}")
    grouped = f"grouped by {params.group_by}"
    if split and split.folds:
        grouped = f"those of {split.assigned.path}; val {grouped}"
    inside = int((table["fold_0"] != "").sum())
    print(
        f"cv_folds: {inside} images in {folds} folds, {grouped}; "
        f"seeds: {len(cv.seeds)}; tables in {paths.CV_FOLDS}"
    )
    if inside < len(table):
        print(f"cv_folds: test of {split.source} ({len(table) - inside} images) is in no fold")

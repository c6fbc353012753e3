"""Images for tests of splits, as rows of index.csv."""

import pandas as pd

from ferpipe.splitting import assign as assigning
from ferpipe.splitting import assign_folds as assigning_folds
from ferpipe.splitting.subjects import COLUMNS, name_images


def indexed(paths, **columns):
    """The columns of index.csv that a split reads; `columns` (part, ...) are lists or one text."""
    table = pd.DataFrame({"path": list(paths), "label": [path.split("/")[0] for path in paths]})
    told = {name: columns.get(name, "") for name in COLUMNS if name not in table}
    return table.assign(**told).astype("str")[list(COLUMNS)]


def assign(paths, params, repeats=None, given=None, **columns):
    """Assign images whose layout tells `columns`."""
    return assigning.assign(name_images(indexed(paths, **columns), params), params, repeats, given)


def assign_folds(paths, params, seed, folds=10, repeats=None, given=None, **columns):
    """Assign images whose layout tells `columns` to folds."""
    images = name_images(indexed(paths, **columns), params)
    return assigning_folds.assign_folds(images, params, seed, folds, repeats, given)

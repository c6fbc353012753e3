"""Subject and sequence of each image: from the source's layout, or else from the file name."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import PARAMS
from ferpipe.params.split import NAME_GROUPS, Split

SHOWN = 3  # names in a message
COLUMNS = ("path", "label", "pixels_sha256", "part", "subject", "sequence")


def name_images(index: pd.DataFrame, params: Split) -> pd.DataFrame:
    """The columns COLUMNS of index.csv; where subject or sequence is "", the file name's.

    Both are "" where the name has none either. A sequence of the layout that several subjects
    have, such as 001, becomes one of each: `<subject>_001`.
    """
    images = index[list(COLUMNS)].reset_index(drop=True)
    told = (images["subject"] != "") & (images["sequence"] != "")
    people = images[told].groupby("sequence")["subject"].nunique()
    shared = told & images["sequence"].isin(people.index[people > 1])
    if shared.any():
        of_each = images["subject"] + "_" + images["sequence"]
        images["sequence"] = images["sequence"].mask(shared, of_each)
    pattern = re.compile(params.name_pattern)
    for group in NAME_GROUPS:
        if group in pattern.groupindex:
            names = pd.Series(_names(images["path"], pattern, group), dtype="str")
            images[group] = images[group].where(images[group] != "", names)
    return images


def _names(paths: Iterable[str], pattern: re.Pattern[str], group: str) -> list[str]:
    """What a group of the pattern matches in each file name, or ""; equal names are one string."""
    known: dict[str, str] = {}
    matches = (pattern.match(path.split("/", 1)[1]) for path in paths)
    names = ((match[group] or "") if match else "" for match in matches)
    return [known.setdefault(name, name) for name in names]


def groups_of(images: pd.DataFrame, params: Split) -> pd.Series:
    """What `split.group_by` keeps together: the path, sequence or subject of each image.

    Raises:
        PipelineError: an image has no such group.
    """
    if params.group_by == "none":
        return images["path"]
    groups = images[params.group_by]
    unnamed = images["path"][groups == ""]
    if len(unnamed) == 0:
        return groups
    if params.group_by not in re.compile(params.name_pattern).groupindex and (groups == "").all():
        raise PipelineError(
            f"{PARAMS}: split: group_by = {params.group_by!r} needs "
            f"(?P<{params.group_by}>...) in name_pattern, or a source whose layout has it"
        )
    raise PipelineError(
        f"split.group_by = {params.group_by!r}, but {len(unnamed)} of {len(images)} file names "
        f"have no {params.group_by}, such as {unnamed.iloc[0]}; change split.name_pattern so that "
        "it finds it; only if the names tell no people, set split.group_by to 'none', which lets "
        "them be in training and test"
    )


def examples(names: pd.Series) -> str:
    """The number of names that are not empty, and the first of them: `3: S1, S2, ...`."""
    names = sorted(set(names) - {""})
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{more}"

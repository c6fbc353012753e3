"""Splits that others made: the source's official parts, and files of `split.assigned`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.data.assigned import Assigned, read_assigned
from ferpipe.params.split import Split

SHOWN = 3  # images or keys that an error names
SEVERAL = ""


@dataclass(frozen=True)
class Given:
    """The part or fold of each image.

    Args:
        values: parts (train, val, test), or folds from 0; in the order of the images.
        folds: number of folds; None if the values are parts.
        assigned: the file that they come from; None: the source's official parts.
        notes: lines for the user.
    """

    values: pd.Series
    folds: int | None = None
    assigned: Assigned | None = None
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Where it comes from, for printed lines."""
        return self.assigned.path.name if self.assigned else "the source's official parts"

    @property
    def by(self) -> str:
        """Who made the split, as in split_audit.json: official or assigned."""
        return "assigned" if self.assigned else "official"


def given(images: pd.DataFrame, params: Split) -> Given | None:
    """The split that the params ask for; None: images are assigned at random.

    Args:
        images: as of `subjects.name_images`.
        params: the section `split`.

    Raises:
        PipelineError: the source has no official test part, the file does not assign every image
            once, or both are asked for.
    """
    assigned = read_assigned(Path(params.assigned))
    if params.official == "use":
        if assigned:
            raise PipelineError(
                f"split.official = 'use', but {assigned.path} (split.assigned) assigns images too; "
                "set split.official to 'ignore', or remove the rows of the file"
            )
        return Given(_official(images))
    return _match(assigned, images) if assigned else None


def notes(images: pd.DataFrame, params: Split, given: Given | None) -> list[str]:
    """Lines for the user: official parts that are not used, rows that match no image."""
    result = list(given.notes) if given else []
    if params.official == "ignore" and (found := count_parts(images["part"])):
        result.append(f"the source has official parts ({found}): ignored (split.official)")
    return result


def count_parts(parts: Sequence[str]) -> str:
    """Format as `train 80, test 20`; empty if the source has no official parts."""
    counts = Counter(parts)
    return ", ".join(f"{name} {counts[name]}" for name in SPLITS if counts[name])


def _official(images: pd.DataFrame) -> pd.Series:
    parts, use = images["part"], "split.official = 'use', but"
    found = count_parts(parts)
    if not found:
        raise PipelineError(f"{use} the source has no official parts; set it to 'ignore'")
    if (parts == "").any():
        without = images["path"][parts == ""]
        raise PipelineError(
            f"{use} {len(without)} of {len(images)} images are in no official part, such as "
            f"{without.iloc[0]} (parts: {found}); name their part in download.layout.parts"
        )
    for needed in ("test", "train"):
        if needed not in set(parts):
            raise PipelineError(
                f"{use} the source has no official {needed} part (parts: {found}); name it in "
                f"download.layout.parts, such as {{name in the source: {needed}}}"
            )
    return parts


def _match(assigned: Assigned, images: pd.DataFrame) -> Given:
    """Find the images of each row."""
    keys = images[assigned.key]
    known = {key: key for key in keys if key}
    if assigned.key == "path":
        known = _names(images["path"]) | known
    value_of, faults = {}, {"again": [], "several": [], "unknown": []}
    for name, value in assigned.rows:
        key = known.get(name, known.get(_canonical(name)))
        if key is None:
            faults["unknown"].append(name)
        elif key == SEVERAL:
            faults["several"].append(name)
        elif key in value_of:
            faults["again"].append(name)
        else:
            value_of[key] = value
    _check_matched(assigned, images, keys.isin(value_of), faults)
    notes = ()
    if unknown := faults["unknown"]:
        notes = (f"{len(unknown)} rows of {assigned.path} match no image, such as {unknown[0]}",)
    values = keys.map(value_of)
    needed = ("train", "test") if assigned.folds is None else range(assigned.folds)
    if empty := [value for value in needed if value not in set(values)]:
        what = f"to {empty[0]}" if assigned.folds is None else f"to fold {empty[0]} (from 0)"
        raise PipelineError(f"{assigned.path} (split.assigned) assigns no image {what}")
    return Given(values, assigned.folds, assigned, notes)


def _check_matched(
    assigned: Assigned, images: pd.DataFrame, matched: pd.Series, faults: Mapping[str, list[str]]
) -> None:
    """Raise if an image has no row, or a row is of an image that has one or of several."""
    missing = images[~matched]
    if missing.empty and not faults["again"] and not faults["several"]:
        return
    key = assigned.key
    examples = missing[key].where(missing[key] != "", missing["path"] + f" (no {key})")
    found = {
        f"{len(missing)} of {len(images)} images have no row": examples.unique().tolist(),
        f"{len(faults['again'])} rows assign a {key} again": faults["again"],
        f"{len(faults['several'])} rows are of several images": faults["several"],
        f"{len(faults['unknown'])} rows match no image": faults["unknown"],
    }
    listed = "; ".join(
        f"{what}, such as {', '.join(names[:SHOWN])}" for what, names in found.items() if names
    )
    raise PipelineError(
        f"{assigned.path} (split.assigned) should assign every image once: {listed}"
    )


def _names(paths: Sequence[str]) -> dict[str, str]:
    """The path of each image by the file's name; SEVERAL where several images have it."""
    names: dict[str, str] = {}
    for path in paths:
        name = path.split("/", 1)[1]
        names[name] = SEVERAL if name in names else path
    return names


def _canonical(name: str) -> str:
    """The last two components of a path, with slashes."""
    return "/".join(name.replace("\\", "/").split("/")[-2:])

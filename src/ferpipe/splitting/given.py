"""Splits that others made: the source's official parts, and files of `split.assigned`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    """Find the images of each row; every image should have one row."""
    where, key = f"{assigned.path} (split.assigned)", assigned.key
    known = {name: name for name in images[key] if name}
    if key == "path":
        known = _names(images["path"]) | known
    rows = pd.DataFrame(assigned.rows, columns=["name", "value"])
    rows["key"] = [known.get(name, known.get(_canonical(name))) for name in rows["name"]]
    unknown = rows["name"][rows["key"].isna()].tolist()
    several = rows["name"][rows["key"] == SEVERAL].tolist()
    rows = rows[rows["key"].isin(set(known.values()) - {SEVERAL})]
    again = rows["name"][rows["key"].duplicated()].tolist()
    values = images[key].map(rows.drop_duplicates("key").set_index("key")["value"])
    missing = images[values.isna()]
    if len(missing) or again or several:
        without = missing[key].where(missing[key] != "", missing["path"] + f" (no {key})")
        faults = {
            f"{len(missing)} of {len(images)} images have no row": without.unique().tolist(),
            f"{len(again)} rows assign a {key} again": again,
            f"{len(several)} rows are of several images": several,
            f"{len(unknown)} rows match no image": unknown,
        }
        listed = [f"{what}, such as {', '.join(n[:SHOWN])}" for what, n in faults.items() if n]
        raise PipelineError(f"{where} should assign every image once: {'; '.join(listed)}")
    needed = ("train", "test") if assigned.folds is None else range(assigned.folds)
    if empty := [value for value in needed if value not in set(values)]:
        what = f"to {empty[0]}" if assigned.folds is None else f"to fold {empty[0]} (from 0)"
        raise PipelineError(f"{where} assigns no image {what}")
    notes = ()
    if unknown:
        notes = (f"{len(unknown)} rows of {assigned.path} match no image, such as {unknown[0]}",)
    return Given(values, assigned.folds, assigned, notes)


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

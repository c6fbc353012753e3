"""Compares two revisions on the same test images, and tests whether they differ by chance.

A revision is what `dvc metrics diff` accepts: the workspace, a commit, branch or tag of git, or an
experiment of DVC. Its tables come from DVC's cache, or from a remote.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.evaluation.significance import mcnemar, sign_flip

WORKSPACE = "workspace"
PREDICTIONS = paths.REPORTS / "predictions.csv"


@dataclass(frozen=True)
class Revision:
    """The predictions of a revision on test.

    Args:
        name: as requested.
        images: a row a test image, indexed by path: actual, predicted, sha256 (of the file) and
            subject ("" if unknown).
        selected_on_test: whether it has no val, so that test also selected the epoch.
    """

    name: str
    images: pd.DataFrame
    selected_on_test: bool

    @property
    def right(self) -> pd.Series:
        """Whether each image is classified correctly."""
        return self.images["actual"] == self.images["predicted"]


def read(names: Sequence[str]) -> list[Revision]:
    """Read revisions.

    Raises:
        PipelineError: this is no repository of git and DVC, a revision does not exist or has no
            predictions, or neither cache nor remote has them any more.
    """
    # Importing DVC takes half a second.
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.repo.brancher import switch
    from dvc.scm import NoSCMError, RevError

    revisions = []
    try:
        with Repo() as repo:
            for name in names:
                if name == WORKSPACE:
                    revisions.append(_revision(name, _from_workspace))
                    continue
                with switch(repo, name):
                    fs = repo.dvcfs
                    revisions.append(_revision(name, lambda path, fs=fs: _from_revision(fs, path)))
    except RevError:
        raise PipelineError(
            f"there is no revision or experiment {name!r}; `git log` and `dvc exp show` list them"
        ) from None
    except (NotDvcRepoError, NoSCMError):
        raise PipelineError(
            "revisions need a repository of Git and DVC, which this is not"
        ) from None
    except DvcException as error:
        raise PipelineError(f"DVC cannot read {name!r}: {one_line(error)}") from None
    return revisions


def _from_workspace(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(f"has no {path}; run `dvc repro`, which makes it") from None


def _from_revision(fs: object, path: Path) -> str:
    """The text of an output; `fs` is DVC's file system at a revision."""
    try:
        known = fs.info(path.as_posix()).get("md5")
    except FileNotFoundError:
        known = None
    if known is None:
        raise PipelineError(f"has no {path}: the pipeline had not run there")
    try:
        return fs.read_text(path.as_posix(), encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(
            f"made {path}, but neither DVC's cache nor a remote holds it any more; check it out "
            "and run `dvc repro`"
        ) from None


def _revision(name: str, read_text: Callable[[Path], str]) -> Revision:
    """Join the three tables of a revision."""

    def table(path: Path, *columns: str) -> pd.DataFrame:
        try:
            text = io.StringIO(read_text(path))
            table = pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
        except PipelineError as error:
            raise PipelineError(f"{name} {error}") from None
        except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise PipelineError(f"{name}: {path} is not UTF-8 CSV ({one_line(error)})") from None
        if not set(columns) <= set(table):
            raise PipelineError(f"{name}: {path} should have the columns {', '.join(columns)}")
        return table.set_index("path")

    predictions = table(PREDICTIONS, "path", "actual", "predicted")
    split = table(paths.SPLIT, *paths.SPLIT_COLUMNS)
    index = table(paths.INDEX, *paths.INDEX_COLUMNS)
    images = predictions[["actual", "predicted"]].join([index["sha256"], split["subject"]])
    return Revision(name, images.fillna(""), selected_on_test="val" not in set(split["split"]))


def differing_tests(old: Revision, new: Revision) -> str | None:
    """Describe how the test sets differ; None if they have the same images and labels."""
    both = old.images.index.intersection(new.images.index)
    one, other = old.images.loc[both], new.images.loc[both]
    counts = {
        f"only in {old.name}": len(old.images) - len(both),
        f"only in {new.name}": len(new.images) - len(both),
        "in both, with other labels": (one["actual"] != other["actual"]).sum(),
        "in both by name, but other images": (one["sha256"] != other["sha256"]).sum(),
    }
    text = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{text}; {len(both)} names in both" if text else None


def lines(old: Revision, new: Revision, confidence: float) -> list[str]:
    """Describe the difference of two revisions, with the verdict last.

    Args:
        old: the first.
        new: the second.
        confidence: 1 - the significance level.
    """
    text = [
        f"{revision.name}: {revision.right.sum()} of {len(revision.images)} test images right"
        f"{', optimistic: selected on test' if revision.selected_on_test else ''}"
        for revision in (old, new)
    ]
    if differing := differing_tests(old, new):
        return [
            *text,
            f"The test sets differ ({differing}), so the revisions cannot be compared: use the "
            "same split of the same images.",
        ]
    images = new.images.assign(before=old.images["predicted"], change=0)
    images["change"] = new.right.astype(int) - old.right.reindex(images.index).astype(int)
    text += ["", *_per_class(old, new)]
    for what, change in (("right", 1), ("wrong", -1)):
        changed = images[images["change"] == change].sort_index()
        text += ["", f"became {what}: {len(changed)}"]
        text += [
            f"  {row.Index}: was {row.before}, is now {row.predicted}"
            for row in changed.itertuples()
        ]
    changes = images.loc[images["change"] != 0, ["change", "subject"]]
    return [*text, "", verdict(changes, confidence)]


def _per_class(old: Revision, new: Revision) -> list[str]:
    """A line a class: its images, the correct ones of each revision, and the change."""
    right = pd.DataFrame({"label": new.images["actual"], "old": old.right, "new": new.right})
    table = right.groupby("label").agg(
        images=("new", "size"), old=("old", "sum"), new=("new", "sum")
    )
    rows = [
        (*row, f"{row.new - row.old:+d}" if row.new != row.old else "")
        for row in table.itertuples()
    ]
    return tabulate(
        rows, ("right of", "images", old.name, new.name, ""), tablefmt="plain",
        disable_numparse=True, colalign=("left", "right", "right", "right", "left"),
    ).splitlines()  # fmt: skip


def verdict(changes: pd.DataFrame, confidence: float) -> str:
    """State whether a difference is significant.

    Args:
        changes: a row an image that one revision alone classifies correctly: `change` is 1 if it
            is the new one and -1 if it is the old one; `subject` is "" if it is unknown. People
            are tested if all of them are known.
        confidence: 1 - the significance level.
    """
    if changes.empty:
        return "Both get the same images right: there is no difference."
    won, lost = (int((changes["change"] == change).sum()) for change in (1, -1))
    p_value = mcnemar(lost, won)
    tests = f"McNemar's exact test on {len(changes)} images: p = {p_value:.2g}"
    if not (changes["subject"] == "").any():
        balances = changes.groupby("subject")["change"].sum()
        p_value = sign_flip(balances.tolist())
        tests += f"; sign-flip test on their {len(balances)} people: p = {p_value:.2g}"
    if won == lost:
        return f"As many became right as wrong: there is no difference ({tests})."
    if p_value > 1 - confidence:
        return (
            f"The difference is not significant: by chance alone {p_value:.0%} of differences are "
            f"as large ({tests})."
        )
    return (
        f"The difference is significant: by chance alone {p_value:.2g} of differences are as large "
        f"({tests}). If it decides which revision you keep, test has selected it."
    )

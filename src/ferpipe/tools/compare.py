"""Compares two revisions on the same test images, and tests whether they differ by chance.

A revision is what `dvc metrics diff` accepts: the workspace, a commit, branch or tag of git, or an
experiment of DVC. Its tables come from DVC's cache, or from a remote.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
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
        images: a row per test image, indexed by path: actual, predicted, right (whether they are
            equal), sha256 (of the file) and subject ("" if unknown).
        selected_on_test: whether it has no val, so that test also selected the epoch.
    """

    name: str
    images: pd.DataFrame
    selected_on_test: bool


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
                    revisions.append(_revision(name, None))
                    continue
                with switch(repo, name):
                    revisions.append(_revision(name, repo.dvcfs))
    except RevError:
        raise PipelineError(
            f"there is no revision or experiment {name!r}; `git log` and `dvc exp show` list them"
        ) from None
    except (NotDvcRepoError, NoSCMError):
        raise PipelineError("this is not a repository of Git and DVC; clone the project") from None
    except DvcException as error:
        raise PipelineError(f"DVC cannot read {name!r}: {one_line(error)}") from None
    return revisions


def _revision(name: str, fs: object | None) -> Revision:
    """Join the tables of a revision; `fs` is DVC's file system there, None for the workspace."""
    predictions = _read_table(name, fs, PREDICTIONS, ["path", "actual", "predicted"])
    # Of all columns only those that are compared: older revisions have fewer.
    split = _read_table(name, fs, paths.SPLIT, ["path", "subject", "split"])
    index = _read_table(name, fs, paths.INDEX, ["path", "sha256"])
    images = predictions[["actual", "predicted"]].join([index["sha256"], split["subject"]])
    images = images.fillna("").assign(right=images["actual"] == images["predicted"])
    return Revision(name, images, selected_on_test="val" not in set(split["split"]))


def _read_table(name: str, fs: object | None, path: Path, columns: Iterable[str]) -> pd.DataFrame:
    try:
        text = io.StringIO(_read_text(name, fs, path))
        table = pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise PipelineError(f"{name}: {path} is not UTF-8 CSV ({one_line(error)})") from None
    if not set(columns) <= set(table):
        raise PipelineError(f"{name}: {path} should have the columns {', '.join(columns)}")
    return table.set_index("path")


def _read_text(name: str, fs: object | None, path: Path) -> str:
    if fs is None:
        if not path.exists():
            raise PipelineError(f"{name} has no {path}; run `dvc repro`, which makes it")
        return path.read_text(encoding="utf-8")
    output = path.as_posix()
    if not fs.exists(output) or "md5" not in fs.info(output):
        raise PipelineError(f"{name} has no {path}: the pipeline had not run there")
    try:
        return fs.read_text(output, encoding="utf-8")
    except FileNotFoundError:
        raise PipelineError(
            f"{path} of {name} is neither in DVC's cache nor in a remote any more; check it out "
            "and run `dvc repro`"
        ) from None


def differing_tests(old: Revision, new: Revision) -> str | None:
    """Describe how the test sets differ; None if they have the same images and labels."""
    both = old.images.merge(
        new.images, left_index=True, right_index=True, suffixes=("_old", "_new")
    )
    counts = {
        f"only in {old.name}": len(old.images) - len(both),
        f"only in {new.name}": len(new.images) - len(both),
        "in both, with other labels": (both["actual_old"] != both["actual_new"]).sum(),
        "in both by name, but other images": (both["sha256_old"] != both["sha256_new"]).sum(),
    }
    text = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{text}; {len(both)} names in both" if text else None


def report(old: Revision, new: Revision, confidence: float) -> str:
    """Describe the difference of two revisions, with the verdict last; see `verdict`."""
    lines = [
        f"{revision.name}: {revision.images['right'].sum()} of {len(revision.images)} test images "
        f"correct{', optimistic: selected on test' if revision.selected_on_test else ''}"
        for revision in (old, new)
    ]
    if differing := differing_tests(old, new):
        return "\n".join([
            *lines,
            f"The test sets differ ({differing}), so the revisions cannot be compared: use the "
            "same split of the same images.",
        ])  # fmt: skip
    images = new.images.assign(before=old.images["predicted"], right_before=old.images["right"])
    images["change"] = images["right"].astype(int) - images["right_before"].astype(int)
    changed = images[images["change"] != 0].sort_index()
    lines += ["", _per_class(images, old.name, new.name)]
    for what, change in (("right", 1), ("wrong", -1)):
        rows = changed[changed["change"] == change]
        lines += ["", f"became {what}: {len(rows)}"]
        lines += [
            f"  {row.Index}: was {row.before}, is now {row.predicted}" for row in rows.itertuples()
        ]
    return "\n".join([*lines, "", verdict(changed, confidence)])


def _per_class(images: pd.DataFrame, old: str, new: str) -> str:
    """A line per class: its images, the correct ones of each revision, and the change."""
    table = images.groupby("actual").agg(
        images=("change", "size"), old=("right_before", "sum"), new=("right", "sum"),
        change=("change", "sum"),
    )  # fmt: skip
    table["change"] = table["change"].map("{:+d}".format).replace("+0", "")
    return tabulate(
        table, ("right of", "images", old, new, ""), tablefmt="plain", disable_numparse=True,
        colalign=("left", "right", "right", "right", "left"),
    )  # fmt: skip


def verdict(changes: pd.DataFrame, confidence: float) -> str:
    """State whether a difference is significant at the level 1 - `confidence`.

    `changes` has a row per image that only one revision classifies correctly: `change` is 1 for the
    new one, -1 for the old one. People are tested if every `subject` is known (not "").
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

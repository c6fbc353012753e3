"""Compares two revisions on the same test images, and tests whether they differ by chance.

A revision is what `dvc metrics diff` takes: the workspace, a commit, branch or tag of git, or an
experiment of DVC. Its tables come from DVC's cache, or from a remote where there is one.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError, one_line
from ferpipe.evaluation.significance import mcnemar, sign_flip

WORKSPACE = "workspace"
PREDICTIONS = paths.REPORTS / "predictions.csv"

Table = list[dict[str, str]]


@dataclass(frozen=True)
class Revision:
    """What a revision did on test.

    Args:
        name: as it was asked for.
        actual: the class of each test image, by its path.
        predicted: the class that it was taken for.
        digests: SHA-256 of each image's file.
        subjects: who each image shows; empty where its name does not tell.
        selected_on_test: whether it has no val, so that test has chosen the epoch.
    """

    name: str
    actual: Mapping[str, str]
    predicted: Mapping[str, str]
    digests: Mapping[str, str]
    subjects: Mapping[str, str]
    selected_on_test: bool

    def right(self, path: str) -> bool:
        """Whether an image was taken for what it is."""
        return self.actual[path] == self.predicted[path]


def read(names: Sequence[str]) -> list[Revision]:
    """Read what revisions did.

    Args:
        names: of the revisions.

    Raises:
        PipelineError: this is no repository of git and DVC, there is no such revision, it has no
            predictions, or nothing holds them any more.
    """
    # Half a second that the other commands need not wait for.
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc.repo.brancher import switch
    from dvc.scm import NoSCMError, RevError

    found = []
    try:
        with Repo() as repo:
            for name in names:
                if name == WORKSPACE:
                    found.append(_revision(name, _from_workspace))
                    continue
                with switch(repo, name):
                    fs = repo.dvcfs
                    found.append(_revision(name, lambda path, fs=fs: _from_revision(fs, path)))
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
    return found


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


def _revision(name: str, text: Callable[[Path], str]) -> Revision:
    """Put a revision together from the three tables that tell of it."""

    def table(path: Path, *columns: str) -> Table:
        try:
            reader = csv.DictReader(io.StringIO(text(path), newline=""))
            rows = list(reader)
        except PipelineError as error:
            raise PipelineError(f"{name} {error}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise PipelineError(f"{name}: {path} is not UTF-8 CSV ({error})") from None
        if not set(columns) <= set(reader.fieldnames or ()):
            raise PipelineError(f"{name}: {path} should have the columns {', '.join(columns)}")
        return rows

    predictions = table(PREDICTIONS, "path", "actual", "predicted")
    split = table(paths.SPLIT, *paths.SPLIT_COLUMNS)
    index = table(paths.INDEX, *paths.INDEX_COLUMNS)
    return Revision(
        name=name,
        actual={row["path"]: row["actual"] for row in predictions},
        predicted={row["path"]: row["predicted"] for row in predictions},
        digests={row["path"]: row["sha256"] for row in index},
        subjects={row["path"]: row["subject"] for row in split},
        selected_on_test=not any(row["split"] == "val" for row in split),
    )


def differing_tests(old: Revision, new: Revision) -> str | None:
    """Say how the test sets differ; None where they are the same images with the same labels."""
    both = old.actual.keys() & new.actual.keys()
    found = {
        f"only in {old.name}": len(old.actual) - len(both),
        f"only in {new.name}": len(new.actual) - len(both),
        "in both, with other labels": sum(old.actual[path] != new.actual[path] for path in both),
        "in both by name, but other images": sum(
            old.digests.get(path) != new.digests.get(path) for path in both
        ),
    }
    told = ", ".join(f"{count} {what}" for what, count in found.items() if count)
    return f"{told}; {len(both)} names in both" if told else None


def lines(old: Revision, new: Revision, confidence: float) -> list[str]:
    """Tell the difference of two revisions, the verdict last.

    Args:
        old: the one to begin with.
        new: the other.
        confidence: a difference is believed where chance alone gives one as large in at most
            1 - confidence of all cases.
    """
    told = [
        f"{revision.name}: {sum(map(revision.right, revision.actual))} of {len(revision.actual)} "
        f"test images right{', optimistic: selected on test' if revision.selected_on_test else ''}"
        for revision in (old, new)
    ]
    differing = differing_tests(old, new)
    if differing:
        return [
            *told,
            f"The test sets differ ({differing}), so nothing can be said of which is better: "
            "compare revisions with the same split of the same images.",
        ]
    won = sorted(path for path in new.actual if new.right(path) and not old.right(path))
    lost = sorted(path for path in new.actual if old.right(path) and not new.right(path))
    told += ["", *_per_class(old, new)]
    for what, images in (("right", won), ("wrong", lost)):
        told += ["", f"became {what}: {len(images)}"]
        told += [
            f"  {path}: taken for {old.predicted[path]}, now for {new.predicted[path]}"
            for path in images
        ]
    return [*told, "", verdict(won, lost, new.subjects, confidence)]


def _per_class(old: Revision, new: Revision) -> list[str]:
    """A line a class: its images, those that each revision gets right, and the change."""
    images = Counter(new.actual.values())
    right = [
        Counter(revision.actual[path] for path in revision.actual if revision.right(path))
        for revision in (old, new)
    ]
    width = max(len("right of"), *map(len, images))
    columns = [max(len(revision.name), 6) for revision in (old, new)]
    table = [f"{'right of':{width}}  images  {old.name:>{columns[0]}}  {new.name:>{columns[1]}}"]
    for label in sorted(images):
        before, after = (counts[label] for counts in right)
        change = f"  {after - before:+d}" if after != before else ""
        table.append(
            f"{label:{width}}  {images[label]:6}  {before:{columns[0]}}  {after:{columns[1]}}"
            f"{change}"
        )
    return table


def verdict(
    won: Sequence[str], lost: Sequence[str], subjects: Mapping[str, str], confidence: float
) -> str:
    """Say in a sentence or two whether the difference can be believed.

    Args:
        won: images that became right.
        lost: images that became wrong.
        subjects: who each image shows; people are tested where all of them are known.
        confidence: see `lines`.
    """
    if not won and not lost:
        return "Both get the same images right: there is no difference to believe."
    chance = mcnemar(len(lost), len(won))
    tested = f"McNemar's exact test on {len(won) + len(lost)} images: p = {chance:.2g}"
    balances: Counter[str] = Counter()
    for images, step in ((won, 1), (lost, -1)):
        for path in images:
            balances[subjects.get(path, "")] += step
    if "" not in balances:
        chance = sign_flip(balances.values())
        tested += f"; on the {len(balances)} people whom they show: p = {chance:.2g}"
    if len(won) == len(lost):
        return f"As many became right as wrong: there is no difference to believe ({tested})."
    if chance > 1 - confidence:
        return (
            f"The difference cannot be believed: chance alone gives one as large in {chance:.0%} "
            f"of cases ({tested})."
        )
    return (
        f"The difference can be believed: chance alone gives one as large in only {chance:.2g} of "
        f"cases ({tested}). If it decides which one is kept, test has chosen."
    )

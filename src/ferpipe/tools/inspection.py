"""What a data set holds, which layout fits it, and the params to read it with."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ruamel.yaml import YAML
from tabulate import tabulate

from ferpipe.core.errors import PipelineError
from ferpipe.core.paths import SPLITS
from ferpipe.data import images
from ferpipe.params.download import Download, Layout
from ferpipe.params.reader import checked
from ferpipe.sources.intake import conflicts, writing
from ferpipe.sources.intake.distinct import distinct
from ferpipe.sources.intake.files.listing import Tree, open_tree
from ferpipe.sources.intake.layouts import advice, kinds
from ferpipe.sources.intake.member import Found, Member, not_images
from ferpipe.sources.intake.names import name_patterns

SHOWN = 5  # rows of sizes and of reasons
MODES = {"L": "gray", "RGB": "RGB"}


def report(source: Path, params: Download, name_pattern: str, workers: int) -> Iterator[str]:
    """Yield the lines of the report on a data set; nothing is written.

    Args:
        source: what `download.local.path` would be.
        params: its `root`, `layout`, `convert` and `limits` are used.
        name_pattern: `split.name_pattern`, which is kept if it finds subjects.
        workers: threads that decode; 0: one per core.

    Raises:
        PipelineError: the source is missing or cannot be listed, or no layout fits it.
    """
    with open_tree(source, params.limits, params.layout.name_encoding) as tree:
        count = sum(1 for entry in tree.values() if not entry.skip)
        yield f"{source}: {len(tree)} files, {count} of them images"
        layout = params.layout
        try:
            found = kinds.members(tree, layout, params.root, source)
        except PipelineError as error:
            layout, found = _suggested(tree, params, source)
            if found is None:
                yield from _skipped(not_images(tree))
                raise
            yield f"no layout is certain: {error}"
            yield "\nWith the layout that is suggested:"
        conversions = images.Conversions(**dict(params.convert))
        accepted, sizes, refused, notes = _decoded(found.members, conversions, workers)
        yield f"layout: {found.kind}"
        yield from _classes(accepted)
        yield from (f"images: {count} {size}" for size, count in sizes.most_common(SHOWN))
        if rest := len(accepted) - sum(count for _, count in sizes.most_common(SHOWN)):
            yield f"images: {rest} others"
        yield from _skipped([*found.skipped, *refused])
        yield from (f"WARNING: {note}" for note in (*found.notes, *notes))
        subjects = None
        if not all(member.subject for member in found.members):
            subjects = name_patterns.suggest_subjects(found.members, name_pattern)
        if subjects:
            yield _subjects(subjects)
        yield "\nChange these keys of params.yaml:\n"
        yield _params(source, params.root, layout, found, subjects)


def _suggested(
    tree: Tree, params: Download, source: Path
) -> tuple[Layout, Found] | tuple[Layout, None]:
    """The layout that `advice` suggests and its images; None if it suggests none that fits."""
    keys = advice.layout(tree) if params.root is None else None
    if keys is None:
        return params.layout, None
    values = {**params.layout.model_dump(), **keys}
    layout = checked(values, Layout, "the suggestion", prefix="download.layout")
    try:
        return layout, kinds.members(tree, layout, None, source)
    except PipelineError:
        return layout, None


def _decoded(
    members: Sequence[Member], conversions: images.Conversions, workers: int
) -> tuple[list[Member], Counter[str], list[tuple[str, str]], list[str]]:
    """The images that are accepted, their number by size, (path, reason) of the others, notes."""
    accepted, digests, refused = [], [], []
    sizes, converted = Counter(), Counter()
    for member, image in writing.accepted(distinct(members), conversions, refused, workers):
        accepted.append(member)
        digests.append(image.pixels_sha256)
        converted.update(image.used)
        sizes[f"{MODES[image.mode]} {image.width}x{image.height}"] += 1
    notes = writing.note(converted)
    found = [member.path for member in accepted], [member.label for member in accepted]
    if same := conflicts.find(*found, digests):
        path, other = next(iter(same.items()))
        notes.append(
            f"{len(same)} images have the pixels of an image with another label, such as {path} "
            f"and {other}; download.conflicts: drop leaves them out"
        )
    return accepted, sizes, refused, notes


def _classes(members: Sequence[Member]) -> Iterator[str]:
    """Images of each class, by official part if there are any."""
    counts = Counter((member.label, member.part) for member in members)
    parts = [part for part in (*SPLITS, "") if any(told == part for _, told in counts)]
    rows = []
    for label in sorted({label for label, _ in counts}):
        of_part = [counts[label, part] for part in parts]
        rows.append([label, *of_part, sum(of_part)] if len(parts) > 1 else [label, *of_part])
    names = [part or "no part" for part in parts]
    header = ["class", *names, "images"] if len(parts) > 1 else ["class", "images"]
    yield "\n" + tabulate(rows, header, disable_numparse=True, colalign=["left"]) + "\n"
    for fact in ("subject", "sequence"):
        if told := {getattr(member, fact) for member in members} - {""}:
            yield f"{fact}s: {len(told)}, such as {', '.join(sorted(told)[:3])}"


def _skipped(skipped: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The reasons of skipped files, with an example of each."""
    paths = defaultdict(list)
    for path, reason in sorted(skipped):
        paths[reason].append(path)
    for reason, files in sorted(paths.items(), key=lambda item: (-len(item[1]), item[0])):
        yield f"skipped: {len(files)} ({reason}), such as {files[0]}"


def _subjects(subjects: name_patterns.Subjects) -> str:
    names = f"{len(subjects.names)}, such as {', '.join(subjects.names[:3])}"
    if subjects.likely:
        return f"subjects in file names: {names}"
    return (
        f"parts of file names that several classes share: {names}; if they are people, set "
        f"split.group_by to subject and split.name_pattern to {subjects.pattern}"
    )


def _params(
    source: Path,
    root: str | None,
    layout: Layout,
    found: Found,
    subjects: name_patterns.Subjects | None,
) -> str:
    """The keys of params.yaml that read the source this way, as YAML."""
    keys = {key: value for key, value in layout.model_dump().items() if value not in (None, {})}
    keys["kind"] = found.kind
    if found.kind != "frames":
        keys.pop("last_frames")
    download = {"source": "local", "local": {"path": str(source)}, "layout": keys}
    if root is not None:
        download["root"] = root
    split: dict[str, str] = {}
    if all(member.subject for member in found.members):
        split["group_by"] = "subject"
    elif subjects and subjects.likely:
        split |= {"group_by": "subject", "name_pattern": subjects.pattern}
    else:
        split["group_by"] = "none"
    if any(member.part for member in found.members):
        split["official"] = "use"
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 4096  # never fold a line
    yaml.dump({"download": download, "split": split}, stream)
    return stream.getvalue().rstrip()

"""Class names: the class map, names that differ in blanks or case only, names that look alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import as_yaml
from ferpipe.sources.intake.member import Found, Member, clean, nfc
from ferpipe.sources.intake.names import words

KEY = "download.layout.classes"


def apply(found: Found, classes: Mapping[str, str | None], source: Path) -> Found:
    """Turn the labels of a source into class names.

    Args:
        found: the images with the labels of the source.
        classes: `download.layout.classes`: the class of a label, None to leave its images out. A
            label that it does not name gets its name in `found.codes`, or stays.
        source: the zip, folder or file, for error messages.

    Raises:
        PipelineError: a key is no label, a class name cannot be a folder, or classes differ in
            case only.
    """
    classes = {clean(label): name and clean(name) for label, name in classes.items()}
    labels = {member.label: clean(member.label) for member in found.members}
    for label in classes:
        if label not in labels.values():
            known = ", ".join(sorted(set(labels.values()))) or "none"
            raise PipelineError(f"{KEY}: {source} has no label {label!r}; its labels: {known}")
    names = {label: classes.get(key, found.codes.get(key, key)) for label, key in labels.items()}
    changed = {labels[label]: name for label, name in names.items()}
    _check_names(changed, classes, source)
    members, left_out = [], []
    for member in found.members:
        if names[member.label] is None:
            left_out.append((member.path, f"left out by {KEY}"))
        else:
            members.append(member)
    return found._replace(
        members=_renamed(members, names),
        skipped=[*found.skipped, *left_out],
        notes=[*found.notes, *_blanks(labels), *_doubts(members, names, changed, classes)],
    )


def merged(counts: Mapping[str, int]) -> dict[str, str]:
    """A class map that merges classes that look alike, such as {angry: anger}, into the largest.

    Args:
        counts: images of each class.
    """
    alike = defaultdict(list)
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        key = name.casefold()
        alike[words.expression(name) or (key[:-1] if key.endswith("s") else key)].append(name)
    return {name: group[0] for group in alike.values() for name in group[1:]}


def _extended(
    classes: Mapping[str, str | None], changed: Mapping[str, str | None], fix: Mapping[str, str]
) -> str:
    """The class map that also merges classes as in `fix`, as in a params file."""
    fixed = {label: fix[name] for label, name in changed.items() if name in fix}
    return f"{KEY} to {as_yaml({**classes, **fixed})}"


def _check_names(
    changed: Mapping[str, str | None], classes: Mapping[str, str | None], source: Path
) -> None:
    """Refuse classes that cannot be folders, and classes that differ in case only."""
    names = {name for name in changed.values() if name is not None}
    for name in sorted(names):
        if not name.isprintable() or name in ("", ".", "..") or "/" in name or "\\" in name:
            remedy = f"rename it in {KEY}, such as {as_yaml({name: 'neutral'})}"
            raise PipelineError(f"{source}: {name!r} cannot be the name of a class; {remedy}")
    cases = defaultdict(list)
    for name in sorted(names, reverse=True):  # lower case first
        cases[nfc(name.casefold())].append(name)
    if differing := [group for group in cases.values() if len(group) > 1]:
        fix = {name: group[0] for group in differing for name in group[1:]}
        raise PipelineError(
            f"{source}: the classes {' and '.join(sorted(differing[0]))} differ in case only; to "
            f"merge them, set {_extended(classes, changed, fix)}"
        )


def _renamed(members: Sequence[Member], names: Mapping[str, str | None]) -> list[Member]:
    """Members with the names of their classes.

    Where merged labels have files of the same name, the label begins all names of that class.
    """
    by_path = defaultdict(set)
    for member in members:
        by_path[names[member.label], member.name.casefold()].add(member.label)
    clashing = {name for (name, _), labels in by_path.items() if len(labels) > 1}
    prefixes = {label: label.replace(" ", "_") + "_" for label in names if names[label] in clashing}
    return [
        member._replace(
            label=names[member.label], name=prefixes.get(member.label, "") + member.name
        )
        for member in members
    ]


def _blanks(labels: Mapping[str, str]) -> list[str]:
    """A note on labels that have blanks around them."""
    groups = defaultdict(list)
    for label, name in labels.items():
        groups[name].append(label)
    return [
        f"{' and '.join(map(repr, sorted(group)))} {'are' if len(group) > 1 else 'is'} read as "
        f"{name!r}: blanks around a name do not count"
        for name, group in sorted(groups.items())
        if group != [name]
    ]


def _doubts(
    members: Iterable[Member],
    names: Mapping[str, str | None],
    changed: Mapping[str, str | None],
    classes: Mapping[str, str | None],
) -> list[str]:
    """Notes on classes that look alike, and on classes that look like people."""
    counts = Counter(names[member.label] for member in members)
    notes = []
    if fix := merged(counts):
        pairs = ", ".join(f"{first} and {other}" for other, first in fix.items())
        merge = f"to merge them, set {_extended(classes, changed, fix)}"
        notes.append(f"classes look alike: {pairs}; {merge}")
    if words.doubtful_classes(counts):
        few = ", ".join(sorted(counts)[:3])
        notes.append(
            f"the {len(counts)} classes ({few}, ...) look like people or sequences, not "
            "expressions; if they are, set download.layout, for which `ferpipe inspect` helps"
        )
    return notes

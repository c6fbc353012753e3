"""Class names: the class map, names that differ in blanks or case only, names that look alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import as_yaml
from ferpipe.sources.intake import words
from ferpipe.sources.intake.member import Found, Member, clean

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
    _check_names({name for name in names.values() if name is not None}, classes, source)
    left_out = [
        (member.path, f"left out by {KEY}")
        for member in found.members
        if names[member.label] is None
    ]
    members = [member for member in found.members if names[member.label] is not None]
    return found._replace(
        members=_renamed(members, names),
        skipped=[*found.skipped, *left_out],
        notes=[*found.notes, *_blanks(labels), *_doubts(members, names, classes)],
    )


def merged(names: Iterable[str]) -> dict[str, str]:
    """A class map that merges classes that look alike: angry and anger, smile and smiles."""
    alike = defaultdict(list)
    for name in sorted(set(names)):
        key = name.casefold()
        alike[words.expression(name) or (key[:-1] if key.endswith("s") else key)].append(name)
    return {name: group[0] for group in alike.values() for name in group[1:]}


def _check_names(names: set[str], classes: Mapping[str, str | None], source: Path) -> None:
    for name in sorted(names):
        if not name.isprintable() or name in ("", ".", "..") or "/" in name or "\\" in name:
            remedy = f"rename it in {KEY}, such as {{{name!r}: neutral}}"
            raise PipelineError(f"{source}: {name!r} cannot be the name of a class; {remedy}")
    cases = defaultdict(list)
    for name in sorted(names, reverse=True):  # lower case first
        cases[clean(name.casefold())].append(name)
    if differing := [group for group in cases.values() if len(group) > 1]:
        fix = {name: group[0] for group in differing for name in group[1:]}
        fixed = {label: fix.get(name, name) for label, name in classes.items()} | fix
        raise PipelineError(
            f"{source}: the classes {' and '.join(sorted(differing[0]))} differ in case only; to "
            f"merge them, set {KEY} to {as_yaml(fixed)}"
        )


def _renamed(members: list[Member], names: Mapping[str, str]) -> list[Member]:
    """Members with the names of their classes.

    Where merged classes have files of the same name, the label goes into all names of that class.
    """
    paths = Counter((names[m.label], m.name.casefold()) for m in members)
    labels = defaultdict(set)
    for member in members:
        labels[names[member.label], member.name.casefold()].add(member.label)
    clashing = {
        label
        for (label, name), count in paths.items()
        if count > 1 and len(labels[label, name]) > 1
    }
    renamed = []
    for member in members:
        label = names[member.label]
        prefix = f"{member.label.replace(' ', '_')}_" if label in clashing else ""
        renamed.append(member._replace(label=label, name=f"{prefix}{member.name}"))
    return renamed


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


def _doubts(members: Iterable[Member], names: Mapping[str, str | None], classes: Mapping) -> list:
    """Notes on classes that look alike, and on classes that look like people."""
    counts = Counter(names[member.label] for member in members)
    notes = []
    if fix := merged(counts):
        pairs = ", ".join(f"{first} and {other}" for other, first in fix.items())
        notes.append(
            f"classes look alike: {pairs}; to merge them, set {KEY} to "
            f"{as_yaml({**classes, **fix})}"
        )
    if words.doubtful_classes(counts):
        few = ", ".join(sorted(counts)[:3])
        notes.append(
            f"the {len(counts)} classes ({few}, ...) look like people or sequences, not "
            "expressions; if they are, set download.layout, for which `ferpipe inspect` helps"
        )
    return notes

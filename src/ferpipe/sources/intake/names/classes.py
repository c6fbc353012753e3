"""Class names: the class map, names that differ in blanks or case only, names that look alike."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
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
            known = sorted(set(labels.values()))
            close = difflib.get_close_matches(label, known, n=1)
            hint = f"did you mean {close[0]!r}? Its" if close else "its"
            raise PipelineError(
                f"{KEY}: {source} has no label {label!r}; {hint} labels: {', '.join(known)}"
            )
    names = {label: classes.get(key, found.codes.get(key, key)) for label, key in labels.items()}

    def merging(fix: Mapping[str, str]) -> str:
        """What to set to merge classes, too."""
        more = {labels[label]: fix[name] for label, name in names.items() if name in fix}
        return f"to merge them, set {KEY} to {as_yaml({**classes, **more})}"

    _check_names({name for name in names.values() if name is not None}, merging, source)
    members = [member for member in found.members if names[member.label] is not None]
    left_out = [member for member in found.members if names[member.label] is None]
    counts = Counter(names[member.label] for member in members)
    return found._replace(
        members=_renamed(members, names),
        skipped=[*found.skipped, *((member.path, f"left out by {KEY}") for member in left_out)],
        notes=[*found.notes, *_blanks(labels), *_doubts(counts, merging)],
    )


def _check_names(names: Set[str], merging: Callable[[dict[str, str]], str], source: Path) -> None:
    """Refuse classes that cannot be folders, and classes that differ in case only."""
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
            f"{source}: the classes {' and '.join(sorted(differing[0]))} differ in case only; "
            f"{merging(fix)}"
        )


def _renamed(members: Sequence[Member], names: Mapping[str, str | None]) -> list[Member]:
    """Members with the names of their classes.

    Where merged labels have files of the same name, the label begins all names of that class.
    """
    by_path = defaultdict(set)
    labels_of = Counter(names.values())
    for member in members:
        if labels_of[names[member.label]] > 1:
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


def _doubts(counts: Counter[str], merging: Callable[[dict[str, str]], str]) -> list[str]:
    """Notes on classes that look alike, and on classes that look like people."""
    alike, notes = defaultdict(list), []
    for name in sorted(counts, key=lambda name: (-counts[name], name)):  # the largest first
        alike[words.expression(name) or name.casefold().removesuffix("s")].append(name)
    if fix := {name: group[0] for group in alike.values() for name in group[1:]}:
        pairs = ", ".join(f"{first} and {other}" for other, first in fix.items())
        notes.append(f"classes look alike: {pairs}; {merging(fix)}")
    elif counts and all(map(str.isdecimal, counts)):
        some = {min(counts, key=int): "angry"}
        notes.append(f"the classes are numbers; to name them, set {KEY}, such as {as_yaml(some)}")
    if words.doubtful_classes(counts):
        few = ", ".join(sorted(counts)[:3])
        notes.append(
            f"the {len(counts)} classes ({few}, ...) look like people or sequences, not "
            "expressions; if they are, set download.layout, for which `ferpipe inspect` helps"
        )
    return notes

"""Patterns of file names: of known data sets, and of names that say an expression."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from ferpipe.sources.intake.member import Member, nfc
from ferpipe.sources.intake.names import parts, words

SHARED = {"AN": "angry", "DI": "disgust", "HA": "happy", "NE": "neutral", "SA": "sad"}
JAFFE = SHARED | {"FE": "fear", "SU": "surprise"}
KDEF = SHARED | {"AF": "fear", "SU": "surprise"}
NIMSTIM = SHARED | {"FE": "fear", "SP": "surprise", "CA": "calm"}
FACES = {
    **{"a": "angry", "d": "disgust", "f": "fear"},
    **{"h": "happy", "n": "neutral", "s": "sad"},
}
CHICAGO = {
    **{"A": "angry", "F": "fear", "N": "neutral"},
    **{"HC": "happy, mouth closed", "HO": "happy, mouth open"},
}
# Of each data set: its names, and the class of each code.
KNOWN = (
    (r"(^|/)(?P<subject>[A-Z]{2})\.(?P<label>[A-Z]{2})\d+\.\d+", JAFFE),
    (r"(^|/)[AB](?P<subject>[FM]\d\d)(?P<label>[A-Z]{2})(S|FL|FR|HL|HR)\.", KDEF),
    (r"(^|/)(?P<subject>\d\d[FM])_(?P<label>[A-Z]{2})_[COX]", NIMSTIM),
    (r"(^|/)(?P<subject>[FM]\d{4})_(?P<label>[A-Z]{2})\d\d[A-Z]{2}", JAFFE),  # BU-3DFE
    (r"(^|/)(?P<subject>\d+)_[ymo]_[fm]_(?P<label>[a-z])_[ab]\.", FACES),
    (r"(^|/)CFD-(?P<subject>[A-Z]{2}-\d+)-\d+-(?P<label>[A-Z]+)\.", CHICAGO),
    (r"(^|/)Rafd\d+_(?P<subject>\d+)_[A-Za-z]+_[a-z]+_(?P<label>[A-Za-z]+)_", {}),
)
MOST = 0.9
NAME_PATTERNS = (
    r"(?P<subject>[A-Z]{2})\.",  # JAFFE
    r"[AB](?P<subject>[FM]\d\d)",  # KDEF
)
# The first four parts of a name.
TOKENS = tuple(rf"{'[^_.-]+[_.-]' * before}(?P<subject>[^_.-]+)[_.-]" for before in range(4))


class Subjects(NamedTuple):
    """A pattern of file names, the subjects that it finds, and whether they are likely people."""

    pattern: str
    names: list[str]
    likely: bool


def suggest_labels(paths: Sequence[PurePosixPath]) -> dict[str, object] | None:
    """Keys of `download.layout` that find a label in most file names; None if none is obvious."""
    names = [nfc(path) for path in paths]
    for pattern, codes in KNOWN:
        found = [match["label"] for name in names if (match := re.search(pattern, name))]
        labels = sorted(set(found))
        fits = len(found) >= MOST * len(names) and len(labels) > 1
        if fits and not codes:
            return {"kind": "pattern", "pattern": pattern}
        if fits and set(labels) <= codes.keys():
            classes = {label: codes[label] for label in labels}
            return {"kind": "pattern", "pattern": pattern, "classes": classes}
    pattern = _spelt_out(names)
    return pattern and {"kind": "pattern", "pattern": pattern}


def _spelt_out(names: Sequence[str]) -> str | None:
    """A pattern of the expressions that file names spell out, such as anna_happy_1.png."""
    tokens = {token for name in names for token in re.split(r"[\W\d_]+", name.rpartition("/")[2])}
    said = sorted(token for token in tokens if len(token) > 2 and words.expression(token))
    if len(said) < 2:
        return None
    inside = rf"[^/]*(?<![^\W\d_])(?P<label>{'|'.join(said)})(?![^\W\d_])[^/]*$"
    with_subject = rf"(^|/)(?P<subject>[^/_.-]+)[_.-]{inside}"
    for pattern in (with_subject, rf"(^|/){inside}"):
        matches = [match for name in names if (match := re.search(pattern, name))]
        if len(matches) >= MOST * len(names) and (
            pattern != with_subject
            or _repeats((match["subject"], match["label"]) for match in matches)
        ):
            return pattern
    return None


def suggest_subjects(members: Sequence[Member], given: str) -> Subjects | None:
    """A value of `split.name_pattern` that may find people in most file names; None: there is none.

    `given` is tried first. Parts of names that are like S005 or AF01 come before others that
    several classes share, which may also be sessions or lights.
    """
    # Without the suffix, whose dot separates no subject.
    stems = [(PurePosixPath(member.name).stem, member.label) for member in members]
    doubtful = None
    for pattern in (given, *NAME_PATTERNS, *TOKENS):
        found = [(re.match(pattern, stem), label) for stem, label in stems]
        told = [(match["subject"], label) for match, label in found if match]
        if len(told) < MOST * len(members) or not _repeats(told):
            continue
        names = sorted({subject for subject, _ in told})
        if pattern not in TOKENS or all(map(words.like_person, names)):
            return Subjects(pattern, names, likely=True)
        doubtful = doubtful or Subjects(pattern, names, likely=False)
    return doubtful


def _repeats(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether the first of (subject, label) are likely people: most have several labels."""
    labels = defaultdict(list)
    for subject, label in pairs:
        labels[subject].append(label)
    if len(labels) < 2 or any(map(words.expression, labels)) or parts.known(labels, {}):
        return False
    several = sum(len(set(found)) > 1 for found in labels.values())
    people = all(map(words.like_person, labels)) or not any(map(str.isdecimal, labels))
    images = sum(map(len, labels.values()))
    return 2 * several >= len(labels) and (people or images >= 4 * len(labels))

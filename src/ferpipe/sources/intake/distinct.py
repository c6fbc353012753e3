"""File names that differ on every file system, also where case or Unicode's form do not count."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from ferpipe.sources.intake.member import Member


def key(path: str) -> str:
    """A text that is equal for paths that are equal on some file system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def free_path(path: str, taken: set[str]) -> str:
    """The path, or the first with -2, -3, ... before its suffix, whose key is not taken yet."""
    plain = PurePosixPath(path)
    numbered = (
        str(plain.with_name(f"{plain.stem}-{number}{plain.suffix}"))
        for number in itertools.count(2)
    )
    free = next(name for name in itertools.chain([path], numbered) if key(name) not in taken)
    taken.add(key(free))
    return free


def distinct(members: Iterable[Member]) -> list[Member]:
    """The images sorted by path, in which the first of several equal names is unchanged.

    Members of the same path are numbered in the given order.
    """
    first, others, taken = [], [], set()
    for member in sorted(members, key=lambda member: member.path):
        (others if key(member.path) in taken else first).append(member)
        taken.add(key(member.path))
    for member in others:
        name = PurePosixPath(free_path(member.path, taken)).name
        first.append(member._replace(name=name))
    return sorted(first, key=lambda member: member.path)

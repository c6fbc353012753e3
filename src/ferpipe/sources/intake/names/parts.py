"""Names of official parts: train, val and test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ferpipe.core.errors import PipelineError
from ferpipe.data.parts import PARTS
from ferpipe.sources.intake.member import clean

SUFFIX = re.compile(r"[ _-]?(set|data|images?|imgs?|faces)$")  # such as train_set, test-images


def known(names: Iterable[str], further: Mapping[str, str]) -> dict[str, str]:
    """The part (train, val or test) of each name that is one of a part, in any case.

    Args:
        names: all names of the source at once: PublicTest is val beside a PrivateTest or another
            test, and test where there is none.
        further: `download.layout.parts`, which come first.
    """
    further = {_key(name): part for name, part in further.items()}
    found = {}
    for name in names:
        key = _key(name)
        if part := further.get(key) or PARTS.get(key) or PARTS.get(SUFFIX.sub("", key)):
            found[name] = part
    if "test" not in found.values():
        public = [
            name for name in found if _key(name) == "publictest" and "publictest" not in further
        ]
        found |= dict.fromkeys(public, "test")
    return found


def required(names: Iterable[str], further: Mapping[str, str], where: str) -> dict[str, str]:
    """The part of each name, "" of all if there is only one part, which is no split.

    The name "" has none; any other name that is not of a part is an error.
    `further` is `download.layout.parts`, `where` the source and column, for the error message.
    """
    names = sorted(set(names))
    check_used(further, names, where)
    found = known(names, further) | {"": ""}
    if unknown := [name for name in names if name not in found]:
        raise PipelineError(
            f"{where}: {', '.join(unknown[:5])} is no official part; name it in "
            f"download.layout.parts, such as {{{unknown[0]}: train}}"
        )
    only_one = len({found[name] for name in names} - {""}) < 2
    return dict.fromkeys(found, "") if only_one else found


def check_used(further: Iterable[str], names: Iterable[str], where: str) -> None:
    """Raise PipelineError if a name in `download.layout.parts` is none of the source's names."""
    names = sorted(set(names) - {""})
    for name in further:
        if _key(name) not in map(_key, names):
            there = ", ".join(names[:20]) or "none"
            raise PipelineError(
                f"{where}: none is named {name!r}, as in download.layout.parts; there are: {there}"
            )


def _key(name: str) -> str:
    return clean(name).casefold()

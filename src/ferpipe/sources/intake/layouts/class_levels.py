"""Which folder above an image is its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ferpipe.sources.intake.names import words


def class_levels(folders: Sequence[tuple[str, ...]]) -> list[int] | None:
    """Which folder of each image is its class; None if that is not certain.

    Args:
        folders: the folders of each image, without wrappers and parts.
    """
    said = [[i for i, name in enumerate(names) if words.expression(name)] for names in folders]
    # Where a folder is in one of the same name, as unpacking leaves it, both say the same.
    words_said = [
        {names[level].casefold() for level in found}
        for names, found in zip(folders, said, strict=True)
    ]
    if all(len(found) == 1 for found in words_said):
        return [levels[0] for levels in said]
    last = [len(names) - 1 for names in folders]
    depth = min(map(len, folders))
    for levels in [*([level] * len(folders) for level in range(depth)), last]:
        if all(set(found) <= {level} for found, level in zip(said, levels, strict=True)):
            names = Counter(names[level] for names, level in zip(folders, levels, strict=True))
            expressions = sum(1 for name in names if words.expression(name))
            if expressions > 1 and expressions >= len(names) / 2:
                return levels
    above = {names[:-1] for names in folders}
    plain = not any(level < end for found, end in zip(said, last, strict=True) for level in found)
    people = any(words.like_person(name) for names in above for name in names)
    return last if len(above) == 1 and plain and not people else None

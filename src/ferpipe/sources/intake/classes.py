"""Class names: the class map, names that differ in blanks or case only, names that look alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ferpipe.sources.intake.member import Found


def apply(found: Found, classes: Mapping[str, str | None], source: Path) -> Found:
    """Turn the labels of a source into class names, by `download.layout.classes`."""
    return found

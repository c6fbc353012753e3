"""Processes that this package starts to run its own modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]


def with_package(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment in which Python finds this package, of this checkout."""
    found = os.pathsep.join(filter(None, [str(SOURCES), environment.get("PYTHONPATH")]))
    return {**environment, "PYTHONPATH": found}

"""A data set for the tests of the Kaggle source, its params, and a fetch that succeeds or fails."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from faces import BASE, png
from kaggle_server import SIGNATURE

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.intake.repacking import Contents
from ferpipe.stages.download import download

SECRET = "SECRET-token-or-key"
TARGET = Path("data/raw/images.zip")


def face(seed: int) -> bytes:
    """A PNG of noise: a face to the pipeline, and large enough to be cut in the middle."""
    return png(seed, width=16, height=16)


FACES = {
    f"{label}/S{n:03}.png": face(n * 7 + len(label)) for label in ("anger", "joy") for n in range(3)
}


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip as Kaggle makes it: compressed, dated, in any order."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in reversed(files.items()):
            zipped.writestr(name, data)
    return file.getvalue()


ZIP = zip_of({f"CK+48/{name}": data for name, data in FACES.items()})


def params(
    digest: str | None = None, version: int | None = None, path: str = "unused", **changes: Any
) -> Download:
    """The section `download` of presets/base.yaml with these values."""
    values = {
        "source": "kaggle",
        "limits": {"files": 1000, "file_mb": 1, "total_mb": 1, "ratio": 100},
        "expect": {"class_counts": None, "digest": digest},
        "kaggle": {"dataset": "someone/faces", "version": version},
        "local": {"path": path},
    }
    return Download(**BASE | values | changes)


def fetch(section: Download | None = None, deadline: int = 60, target: Path = TARGET) -> Contents:
    """Run the body of the stage `download`."""
    run = Run(workers=1, memory_mb=1000, download_deadline=deadline, checkpoint_seconds=0)
    return download(section or params(), run, target)


def refused(section: Download | None = None, deadline: int = 60) -> str:
    """Fetch and expect an error of one line, with nothing left behind."""
    with pytest.raises(PipelineError) as caught:
        fetch(section, deadline)
    assert list(TARGET.parent.glob("*")) == []
    assert list(Path(".ferpipe").glob(".download.*")) == []
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message and SIGNATURE not in message
    return message

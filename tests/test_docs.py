"""The files and modules that docs and benchmarks name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("src/ferpipe/*/__init__.py"))
TEXTS = [
    *(ROOT / "README.md", ROOT / "data/local/README.md", ROOT / ".dvc/plots/README.md"),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]
FOLDERS = "|".join(("src", "tests", "benchmarks", "presets", "docs", "cv", *PACKAGES))
# `training/augment.py` is short for `src/ferpipe/training/augment.py`; `<name>` stands for any.
FILE = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./<>*-]*\.(?:py|md|yaml|css)\b")
MODULE = re.compile(r"\bferpipe(?:\.\w+)+")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
names = [path.relative_to(ROOT).as_posix() for path in TEXTS]


def is_there(pattern):
    places = (ROOT, ROOT / "src/ferpipe")
    return any(any(place.glob(re.sub("<[^>]*>", "*", pattern))) for place in places)


def is_module(dotted):
    """Whether a dotted name is a package, a module or something in a module."""
    path = ROOT / "src" / dotted.replace(".", "/")
    owners = [each for each in (path, *path.parents) if each.is_relative_to(ROOT / "src/ferpipe")]
    return path.is_dir() or any(each.with_suffix(".py").is_file() for each in owners)


@pytest.mark.parametrize("name", names)
def test_every_file_and_module_that_a_text_names_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [file for file in FILE.findall(text) if not is_there(file)] == []
    assert [module for module in MODULE.findall(text) if not is_module(module)] == []


@pytest.mark.parametrize("name", [name for name in names if name.endswith(".md")])
def test_every_link_to_a_file_leads_somewhere(name):
    path = ROOT / name
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_name_that_is_not_there_is_seen():
    assert FILE.findall("`src/ferpipe/kernels.py`, tests/test_x.py") == [
        "src/ferpipe/kernels.py",
        "tests/test_x.py",
    ]
    assert not is_there("src/ferpipe/kernels.py")
    assert is_there("stages/<name>.py")
    assert not is_module("ferpipe.train")
    assert is_module("ferpipe.training.loop.train") and is_module("ferpipe.training")

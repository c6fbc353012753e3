"""The files and modules that docs and benchmarks name exist, and docs/data.md has the defaults."""

import re
from pathlib import Path

import pytest

from ferpipe.params.reader import read_yaml

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
DATA_PAGE = (ROOT / "docs/data.md").read_text(encoding="utf-8")


def exists(pattern):
    places = (ROOT, ROOT / "src/ferpipe")
    return any(any(place.glob(re.sub("<[^>]*>", "*", pattern))) for place in places)


def is_module(dotted):
    """Whether a dotted name is a package, a module or something in a module."""
    path = ROOT / "src" / dotted.replace(".", "/")
    owners = [each for each in (path, *path.parents) if each.is_relative_to(ROOT / "src/ferpipe")]
    return path.is_dir() or any(each.with_suffix(".py").is_file() for each in owners)


@pytest.mark.parametrize("name", names)
def test_every_file_and_module_that_a_text_names_exists(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [file for file in FILE.findall(text) if not exists(file)] == []
    assert [module for module in MODULE.findall(text) if not is_module(module)] == []


@pytest.mark.parametrize("name", [name for name in names if name.endswith(".md")])
def test_every_link_to_a_file_has_a_target(name):
    path = ROOT / name
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_a_name_of_no_file_is_noticed():
    missing = "src/ferpipe/kernels.py"
    assert FILE.findall(f"`{missing}`, tests/test_x.py") == [missing, "tests/test_x.py"]
    assert not exists(missing) and exists("stages/<name>.py")
    assert not is_module("ferpipe.train") and is_module("ferpipe.training.loop.train")


def test_the_data_page_has_the_defaults_of_params_yaml():
    rows = dict(
        re.findall(r"^\| `((?:run|download)\.[a-z._]+)` \| ([\d,]+)", DATA_PAGE, re.MULTILINE)
    )
    values = read_yaml(ROOT / "params.yaml")
    for key, number in rows.items():
        value = values
        for part in key.split("."):
            value = value[part]
        assert float(number.replace(",", "")) == value, key
    assert set(rows) >= {f"download.limits.{key}" for key in values["download"]["limits"]}

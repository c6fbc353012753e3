"""Presets: experiments as overlays of presets/base.yaml, a params file with all comments.

Each other file of the folder is a preset: a header comment with what to expect, then only the keys
whose values differ.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.representer import RoundTripRepresenter

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import Experiment
from ferpipe.params.reader import as_yaml, checked, load_yaml, read_yaml, unknown_key

FOLDER = Path("presets")
BASE = FOLDER / "base.yaml"
ABSENT = object()


def names() -> list[str]:
    """The presets, in alphabetical order."""
    if not FOLDER.is_dir():
        raise PipelineError(f"{FOLDER}/ is missing; run this in the repository's root")
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if path != BASE)


def header(name: str) -> list[str]:
    """The lines of a preset's header comment, without the hash signs."""
    lines = _path(name).read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    return [line.removeprefix("#").removeprefix(" ") for line in comment]


def apply(name: str, params: Path) -> list[str]:
    """Replace a params file, which may be missing or damaged, by presets/base.yaml and a preset.

    Returns:
        The changed values, such as "train.epochs: 12 -> 50", or the fault of the replaced file;
        empty if the file stays as it was.

    Raises:
        PipelineError: there is no such preset, or it is not valid; nothing is written.
    """
    preset = _path(name)
    document = _load(BASE)
    _overlay(document, _load(preset), preset)
    _align_comments(document)
    stream = io.StringIO()
    _round_trip().dump(document, stream)
    text = stream.getvalue()
    checked(YAML(typ="safe", pure=True).load(text), Experiment, f"{preset} over {BASE}")
    changes = _changes(params, document, text)
    files.write_text(params, text)
    return changes


def _path(name: str) -> Path:
    if name not in names():
        raise PipelineError(f"there is no preset {name!r}; presets: {', '.join(names())}")
    return FOLDER / f"{name}.yaml"


class _Representer(RoundTripRepresenter):
    """Writes null as `null`; ruamel's own writes nothing."""


_Representer.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _round_trip() -> YAML:
    """A YAML parser that writes unchanged parts back byte for byte."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 4096  # never fold a line
    return yaml


def _load(path: Path) -> CommentedMap:
    """A file of presets/ with its comments; an empty mapping if it has comments only."""
    document = load_yaml(path, _round_trip())
    if not isinstance(document, CommentedMap | None):
        raise PipelineError(f"{path} should hold sections, such as `train:`")
    return document or CommentedMap()


def _is_section(node: object) -> bool:
    """Whether a node is a block mapping; a flow mapping, `{a: 1}`, is a value."""
    return isinstance(node, CommentedMap) and not node.fa.flow_style()


def _overlay(document: CommentedMap, overlay: CommentedMap, preset: Path, prefix: str = "") -> None:
    """Replace values of the document by those of the overlay, section by section."""
    for key, value in overlay.items():
        if key not in document:
            fault = unknown_key(str(key), document, f"{BASE} has here")
            raise PipelineError(f"{preset}: {prefix}{key}: {fault}")
        if _is_section(value) and _is_section(document[key]):
            _overlay(document[key], value, preset, f"{prefix}{key}.")
        else:
            document[key] = value


def _align_comments(node: CommentedMap) -> None:
    """Put each comment at the end of a line one space after its value."""
    for tokens in node.ca.items.values():
        if tokens[2] is not None:
            tokens[2].start_mark.column = 0
    for value in node.values():
        if isinstance(value, CommentedMap):
            _align_comments(value)


def _changes(params: Path, document: CommentedMap, text: str) -> list[str]:
    """The changes in a params file that is replaced by the document, formatted as `text`."""
    if not params.exists():
        return [f"{params} was missing: written"]
    try:
        before = read_yaml(params)
    except PipelineError as error:
        return [f"{error}: replaced"]
    changes = list(_differences(before, document))
    if not changes and params.read_bytes() != text.encode():
        return [f"no value changed; comments and layout are those of {BASE} again"]
    return changes


def _differences(
    before: Mapping[str, object], after: CommentedMap, prefix: str = ""
) -> Iterator[str]:
    """Lines such as "train.epochs: 12 -> 50", in the order of `after`; removed keys last."""
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if _is_section(new) and isinstance(old, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            shown = ("absent" if value is ABSENT else as_yaml(value) for value in (old, new))
            yield f"{prefix}{key}: {' -> '.join(shown)}"

"""Ready-made experiments: overlays on params.yaml, each with a header that says what to expect."""

from __future__ import annotations

import io
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.params.experiment import Experiment
from ferpipe.params.reader import checked, read_yaml

FOLDER = Path("presets")


def names() -> list[str]:
    """The presets that there are, in alphabetical order."""
    if not FOLDER.is_dir():
        raise PipelineError(f"{FOLDER}/ is missing; run this in the repository's root")
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def header(name: str) -> list[str]:
    """The lines of a preset's opening comment, without the hash signs.

    Raises:
        PipelineError: there is no such preset.
    """
    lines = []
    for line in _path(name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def apply(name: str, params: Path) -> list[str]:
    """Lay a preset over a params file; comments and order of the file stay.

    Args:
        name: the preset.
        params: the file to change; untouched when the result would not be valid.

    Returns:
        The changes, such as "train.epochs: 12 -> 50".

    Raises:
        PipelineError: there is no such preset, or the result is not valid.
    """
    read_yaml(params)  # a file that is not YAML ends here, in one line
    yaml = _round_trip()
    document = yaml.load(params.read_text(encoding="utf-8"))
    changes: list[str] = []
    _lay_over(document, yaml.load(_path(name).read_text(encoding="utf-8")), "", changes)
    _align_comments(document)
    text = io.StringIO()
    yaml.dump(document, text)
    values = YAML(typ="safe", pure=True).load(text.getvalue())
    checked(values, Experiment, Path(f"{params} with the preset {name}"))
    files.write_text(params, text.getvalue())
    return changes


def _path(name: str) -> Path:
    if name not in names():
        raise PipelineError(f"there is no preset {name!r}; presets: {', '.join(names())}")
    return FOLDER / f"{name}.yaml"


def _round_trip() -> YAML:
    """A YAML that writes back what it read, byte for byte where nothing changed."""

    class Representer(RoundTripRepresenter):
        """Writes null as `null`; ruamel's own writes nothing at all."""

    def represent_none(representer: Representer, _: None) -> ScalarNode:
        return representer.represent_scalar("tag:yaml.org,2002:null", "null")

    Representer.add_representer(type(None), represent_none)
    yaml = YAML()
    yaml.Representer = Representer
    yaml.preserve_quotes = True
    yaml.width = 4096  # never fold a line
    return yaml


def _lay_over(
    document: CommentedMap, overlay: CommentedMap, prefix: str, changes: list[str]
) -> None:
    """Put the overlay's values into the document.

    A block mapping is a section, gone through key by key; a flow mapping, `{a: 1}`, is a value.
    """
    for key, value in overlay.items():
        old = document.get(key)
        section = isinstance(value, CommentedMap) and not value.fa.flow_style()
        if section and isinstance(old, CommentedMap):
            _lay_over(old, value, f"{prefix}{key}.", changes)
        elif old != value:
            was, becomes = ("null" if one is None else one for one in (old, value))
            changes.append(f"{prefix}{key}: {was} -> {becomes}")
            document[key] = value


def _align_comments(node: CommentedMap) -> None:
    """Let each comment at a line's end follow its value by one space, however long that is."""
    for tokens in node.ca.items.values():
        if tokens[2] is not None:
            tokens[2].start_mark.column = 0
    for value in node.values():
        if isinstance(value, CommentedMap):
            _align_comments(value)

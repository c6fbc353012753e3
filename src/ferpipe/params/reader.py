"""Reading params.yaml the way DVC reads it (YAML 1.2), one validated section at a time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ferpipe.core.errors import PipelineError, one_line


class Section(BaseModel):
    """A mapping of params.yaml: no unknown keys, no silent conversion, no change after reading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SectionType = TypeVar("SectionType", bound=Section)

# Messages in place of pydantic's.
INDENTED = "should be indented `key: value` lines"
PLAINER = {"model_type": INDENTED, "dict_type": INDENTED, "bool_type": "should be true or false"}


def load_yaml(path: Path, loader: YAML | None = None) -> Any:
    """Load a YAML 1.2 file with `loader`, or as plain values; None if it has comments only.

    In YAML 1.2, which DVC reads too, `1e-5` is a float; in YAML 1.1 (PyYAML) it is text.
    """
    loader = loader or YAML(typ="safe", pure=True)
    try:
        return loader.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} is missing; run this in the repository's root") from None
    # ValueError: not UTF-8, or an impossible date (2024-13-45); RecursionError: nested too deeply.
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or one_line(error)
        if twice := re.match('found duplicate key "(.*?)"', problem):
            problem = f"the key `{twice[1]}` is there twice; merge the two"
        raise PipelineError(f"{path}{where}: not valid YAML: {problem}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping as plain values; raises PipelineError if it is not one."""
    values = load_yaml(path)
    if not isinstance(values, dict):
        raise PipelineError(f"{path} should hold sections, found {type(values).__name__}")
    return values


def explained(message: str) -> WrapValidator:
    """A validator of a union of types: one message instead of one per type."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(message) from None

    return WrapValidator(validate)


def known_groups(pattern: str, known: Iterable[str]) -> str:
    """A regular expression as it is; ValueError if it is not one or has other named groups."""
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if unknown := sorted(set(groups) - set(known)):
        raise ValueError(f"has the group `{unknown[0]}`; known: {', '.join(known)}")
    return pattern


def read_section(path: Path, name: str, model: type[SectionType]) -> SectionType:
    """Read the section `name` of a params file as a `model`."""
    values = read_yaml(path)
    if name not in values:
        raise PipelineError(f"{path}: the section `{name}:` is missing")
    return checked(values[name], model, path, prefix=name)


def checked(
    values: object, model: type[SectionType], path: Path | str, prefix: str = ""
) -> SectionType:
    """Check values against a model; PipelineError names file, key, value and what is allowed."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # A misspelt key is a missing one too; report the misspelling.
        details.sort(key=lambda detail: detail["type"] == "missing")
        more = f" (errors in all: {len(details)})" if len(details) > 1 else ""
        raise PipelineError(f"{path}: {_sentence(details[0], model, prefix)}{more}") from None


def _sentence(detail: dict[str, Any], model: type[Section], prefix: str) -> str:
    """Format an error of pydantic as `key = value: what is allowed`."""
    # pydantic adds "[key]" where a mapping's key, not its value, is wrong.
    parts = [str(part) for part in detail["loc"] if part != "[key]"]
    key = ".".join(_printable(part) for part in (*filter(None, [prefix]), *parts))
    value, kind = detail["input"], detail["type"]
    if kind == "extra_forbidden":
        for part in parts[:-1]:
            model = model.model_fields[part].annotation  # type: ignore[assignment]
        return f"{key}: {unknown_key(parts[-1], model.model_fields, 'allowed here')}"
    if kind == "missing":
        return f"{key}: this key is missing"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "value_error" and isinstance(value, dict):
        return f"{key}: {message}"
    message = PLAINER.get(kind, message)
    if kind == "literal_error" and isinstance(value, str):
        choices = {name.lower(): name for name in re.findall("'(.*?)'", detail["ctx"]["expected"])}
        if close := difflib.get_close_matches(value.lower(), choices, n=1):
            message = f"did you mean {choices[close[0]]!r}? It {message}"
    return f"{key} = {as_yaml(value)}: {message}"


def unknown_key(key: str, known: Iterable[str], where: str) -> str:
    """Describe an unknown key, with the known ones."""
    known = [str(name) for name in known]
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return f"unknown key; {hint}{where}: {', '.join(known)}"


def as_yaml(value: object) -> str:
    """Format a value as in a params file, on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)}: {as_yaml(value[key])}' for key in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    if value is None:
        return "null"
    if isinstance(value, str) and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _key(key: object) -> str:
    plain = re.fullmatch(r"\w[\w .+-]*", str(key)) and key not in ("null", "true", "false")
    return str(key) if plain else as_yaml(key)


def _printable(key: object) -> str:
    return str(key) if str(key).isprintable() else repr(key)

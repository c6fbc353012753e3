from typing import Annotated

import pytest
from pydantic import Field

from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import Section, Sha256, read_section, read_yaml


class Inner(Section):
    zoom: float
    flip: bool


class Outer(Section):
    name: str
    count: Annotated[int, Field(ge=1)] | None
    rate: float
    digest: Sha256 | None = None
    inner: Inner


VALID = """\
outer:
  name: a
  count: 2
  rate: 0.5
  inner:
    zoom: 0.1
    flip: true
"""


@pytest.fixture
def read(tmp_path):
    """Read the section `outer` of a text."""

    def read_text(text):
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return read_section(path, "outer", Outer)

    return read_text


@pytest.fixture
def refused(read, tmp_path):
    """The message if a piece of the valid text is replaced."""

    def message(old, new):
        assert old in VALID
        with pytest.raises(PipelineError) as error:
            read(VALID.replace(old, new))
        file, _, text = str(error.value).partition(": ")
        assert file == str(tmp_path / "params.yaml")
        assert "\n" not in text
        return text

    return message


def test_a_valid_section_is_read(read):
    outer = read(VALID)
    assert outer == Outer(name="a", count=2, rate=0.5, inner=Inner(zoom=0.1, flip=True))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-5", 1e-5), ("1E5", 1e5), ("-1.5e+3", -1500.0), ("3", 3.0), (".5", 0.5)],
)
def test_numbers_are_those_of_yaml_1_2(read, text, value):
    assert read(VALID.replace("0.5", text)).rate == value


@pytest.mark.parametrize("text", ["1:30", "yes", "on", "no", "off", "y"])
def test_words_that_yaml_1_1_converts_stay_text(read, text):
    assert read(VALID.replace("name: a", f"name: {text}")).name == text


@pytest.mark.parametrize("text", ["null", "~", ""])
def test_null_is_accepted_where_it_is_allowed(read, text):
    assert read(VALID.replace("count: 2", f"count: {text}")).count is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count: 2", "count: two", "outer.count = 'two': should be a valid integer"),
        ("count: 2", "count: 2.5", "outer.count = 2.5: should be a valid integer"),
        ("count: 2", "count: true", "outer.count = true: should be a valid integer"),
        ("count: 2", "count: 0", "outer.count = 0: should be greater than or equal to 1"),
        ("rate: 0.5", "rate: 1:30", "outer.rate = '1:30': should be a valid number"),
        ("rate: 0.5", "rate: true", "outer.rate = true: should be a valid number"),
        ("rate: 0.5", "rate: null", "outer.rate = null: should be a valid number"),
        ("rate: 0.5", "rate: .nan", "outer.rate = nan: should be a finite number"),
        ("rate: 0.5", "rate: .inf", "outer.rate = inf: should be a finite number"),
        ("rate: 0.5", "rate: [0.5]", "outer.rate = [0.5]: should be a valid number"),
        ("name: a", "name: 3", "outer.name = 3: should be a valid string"),
        ("flip: true", "flip: yes", "outer.inner.flip = 'yes': should be true or false"),
        ("flip: true", "flip: 1", "outer.inner.flip = 1: should be true or false"),
        ("  rate: 0.5\n", "", "outer.rate: this key is missing"),
        ("rate: 0.5", "rate: 0.5\n  digest: abc", "outer.digest = 'abc': "),
        ("rate: 0.5", "rate: 0.5\n  5: abc", "outer.5 = 5: Keys should be strings"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_key(refused, old, new, message):
    assert message in refused(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "rate: 0.5",
            "rat: 0.5",
            "outer.rat: unknown key; did you mean `rate`? allowed here: name, count, rate, digest, "
            "inner (errors in all: 2)",
        ),
        (
            "zoom: 0.1",
            "zoomed: 0.1",
            "outer.inner.zoomed: unknown key; did you mean `zoom`? allowed here: zoom, flip "
            "(errors in all: 2)",
        ),
        (
            "rate: 0.5",
            'rate: 0.5\n  "q\\nq": 1',
            "outer.'q\\nq': unknown key; allowed here: name, count, rate, digest, inner",
        ),
        (
            "count: 2\n  rate: 0.5",
            "count: 0\n  rate: x",
            "outer.count = 0: should be greater than or equal to 1 (errors in all: 2)",
        ),
    ],
    ids=["close to a known key", "nested", "line break", "two errors"],
)
def test_the_first_error_suggests_a_known_key_and_counts_the_others(refused, old, new, message):
    assert refused(old, new) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, " is missing; run this in the repository's root"),
        ("a: ü".encode("latin-1"), ": not valid YAML: 'utf-8' codec"),
        ("a: 1\na: 2\n", ", line 2: not valid YAML: the key `a` is there twice; merge the two"),
        ("a: [1\n", "not valid YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", ", line 2: not valid YAML: "),
        ("a: *b\n", ", line 1: not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: but found another document"),
        ("a: \x01\n", "not valid YAML: unacceptable character"),
        ("a: 2024-13-45\n", "not valid YAML: month must be in 1..12"),
        ("a: !!python/object:os.system x\n", "not valid YAML: could not determine a constructor"),
        ("", " should hold sections, found NoneType"),
        ("- 1\n", " should hold sections, found list"),
        ("outer\n", " should hold sections, found str"),
    ],
)
def test_a_file_without_a_yaml_mapping_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PipelineError) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_section_is_named(read):
    with pytest.raises(PipelineError, match="the section `outer:` is missing"):
        read("inner: 1\n")


@pytest.mark.parametrize("text", ["outer:\n", "outer: 3\n", "outer: [1]\n"])
def test_a_section_that_is_not_a_mapping_is_refused(read, text):
    with pytest.raises(PipelineError, match=r"outer = .*: should be indented"):
        read(text)


def test_other_sections_are_not_checked(read):
    assert read(VALID + "other:\n  rate: nonsense\n").name == "a"

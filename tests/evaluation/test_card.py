import json
import re
import zipfile

import numpy as np
import pytest

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.evaluation.card import Card, find_card, publish, read_card
from ferpipe.evaluation.feature_distance import DIRECTIONS, fit

DISTANCE = fit(np.eye(8, DIRECTIONS), np.arange(8) % 2, np.ones((3, DIRECTIONS)), "val")
CARD = Card(
    classes=["anger", "joy"],
    image_size=48,
    channels=1,
    framing=[(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)],
    temperature=1.25,
    headline="98.4% of 189 test images correct",
    protocol="All images of a person are in one split.",
    params_sha256="0" * 64,
    feature_distance=DISTANCE,
)


def write(path, metadata):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in (("config.json", b"{}"), ("metadata.json", metadata)):
            zipped.writestr(files.zip_entry(name), data)
    return path


@pytest.fixture
def trained(tmp_path):
    """A file of metadata only, as if it were a model."""
    return write(tmp_path / "trained.keras", b'{"keras_version": "3.15.1", "classes": ["x", "y"]}')


@pytest.mark.parametrize(
    "changes", [{}, {"framing": None, "channels": 3}, {"feature_distance": None}]
)
def test_a_card_that_is_written_reads_back(trained, tmp_path, changes):
    card = CARD.model_copy(update=changes)
    target = tmp_path / "model.keras"
    publish(trained, target, card)
    assert read_card(target) == find_card(target) == card
    with zipfile.ZipFile(target) as zipped:
        assert zipped.namelist() == ["config.json", "metadata.json"]
        assert json.loads(zipped.read("metadata.json"))["keras_version"] == "3.15.1"


def test_the_same_card_gives_the_same_bytes(trained, tmp_path):
    paths = [tmp_path / name for name in ("1.keras", "2.keras")]
    for path in paths:
        publish(trained, path, CARD)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    publish(paths[0], paths[1], CARD)
    assert paths[0].read_bytes() == paths[1].read_bytes()


CONTENT = CARD.model_dump(mode="json")
DISTANCE = CONTENT["feature_distance"]


def test_a_card_from_before_the_feature_distance_reads(tmp_path):
    old = {key: value for key, value in CONTENT.items() if key != "feature_distance"}
    path = write(tmp_path / "model.keras", json.dumps({"ferpipe": old}).encode())
    assert read_card(path) == CARD.model_copy(update={"feature_distance": None})


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        (b"{}", " has no card with classes and input form; use models/model.keras, which"),
        (b"[]", " has no card"),
        (b'{"ferpipe": 1}', " has no card"),
        (b"x", " is not a model file: "),
        (b"\xff", " is not a model file: "),
        ({**CONTENT, "version": 2}, " has a card of version 2, not 1; use the version of ferpipe"),
        ({**CONTENT, "version": None}, " has a card of version None, not 1"),
        ({**CONTENT, "channels": 0}, ": its card, 'channels': Input should be greater than or"),
        ({**CONTENT, "classes": ["a"]}, ": its card, 'classes': List should have at least 2"),
        ({**CONTENT, "framing": [[0, 1]]}, ": its card, 'framing': List should have at least 5"),
        (
            {**CONTENT, "feature_distance": {**DISTANCE, "means": [[0.0]]}},
            ": its card, 'feature_distance': Value error, each mean should have 64 numbers; use",
        ),
        (
            {**CONTENT, "feature_distance": {**DISTANCE, "whitening": [[0.0]] * 64}},
            ": its card, 'feature_distance': Value error, whitening should be a lower triangle",
        ),
        (
            {**CONTENT, "feature_distance": {**DISTANCE, "limit": 0}},
            ": its card, 'feature_distance.limit': Input should be greater than 0",
        ),
        ({**CONTENT, "more": 1}, ": its card, 'more': Extra inputs are not permitted"),
    ],
)
def test_a_file_without_a_card_is_one_line_that_names_it(tmp_path, metadata, fault):
    if isinstance(metadata, dict):
        metadata = json.dumps({"ferpipe": metadata}).encode()
    path = write(tmp_path / "model.keras", metadata)
    with pytest.raises(PipelineError, match=f"^{re.escape(f'{path}{fault}')}") as error:
        read_card(path)
    assert find_card(path) is None
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip"])
def test_another_file_is_no_model_file(tmp_path, content):
    path = tmp_path / "model.keras"
    with pytest.raises(PipelineError, match=r"model.keras is missing; run `dvc repro`"):
        read_card(path)
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=r"model.keras is not a model file: "):
        read_card(path)

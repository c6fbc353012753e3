"""Predicting with exported files instead of the model file."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from faces import noise, png, write_folder
from networks import published

from ferpipe.core.errors import PipelineError
from ferpipe.evaluation.card import read_card
from ferpipe.prediction import exported, exporting
from ferpipe.prediction.predictor import Predictor
from ferpipe.tools import cli

REASON = 'needs `pip install ".[export]"`'
onnx = pytest.importorskip("onnx", reason=REASON)
for name in ("tf2onnx", "onnxruntime", "ai_edge_litert"):
    pytest.importorskip(name, reason=REASON)

CLASSES = ["anger", "happy", "sadness"]
PICTURES = [noise(number, 24, 24) for number in range(70)]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    return published(tmp_path_factory.mktemp("model"), CLASSES)


@pytest.fixture(scope="module")
def files(model_path):
    """The path of the exported file of each format."""
    paths = {}
    for form, end in exported.ENDINGS.items():
        paths[form] = model_path.with_name(f"model{end}")
        model, card = exporting.load(model_path), read_card(model_path)
        exporting.write(model, paths[form], form, "uint8", CLASSES, card=card)
    return paths


def probabilities(path):
    results = Predictor.load(path, cropped=True)(PICTURES)
    return np.array([face.probabilities for (face,) in results])


@pytest.mark.parametrize("form", exported.ENDINGS)
def test_a_predictor_predicts_with_an_exported_file_as_with_the_model(model_path, files, form):
    assert exported.form_of(files[form]) == form
    np.testing.assert_allclose(probabilities(files[form]), probabilities(model_path), atol=1e-5)
    assert Predictor.load(files[form]).card == read_card(model_path)


def test_other_names_are_not_of_exported_files(model_path, tmp_path):
    assert [exported.form_of(path) for path in (model_path, tmp_path)] == [None, None]


def broken(path, form, target, how):
    """A copy of an exported file that is damaged, or lacks what says what it is."""
    target = target / path.name
    if form == "saved-model":
        shutil.copytree(path, target)
        metadata = target / "assets.extra/metadata.json"
        if how == "damaged":
            (target / "saved_model.pb").write_bytes(b"no model")
        elif how == "bare":
            metadata.unlink()
        else:
            metadata.write_text(json.dumps(how))
    elif how == "damaged":
        target.write_bytes(b"no model")
    elif form == "onnx":
        proto = onnx.load(path)
        del proto.metadata_props[:]
        if how != "bare":
            onnx.helper.set_model_props(proto, {"metadata.json": json.dumps(how)})
        onnx.save(proto, target)
    else:
        whole = path.read_bytes()
        target.write_bytes(whole[: whole.rindex(b"PK\3\4")])
        if how != "bare":
            with zipfile.ZipFile(target, "a") as zipped:
                zipped.writestr("metadata.json", json.dumps(how))
    return target


@pytest.mark.parametrize("form", exported.ENDINGS)
@pytest.mark.parametrize(
    ("how", "fault"),
    [
        ("damaged", "is not what `ferpipe export` writes: "),
        ("bare", "is not what `ferpipe export` writes: "),
        ({"classes": CLASSES}, "has no card with classes and input form; "),
        ([1], "has no card with classes and input form; "),
        ({"card": {"version": 99}}, "has a card of version 99, not 1; "),
    ],
)
def test_a_file_without_what_it_needs_is_one_line(files, tmp_path, capfd, form, how, fault):
    path = broken(files[form], form, tmp_path, how)
    with pytest.raises(PipelineError) as error:
        Predictor.load(path)
    assert str(error.value).startswith(f"{path} {fault}") and "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_the_command_takes_one_but_has_no_heat_maps_of_it(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(write_folder(tmp_path, {"1.png": png(1), "2.png": png(2)}))

    def predict(*options):
        monkeypatch.setattr("sys.argv", ["ferpipe", "predict", "--cropped", ".", *options])
        cli.main()
        return capsys.readouterr().out

    assert len(predict("--model", str(files["onnx"])).splitlines()) == 4
    with pytest.raises(SystemExit, match="1"):
        predict("--model", str(files["onnx"]), "--annotate", "o", "--explain")
    line = f"--explain needs the .keras file, {files['onnx']} is exported"
    assert line in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        predict("--model", "nosuch.tflite")
    assert "nosuch.tflite is missing; run `ferpipe export`" in capsys.readouterr().err

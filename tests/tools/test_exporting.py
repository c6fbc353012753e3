"""`ferpipe export`: what it refuses before and after converting, and what it prints."""

import dataclasses
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import bars, schema, train_params

from ferpipe.core import files
from ferpipe.core.errors import PipelineError
from ferpipe.data import records, tfrecord
from ferpipe.data.split_writer import SplitWriter
from ferpipe.tools import cli, exporting

REASON = 'needs `pip install ".[export]"`'
pytest.importorskip("tf2onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)
pytest.importorskip("ai_edge_litert", reason=REASON)

SIDE = 48  # as docs/use.md has it

pytestmark = pytest.mark.slow  # they import TensorFlow and convert


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """The compact network for images of 48 pixels, with the classes of `networks.bars`."""
    from ferpipe.model import saving
    from ferpipe.model.backend import prepare
    from ferpipe.model.network import build_model, with_probabilities

    prepare(seed=1)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model = with_probabilities(build_model(train_params(input_size=SIDE), SIDE, 1, classes=3))
    model.get_layer("logits").set_weights(
        [
            np.random.default_rng(0).normal(0, 0.02, w.shape)
            for w in model.get_layer("logits").weights
        ]
    )
    saving.save(model, path, schema().classes)
    return path


@pytest.fixture
def model(project, model_file):
    """models/model.keras in the project's folder, in which the test runs."""
    path = project / "models/model.keras"
    files.write_bytes(path, model_file.read_bytes())
    return path.relative_to(project)


@pytest.fixture
def with_records(project):
    """Records of 48 pixels in data/records."""
    folder = project / "data/records"
    folder.mkdir()
    counts, shards, digests = {"train": 30, "val": 9, "test": 12}, {}, {}
    for seed, (split, count) in enumerate(counts.items()):
        data = bars(count, seed, SIDE)
        with SplitWriter(folder, split, count, shard_size=count) as writer:
            for row in zip(data.images, data.labels, data.paths, strict=True):
                writer.add(tfrecord.encode(*row))
            writer.finish()
        shards[split] = writer.shards
        digests |= writer.sha256
    written = schema(SIDE, shards=shards, images=counts, sha256=digests)
    files.write_json(folder / records.SCHEMA, dataclasses.asdict(written))
    return folder


def run(model, form="onnx", output=None, dtype="uint8", quantize=None):
    return list(exporting.export(model, form, output, dtype, quantize))


def test_it_is_compared_on_the_test_images_and_described(model, with_records, project):
    lines = run(model)
    assert re.fullmatch(r"models/model\.onnx written: 1\.\d MB", lines[0])
    assert lines[1:4] == [
        "input `image`: uint8 (n, 48, 48, 1), values 0 to 255",
        "output `probabilities`: float32 (n, 3)",
        "classes: c0, c1, c2",
    ]
    assert re.fullmatch(
        r"largest difference from Keras, on 12 test images: \d\.\de-(0[5-9]|1\d)", lines[4]
    )
    assert sorted(path.name for path in (project / "models").iterdir()) == [
        *("model.keras", "model.onnx")
    ]


@pytest.mark.parametrize("split", [None, "other size"])
def test_it_is_compared_on_noise_without_records_of_its_size(model, project, request, split):
    if split:
        folder = request.getfixturevalue("with_records")
        other = dataclasses.asdict(records.read_schema(folder)) | {"image_size": 24}
        files.write_json(folder / records.SCHEMA, other)
    lines = run(model, "litert", project / "new/here.tflite", "float32")
    assert "on 64 images of noise: " in lines[4]
    assert [path.name for path in (project / "new").iterdir()] == ["here.tflite"]


def test_int8_prints_the_accuracy_on_val_before_and_after(model, with_records):
    lines = run(model, "litert", quantize="int8")
    assert re.fullmatch(r"accuracy on 9 val images: 0\.\d{4} -> 0\.\d{4}", lines[5])


def test_int8_needs_the_images_of_the_training(model):
    with pytest.raises(PipelineError, match=r"data/records has none of its size and classes; run"):
        run(model, "litert", quantize="int8")


@pytest.mark.parametrize("form", ["onnx", "saved-model"])
def test_a_file_that_differs_is_not_written(model, project, monkeypatch, form):
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    before = project / "models" / ("model.onnx" if form == "onnx" else "kept")
    before.write_text("before")
    with pytest.raises(PipelineError, match=f"{form} differs from Keras by .* is not written"):
        run(model, form)
    assert before.read_text() == "before"
    names = sorted(path.name for path in (project / "models").iterdir())
    assert names == sorted(["model.keras", before.name])


def test_a_saved_model_replaces_only_a_saved_model(model, project):
    run(model, "saved-model")
    (project / "models/model_saved_model/old").touch()
    run(model, "saved-model")
    assert not (project / "models/model_saved_model/old").exists()
    with pytest.raises(PipelineError, match="models exists and is no SavedModel"):
        run(model, "saved-model", model.parent)
    assert model.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "ONNX"}, "--format ONNX: should be one of onnx, litert, saved-model"),
        ({"form": "tflite"}, "--format tflite: should be one of onnx, litert, saved-model"),
        ({"dtype": "int8"}, "--dtype int8: should be one of uint8, float32"),
        ({"form": "litert", "quantize": "int4"}, "--quantize int4: should be one of int8"),
        ({"quantize": "int8"}, "--quantize int8 is for --format litert"),
        ({"output": "."}, ". is a folder: give --output the name of a file"),
        ({"output": "models/model.keras"}, "models/model.keras is the model itself: choose"),
        ({"output": "params.yaml/x/m.onnx"}, "params.yaml/x/m.onnx cannot be written: .*/params"),
        ({"form": "saved-model", "output": "params.yaml"}, "params.yaml exists and is no SavedMo"),
        ({"form": "saved-model", "output": ".."}, ".. exists and is no SavedModel"),
    ],
)
def test_a_wrong_option_is_reported_before_anything_is_loaded(model, changes, message):
    if "output" in changes:
        changes = {**changes, "output": Path(changes["output"])}
    with pytest.raises(PipelineError, match=f"^{message}"):
        run(model, **changes)


@pytest.mark.parametrize(
    ("form", "package"),
    [("onnx", "tf2onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")],
)
def test_without_the_extra_it_says_what_to_install(model, monkeypatch, form, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(PipelineError, match=f"--format {form} needs {package}: run `pip install"):
        run(model, form)


def test_the_command_writes_nothing_but_the_file_and_its_lines(model, monkeypatch, run_python):
    # TensorFlow sets it in this process; where it is set, all of the log is shown.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    command = ("-c", "from ferpipe.tools.cli import main; main()", "export")
    done = run_python(*command, "--format", "litert", timeout=600, KERAS_BACKEND="jax")
    assert (done.returncode, done.stderr.splitlines()) == (0, [])
    assert done.stdout.startswith("models/model.tflite written: 1.")
    assert done.stdout.count("\n") == 5
    model.unlink()
    done = run_python(*command, "--format", "litert", timeout=600)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "ferpipe: error: there is no model file models/model.keras; `dvc repro` makes "
        "models/model.keras\n"
    )


def test_the_commands_and_examples_of_the_docs_run(model, with_records, root, capsys):
    text = (root / "docs/use.md").read_text(encoding="utf-8").partition("\n## Export\n")[2]
    text = text.partition("\n## ")[0]
    (commands,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        args = cli.parser().parse_args(words[1:])
        args.run(args)
        (target,) = re.findall(r"# (models/\S+)", line) or [str(args.output)]
        assert f"{target.rstrip('/')} written: " in capsys.readouterr().out
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for example in examples:
        exec(compile(example, "docs/use.md", "exec"), {})
        assert capsys.readouterr().out == "['c0', 'c1', 'c2'] (5, 3)\n"
    assert len(examples) == 3

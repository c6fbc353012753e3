"""The benchmarks' own arithmetic; what they measure is run by `make bench` alone."""

import io

import numpy as np
import pytest
from PIL import Image

import features
import gpu
import inputs
import load
import predict
import report
import scale
import stable
import stages
import start
import step
import table
import timed_stage
import unfamiliar
import workers
from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import read_yaml

BENCHMARKS = (
    *("step", "features", "kernels", "start", "stages"),
    *("inputs", "load", "reruns", "stable", "gpu", "cases", "framing", "scale", "unfamiliar"),
    "predict",
)
OURS, PYTORCH, DEFAULT = (
    contender.name for contender in (workers.OURS, workers.PYTORCH, workers.PYTORCH_DEFAULT)
)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_comes_without_tensorflow(root, run_python, name):
    done = run_python("-X", "importtime", root / f"benchmarks/{name}.py", "--help")
    assert done.returncode == 0
    assert f"usage: {name}.py" in done.stdout
    assert not {"tensorflow", "keras", "torch"} & {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }


@pytest.mark.parametrize("name", ["step", "features", "start", "gpu"])
def test_missing_pytorch_is_one_line(root, run_python, tmp_path, name):
    done = run_python(root / f"benchmarks/{name}.py", "--peer", tmp_path / "python")
    assert (done.returncode, done.stdout) == (1, "")
    line = f"{name}: error: {tmp_path / 'python'} has no PyTorch; `make bench` installs it\n"
    assert done.stderr == line


def test_missing_fer_is_one_line(root, run_python, tmp_path):
    done = run_python(root / "benchmarks/predict.py", "--fer", tmp_path / "python")
    line = f"predict: error: {tmp_path / 'python'} has no fer; `make bench` installs it\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_the_report_names_the_command_and_no_folder_of_this_machine(tmp_path):
    words = [str(tmp_path / "step.py"), "--sizes", "64", "--peer", str(tmp_path / "python")]
    line = "python benchmarks/step.py --sizes 64 --peer python"
    assert report.command_line(words) == line


def setting(speeds):
    return step.Setting(64, 32, speeds=speeds, peaks=dict.fromkeys(speeds, 3 * report.GIB))


# fmt: off
STEP = setting({OURS: [30.0, 33.0, 24.0], PYTORCH: [20.0, 30.0, 20.0], DEFAULT: [19.0, 20.0, 19.0]})
GPU = {gpu.OURS.name: [[9.0, 4.0, 15.0], [0.2, 0.2]],
       gpu.PEER.name: [[20.0, 20.0, 49.0], [0.4, 0.8]]}
INPUTS = {inputs.READ: [3200.0], inputs.COMPACT.name: [32.0], inputs.RESNET.name: [16.0]}
SPEEDS = [[30.0, 40.0], [9.0, 9.0], [8.0, 8.0], [10.0, 40.0], [20.0, 40.0]]
NAMES = [who.name for who in features.CONTENDERS]
FEATURES = step.Setting(96, 128, speeds=dict(zip(NAMES, SPEEDS, strict=True)),
                        peaks=dict.fromkeys(NAMES, report.GIB))
SCALE = {count: dict.fromkeys(scale.STAGES, (seconds, 100 * 2**20, 2_000_000))
         for count, seconds in {4000: 3.5, 1000: 1.0, 3000: 3.0}.items()}
LOAD = {2024: dict.fromkeys(load.STAGES, (3.0, 101 * 2**20)),
        1000: dict.fromkeys(load.STAGES, (1.0, 100 * 2**20))}
ROWS = {
    "the ratio is to the faster PyTorch": (step.rows(STEP), [
        (OURS, 64, 32, "30.0 (24.0 to 33.0)", "1.20 (1.10 to 1.50)", 3, "3.0"),
        (PYTORCH, 64, 32, "20.0 (20.0 to 30.0)", "1", 3, "3.0"),
        (DEFAULT, 64, 32, "19.0 (19.0 to 20.0)", "0.95 (0.67 to 0.95)", 3, "3.0"),
    ]),
    "without PyTorch there is no ratio": (step.rows(setting({OURS: [1.0]})), [
        (OURS, 64, 32, "1.0", "", 1, "3.0"),
    ]),
    "features have a ratio to both of PyTorch": (features.rows("ResNet101", FEATURES)[:1], [
        (NAMES[0], "ResNet101", 96, "35 (30 to 40)", "2.00 (1.00 to 3.00)",
         "1.25 (1.00 to 1.50)", "1.0"),
    ]),
    "a start has a ratio too": (start.rows({OURS: [20.0, 30.0], PYTORCH: [4.0, 5.0]}), [
        (OURS, "25.0 (20.0 to 30.0)", "5.5 (5.0 to 6.0)"),
        (PYTORCH, "4.5 (4.0 to 5.0)", "1.0 (1.0 to 1.0)"),
    ]),
    "the share of inputs is their time over a step's": (inputs.rows(INPUTS), [
        (inputs.READ, "3200", "10.00", "1.00 %", "0.50 %"),
        (inputs.COMPACT.name, "32", "1000.00", "", ""),
        (inputs.RESNET.name, "16", "2000.00", "", ""),
    ]),
    "the slope is the cost of one image more": (load.rows("zip", LOAD)[:2], [
        ("zip", "download", "1,000", "1.00", "100", "", ""),
        ("zip", "download", "2,024", "3.00", "101", "1.953", "1.00"),
    ]),
    "each size has the slope from the one before it": (scale.pipeline_rows(SCALE)[:3], [
        ("download", "1,000", "1.0", "100", "2", ""),
        ("download", "3,000", "3.0", "100", "2", "1000.0"),
        ("download", "4,000", "3.5", "100", "2", "500.0"),
    ]),
    "epochs from disk are compared in each round": (
        scale.epoch_row(scale.SETTINGS[0], {"memory": [50, 10], "disk": [40, 10],
                                            "inputs": [200, 50]}),
        ("compact, 48 px", "30 (10 to 50)", "25 (10 to 40)", "12.5 (0.0 to 25.0) %",
         "125 (50 to 200)", "4.5 (4.0 to 5.0)"),
    ),
    "a training that only rises has no fall": (
        stable.row("all", [0.2, 0.5, 0.8], [2.0, 1.0, 1000.5]),
        ("all", "80.0%", "80.0%", "0 points", "1,000.50"),
    ),
    "a whole training on a GPU is measured": (
        [row[3:] for row in gpu.rows(8, GPU)],
        [("0.38 (0.25 to 0.50)", "9.0", "4.0", "15.0"), ("1", "20.0", "20.0", "49.0")],
    ),
    "a face beyond the limit is unlike training": (
        [unfamiliar.row("test", np.array([0.5, 0.7, 1.0, 1.01]))], [("test", 4, "25.0%", "0.85")],
    ),
    "the ratio to fer is of the same side and round": (
        predict.speed_rows({48: {"fer": [10.0, 5.0], "ours": [20.0, 20.0]},
                            192: {"fer": [4.0], "ours": [2.0]}})[1:],
        [("ours", "20 (20 to 20)", "2", "3.00 (2.00 to 4.00)", "0.50")],
    ),
    "what only one of two knows is not asked": (
        predict.accuracy_rows(
            {"1": "anger", "2": "anger", "3": "contempt", "4": "happy"},
            {"fer": {name: {"angry": 0.3, "happy": 0.2, "neutral": 0.5} for name in "1234"},
             "ours": {name: {"anger": 0.1, "contempt": 0.7, "happy": 0.2} for name in "1234"}},
        ),
        [("contender", "all", "anger (2)", "happy (1)"),
         ("fer", "66.7%", "100.0%", "0.0%"), ("ours", "33.3%", "0.0%", "100.0%")],
    ),
}
# fmt: on


@pytest.mark.parametrize("name", ROWS)
def test_the_rows_of_a_table(name):
    rows, expected = ROWS[name]
    assert rows == expected


def test_a_table_is_aligned_markdown_of_medians_and_ranges():
    assert table.spread([3.0, 1.0, 2.04]) == "2.0 (1.0 to 3.0)"
    assert table.spread([1.25], digits=2) == "1.25"
    assert table.markdown(("who", "images/s"), [("ours", 9.5), ("a peer", "10 (9 to 11)")]) == (
        "| who    |     images/s |\n"
        "| :----- | -----------: |\n"
        "| ours   |          9.5 |\n"
        "| a peer | 10 (9 to 11) |\n"
    )


def test_ratios_are_of_the_same_round():
    # The second round was slow for both; the ratio is not affected.
    assert table.ratios([30.0, 3.0], [20.0, 2.0]) == [1.5, 1.5]
    with pytest.raises(ValueError, match="shorter"):
        table.ratios([1.0, 2.0], [1.0])


def test_a_turn_has_one_step_or_as_many_as_fit():
    assert step.steps_in_turn([0.5, 0.1, 9.0], turn_seconds=2.0) == 4
    assert step.steps_in_turn([24.0], turn_seconds=2.0) == 1


def test_the_error_of_a_failed_contender_has_its_last_line(tmp_path):
    with (
        workers.Worker(workers.OURS, tmp_path, {"no-such-option": 1}) as worker,
        pytest.raises(PipelineError, match=r"ferpipe.* has ended: code 2: .*no-such-option"),
    ):
        worker.ready()


def test_records_written_for_reading_can_be_read(tmp_path):
    schema = inputs.write_records(tmp_path, 5)
    assert inputs.reading(tmp_path, schema) > 0


def test_every_second_is_charged_once_to_the_innermost_part():
    now = 0

    def tick(seconds):
        nonlocal now
        now += seconds

    class Trainer:
        def train(self):
            tick(5)
            return "trained"

        def epoch(self):
            tick(1)
            return [self.train() for _ in range(3)]

    clock = timed_stage.Clock(lambda: now)
    clock.watch(Trainer, "train", "first step")
    clock.watch(Trainer, "epoch", "batches")
    tick(2)
    assert Trainer().epoch() == ["trained"] * 3
    clock.charge()
    assert clock.seconds == {"rest": 2, "batches": 1, "first step": 5, "further steps": 10}


@pytest.mark.parametrize("stage", timed_stage.STAGES)
def test_every_timed_function_exists(stage):
    for name, part in timed_stage.watched(stage).items():
        owner, last = timed_stage.resolve(name)
        assert callable(getattr(owner, last)), name
        assert part in timed_stage.PARTS


def test_every_command_of_the_pipeline_can_be_timed(root):
    pipeline = read_yaml(root / "dvc.yaml")["stages"]
    for name, stage in pipeline.items():
        assert timed_stage.order(stage["cmd"].split()[1:]) == name
    assert timed_stage.order(["src/stage.py", "cv_fold"]) is None


def test_the_parts_of_a_stage_and_its_exit_add_up_to_its_wall_time():
    parts = stages.by_stage(
        [
            {"stage": "split", "finished": 12.0, "seconds": {"rest": 2.0}},
            {"stage": "split", "started": 10.0, "ended": 12.5},
        ]
    )
    assert parts == {"split": {"rest": 2.0, "process exit": 0.5}}
    (*_, wall) = stages.rows([parts])
    assert wall == ("the stage, wall", "", "2.50", "", "", "", "2.50")


def test_the_largest_fall_is_between_epochs_after_warm_up():
    assert stable.largest_fall([0.9, 0.1, 0.5, 0.4, 0.8], warmup_epochs=2) == pytest.approx(0.1)
    assert stable.largest_fall([0.9, 0.1, 0.5, 0.4, 0.8], warmup_epochs=0) == pytest.approx(0.8)
    assert stable.largest_fall([0.5], warmup_epochs=2) == 0.0


@pytest.mark.parametrize(
    ("variant", "gamma"), [("all measures", 0.0), ("residual branches start at one", 1.0)]
)
def test_a_variant_switches_its_measure_off(variant, gamma):
    from ferpipe.model import backbones

    _, without = stable.variants()[variant]
    with without():
        backbone = backbones.build("compact", 16, 1, "none")
    assert (backbone.get_layer("stage3_2_bn").gamma.numpy() == gamma).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_no_face_has_the_size_of_the_records(channels):
    kinds = dict(unfamiliar.no_faces(16, channels))
    assert len(kinds) == 5
    for kind in kinds.values():
        assert (kind.dtype, kind.shape[1:]) == (np.uint8, (16, 16, channels))
        assert len(np.unique(kind, axis=0)) > 190


@pytest.mark.parametrize(("side", "form"), [(48, "L"), (60, "RGB")])
def test_faces_of_any_number_and_side_are_drawn(side, form):
    made = list(scale.encoded(25, side))
    assert len({data for _, data in made}) == 25
    for number, (name, data) in enumerate(made):
        image = Image.open(io.BytesIO(data))
        assert (image.size, image.mode) == ((side, side), form)
        assert name.rpartition(".")[0] == load.name_of(number).rpartition(".")[0]


def test_a_short_run_starts_from_what_the_light_stages_make(tmp_path):
    start.make_project(tmp_path, size=32, batch=8, subjects=start.SUBJECTS)
    arrays = np.load(tmp_path / "images.npz")
    assert arrays["train_images"].shape == (len(arrays["train_labels"]), 32, 32, 3)
    assert len(arrays["train_labels"]) > len(arrays["val_labels"]) > 0

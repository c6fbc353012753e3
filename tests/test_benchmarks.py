"""The benchmarks' own arithmetic; what they measure is run by `make bench` alone."""

import sys
import time

import pytest

import gpu
import inputs
import load
import report
import stable
import stages
import start
import step
import table
import timed_stage
import workers
from ferpipe.core import machine
from ferpipe.core.errors import PipelineError
from ferpipe.params.reader import read_yaml

BENCHMARKS = ("step", "kernels", "start", "stages", "inputs", "load", "reruns", "stable", "gpu")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_help_comes_at_once_and_without_tensorflow(root, run_python, name):
    started = time.monotonic()
    done = run_python("-X", "importtime", root / f"benchmarks/{name}.py", "--help")
    seconds = time.monotonic() - started
    assert done.returncode == 0
    assert f"usage: {name}.py" in done.stdout
    assert not {"tensorflow", "keras", "torch"} & {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }
    assert seconds < 5  # half a second on a machine that does nothing else


@pytest.mark.parametrize("name", ["step", "start", "gpu"])
def test_no_pytorch_is_told_in_one_line(root, run_python, tmp_path, name):
    done = run_python(root / f"benchmarks/{name}.py", "--peer", tmp_path / "python")
    assert (done.returncode, done.stdout) == (1, "")
    line = f"{name}: error: {tmp_path / 'python'} has no PyTorch; `make bench` installs it\n"
    assert done.stderr == line


def test_a_table_is_aligned_markdown():
    assert table.markdown(("who", "images/s"), [("ours", 9.5), ("a peer", "10 (9 to 11)")]) == (
        "| who    |     images/s |\n"
        "| :----- | -----------: |\n"
        "| ours   |          9.5 |\n"
        "| a peer | 10 (9 to 11) |\n"
    )


def test_spread_is_median_and_range():
    assert table.spread([3.0, 1.0, 2.04]) == "2.0 (1.0 to 3.0)"
    assert table.spread([1.0, 2.0], digits=2) == "1.50 (1.00 to 2.00)"
    assert table.spread([1.25], digits=2) == "1.25"


def test_ratios_are_of_the_same_round():
    # The second round was slow for both; the ratio does not mind.
    assert table.ratios([30.0, 3.0], [20.0, 2.0]) == [1.5, 1.5]
    with pytest.raises(ValueError, match="shorter"):
        table.ratios([1.0, 2.0], [1.0])


# step


def test_a_turn_has_a_step_or_as_many_as_fit():
    assert step.steps_in_turn([0.5, 0.1, 9.0], turn_seconds=2.0) == 4
    assert step.steps_in_turn([24.0], turn_seconds=2.0) == 1


def test_contenders_share_the_machine_where_memory_holds_them():
    assert step.fit_together(built=1, peak=2, others=4, available=16)
    assert not step.fit_together(built=1, peak=2, others=4, available=15)


def test_the_ratio_is_to_the_faster_pytorch():
    setting = step.Setting(64, 32)
    setting.speeds = {
        workers.OURS.name: [30.0, 33.0, 24.0],
        workers.PYTORCH.name: [20.0, 30.0, 20.0],
        workers.PYTORCH_DEFAULT.name: [19.0, 20.0, 19.0],
    }
    setting.peaks = dict.fromkeys(setting.speeds, 3 * report.GIB)
    assert step.rows(setting) == [
        (workers.OURS.name, 64, 32, "30.0 (24.0 to 33.0)", "1.20 (1.10 to 1.50)", 3, "3.0"),
        (workers.PYTORCH.name, 64, 32, "20.0 (20.0 to 30.0)", "1", 3, "3.0"),
        (
            workers.PYTORCH_DEFAULT.name,
            64,
            32,
            "19.0 (19.0 to 20.0)",
            "0.95 (0.67 to 0.95)",
            3,
            "3.0",
        ),
    ]


def test_a_setting_without_pytorch_has_no_ratio():
    setting = step.Setting(224, 64, speeds={workers.OURS.name: [1.0]})
    setting.peaks = {workers.OURS.name: report.GIB}
    assert step.rows(setting) == [(workers.OURS.name, 224, 64, "1.0", "", 1, "1.0")]


def test_a_contender_that_fails_is_told_with_its_last_words(tmp_path):
    with (
        workers.Worker(workers.OURS, tmp_path, {"no-such-option": 1}) as worker,
        pytest.raises(PipelineError, match=r"ferpipe.* has ended: code 2: .*no-such-option"),
    ):
        worker.ready()


# start, inputs


def test_waiting_is_compared_with_pytorch():
    seconds = {workers.OURS.name: [20.0, 30.0], workers.PYTORCH.name: [4.0, 5.0]}
    assert start.rows(seconds) == [
        (workers.OURS.name, "25.0 (20.0 to 30.0)", "5.5 (5.0 to 6.0)"),
        (workers.PYTORCH.name, "4.5 (4.0 to 5.0)", "1.0 (1.0 to 1.0)"),
    ]


def test_the_share_of_the_inputs_is_time_over_the_steps_time():
    speeds = {inputs.READ: [3200.0], inputs.COMPACT.name: [32.0], inputs.RESNET.name: [16.0]}
    assert inputs.rows(speeds) == [
        (inputs.READ, "3200", "10.00", "1.00 %", "0.50 %"),
        (inputs.COMPACT.name, "32", "1000.00", "", ""),
        (inputs.RESNET.name, "16", "2000.00", "", ""),
    ]


def test_records_written_for_reading_can_be_read(tmp_path):
    schema = inputs.write_records(tmp_path, 5)
    assert inputs.reading(tmp_path, schema) > 0


# load


def test_the_slope_is_what_an_image_more_costs():
    few = dict.fromkeys(load.STAGES, (1.0, 100 * 2**20))
    many = dict.fromkeys(load.STAGES, (3.0, 101 * 2**20))
    first, second, *_ = load.rows({2024: many, 1000: few})
    assert first == ("download", "1,000", "1.00", "100", "", "")
    assert second == ("download", "2,024", "3.00", "101", "1.953", "1.00")


def test_a_person_of_the_load_has_seven_classes_of_three_frames():
    names = [load.name_of(number) for number in range(22)]
    assert names[0] == "anger/S00001_001_00000001.png"
    assert names[20] == "surprise/S00001_007_00000003.png"
    assert names[21] == "anger/S00002_001_00000001.png"


# stages


class Trainer:
    def train(self):
        self.clock.tick(5)
        return "trained"

    def epoch(self):
        self.clock.tick(1)
        return [self.train() for _ in range(3)]


class Time:
    def __init__(self):
        self.now = 0

    def tick(self, seconds):
        self.now += seconds


def test_every_second_is_charged_once_to_the_innermost_part(monkeypatch):
    time = Time()
    clock = timed_stage.Clock(lambda: time.now)
    monkeypatch.setattr(Trainer, "clock", time, raising=False)
    monkeypatch.setattr(Trainer, "train", Trainer.train)
    monkeypatch.setattr(Trainer, "epoch", Trainer.epoch)
    clock.watch(Trainer, "train", "first step")
    clock.watch(Trainer, "epoch", "batches")
    time.tick(2)
    assert Trainer().epoch() == ["trained"] * 3
    clock.charge()
    assert clock.seconds == {"rest": 2, "batches": 1, "first step": 5, "further steps": 10}


@pytest.mark.parametrize("stage", timed_stage.STAGES)
def test_what_is_timed_is_there(stage):
    for name, part in timed_stage.watched(stage).items():
        owner, last = timed_stage.resolve(name)
        assert callable(getattr(owner, last)), name
        assert part in timed_stage.PARTS


def test_the_parts_of_a_stage_and_its_exit_make_its_wall_time():
    parts = stages.by_stage(
        [
            {"stage": "split", "finished": 12.0, "seconds": {"rest": 2.0}},
            {"stage": "split", "started": 10.0, "ended": 12.5},
        ]
    )
    assert parts == {"split": {"rest": 2.0, "process exit": 0.5}}
    (*_, wall) = stages.rows([parts])
    assert wall == ("the stage, wall", "", "2.50", "", "", "", "2.50")


def test_the_machine_is_told_without_its_name():
    assert f"{machine.cores()} cores" in report.machine_line()
    assert sys.prefix not in report.machine_line()


def test_the_largest_fall_is_between_epochs_after_warm_up():
    assert stable.largest_fall([0.9, 0.1, 0.5, 0.4, 0.8], warmup_epochs=2) == pytest.approx(0.1)
    assert stable.largest_fall([0.9, 0.1, 0.5, 0.4, 0.8], warmup_epochs=0) == pytest.approx(0.8)
    assert stable.largest_fall([0.5], warmup_epochs=2) == 0.0


def test_a_row_of_a_training_that_only_rises_has_no_fall():
    made = stable.row("all", [0.2, 0.5, 0.8], [2.0, 1.0, 1000.5])
    assert made == ("all", "80.0%", "80.0%", "0 points", "1,000.50")


@pytest.mark.parametrize(
    ("variant", "gamma"), [("all measures", 0.0), ("residual branches start at one", 1.0)]
)
def test_a_variant_switches_its_measure_off(variant, gamma):
    from ferpipe.model import backbones

    _, without = stable.variants()[variant]
    with without():
        backbone = backbones.build("compact", 16, 1, "none")
    assert (backbone.get_layer("stage3_2_bn").gamma.numpy() == gamma).all()


def test_a_whole_training_on_a_gpu_is_start_up_and_fifty_epochs():
    found = {gpu.OURS.name: [[9.0, 4.0], [0.2, 0.2]], gpu.PEER.name: [[20.0, 20.0], [0.4, 0.8]]}
    ours, theirs = gpu.rows(8, found)
    assert ours[2:] == ("0.20 (0.20 to 0.20)", "0.38 (0.25 to 0.50)", "9.0", "4.0", "14.0")
    assert (theirs[3], theirs[-1]) == ("1", "50.0")


def test_every_command_of_the_pipeline_can_be_timed(root):
    pipeline = read_yaml(root / "dvc.yaml")["stages"]
    for name, stage in pipeline.items():
        assert timed_stage.order(stage["cmd"].split()[1:]) == name
    assert timed_stage.order(["src/stage.py", "cv_fold"]) is None

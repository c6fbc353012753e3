"""The command `ferpipe`, for use beside DVC."""

from __future__ import annotations

import argparse
import inspect
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.data.assigned import read_assigned
from ferpipe.params.download import Download
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.experiment import json_schema, read_experiment
from ferpipe.params.reader import read_section
from ferpipe.params.run import Run
from ferpipe.params.split import Split
from ferpipe.runtime import run_log
from ferpipe.tools import damaged_dvc_files, options, presets


def check(args: argparse.Namespace) -> None:
    """Check every key of the params file; move aside DVC files that were truncated."""
    for path in damaged_dvc_files.move_aside():
        print(
            f"{path} was damaged when DVC was killed: moved to {paths.CACHE / 'damaged'}; "
            "`dvc repro` restores what was done from its run cache"
        )
    experiment = read_experiment(args.params)
    local = experiment.download.local.path
    if not Path(local).exists():
        # DVC watches this path for any source, and its own message names no key.
        raise PipelineError(
            f"{args.params}: download.local.path = {local!r}: there is no such file or folder; "
            "the default is data/local"
        )
    split = experiment.split
    if not Path(split.assigned).is_file():  # as above
        raise PipelineError(
            f"{args.params}: split.assigned = {split.assigned!r}: there is no such file; the "
            "default is data/assigned.csv"
        )
    protocol = "official parts" if split.official == "use" else split.group_by
    if read_assigned(Path(split.assigned)):
        protocol = split.assigned
    print(
        f"{args.params} is valid: source {experiment.download.source}, split by {protocol}, "
        f"backbone {experiment.train.backbone}, {experiment.train.epochs} epochs"
    )


def preset(args: argparse.Namespace) -> None:
    """List the presets, or replace the params file by one of them.

    Keys that the preset does not set, also those of `evaluate`, `cv` and `run`, are reset to the
    values of presets/base.yaml. Every change is printed. The file may be missing or damaged.
    """
    if args.name is None:
        for name in presets.names():
            print("\n  ".join([name, *presets.header(name)]) + "\n")
        print(
            "`ferpipe preset NAME` replaces params.yaml; `dvc params diff` shows the changes.\n"
            "Keys that a preset does not set, also those of `evaluate`, `cv` and `run`, are reset\n"
            "to the values of presets/base.yaml."
        )
        return
    print("\n".join(presets.apply(args.name, args.params)) or "nothing to change")


def inspect_source(args: argparse.Namespace) -> None:
    """Show what a data set holds, which layout fits it, and the params to read it with.

    Nothing is written. `--params params.yaml` tests the layout and the name pattern set there.
    """
    from ferpipe.tools import inspection  # imports pandas

    download = read_section(args.params, "download", Download)
    name_pattern = read_section(args.params, "split", Split).name_pattern
    workers = read_section(args.params, "run", Run).workers
    for line in inspection.report(args.path.expanduser(), download, name_pattern, workers):
        print(line)


def train(args: argparse.Namespace) -> None:
    """Train in several processes: `dvc repro train` as process 0, a part of the work as another.

    `--processes N` alone starts all on this machine and shares out its GPUs. On several machines
    each process has a number; docs/scale.md has scripts.
    """
    from ferpipe.tools import training

    training.run(args)


def predict(args: argparse.Namespace) -> None:
    """Predict the expressions of the faces in pictures.

    A folder stands for all pictures in it, `-` for a list of files on standard input.
    """
    from ferpipe.tools import predicting  # imports TensorFlow

    predicting.run(args)


def app(args: argparse.Namespace) -> None:
    """Open a page that predicts pictures from files or the camera, at http://127.0.0.1:7860.

    Pictures stay on this machine and are not kept.
    """
    from ferpipe.tools import serving

    serving.run(args)


def schema(args: argparse.Namespace) -> None:
    """Write the JSON schema of params.yaml, for editors."""
    files.write_text(args.output, json_schema())
    print(f"{args.output} written")


def contact_sheet(args: argparse.Namespace) -> None:
    """Draw the built-in sample: a row for each class, a column for each subject."""
    from ferpipe.sources.sample import source

    image = source.contact_sheet(read_experiment(args.params).download.sample)
    with files.replacing(args.output) as file:
        image.save(file, format="PNG")
    print(f"{args.output} written")


def list_runs(args: argparse.Namespace) -> None:
    """List the runs of stages in this checkout: start, duration, outcome and machine."""
    runs = run_log.read()[-args.last :]
    print(run_log.table(runs) if runs else f"no stage has run here ({run_log.RUNS})")


def verify(args: argparse.Namespace) -> None:
    """Verify that the last commit gives the same bytes every time: two clones, three runs."""
    from ferpipe.tools import verify as verification

    verification.run(Path.cwd(), args.preset, keep=args.keep)


def compare(args: argparse.Namespace) -> None:
    """Compare two revisions on the same test images, and test the difference for significance.

    A revision is a commit, branch, tag or experiment, or `workspace`.
    """
    from ferpipe.tools import compare as comparison  # imports pandas

    confidence = read_section(args.params, "evaluate", Evaluate).confidence
    print(comparison.report(*comparison.read([args.old, args.new]), confidence))


def cv(args: argparse.Namespace) -> None:
    """Run the cross-validation of params.yaml, several folds at a time or in parts on machines.

    A fold gets the same bytes whatever the number of jobs. Without options this is
    `dvc repro cv/dvc.yaml`. docs/cross-validation.md shows how machines share the folds.
    """
    from ferpipe.tools import cross_validation

    cross_validation.run(args.jobs, args.part, pull=args.pull)


def export(args: argparse.Namespace) -> None:
    """Export the model to ONNX, LiteRT or a SavedModel, and compare it with Keras.

    The new file takes raw images, with values from 0 to 255, of the size that the model was trained
    on, and gives probabilities. docs/use.md shows how to run it.
    """
    from ferpipe.tools import exporting  # imports NumPy

    for line in exporting.export(args.model, args.format, args.output, args.dtype, args.quantize):
        print(line)


def parser() -> argparse.ArgumentParser:
    """The command line: one subcommand for each function above."""
    top = argparse.ArgumentParser(
        prog="ferpipe",
        description="Facial expression recognition on DVC. The pipeline itself runs with "
        "`dvc repro`.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable, **files: str) -> argparse.ArgumentParser:
        text = inspect.getdoc(run)
        command = commands.add_parser(name, help=text.partition("\n")[0], description=text)
        command.set_defaults(run=run)
        for option, default in files.items():
            command.add_argument(
                f"--{option}",
                type=Path,
                default=default,
                metavar="FILE",
                help=f"default: {default}",
            )
        return command

    add("check", check, params="params.yaml")
    command = add("preset", preset, params="params.yaml")
    command.add_argument("name", nargs="?", metavar="NAME", help="without it all are listed")
    command = add("inspect", inspect_source, params=presets.BASE)
    command.add_argument("path", type=Path, metavar="PATH", help="a folder, zip, tar or CSV")
    command = add("runs", list_runs)
    command.add_argument("--last", type=int, default=30, metavar="N", help="0: all; default: 30")
    command = add("verify", verify)
    command.add_argument("--preset", metavar="NAME", help="instead of params.yaml")
    command.add_argument("--keep", action="store_true", help="keep the clones")
    command = add("compare", compare, params="params.yaml")
    command.add_argument("old", nargs="?", default="HEAD", metavar="REV", help="default: HEAD")
    command.add_argument(
        "new", nargs="?", default="workspace", metavar="REV", help="default: workspace"
    )
    options.cross_validate(add("cv", cv))
    options.train(add("train", train))
    options.predict(add("predict", predict, model=paths.MODEL))
    options.app(add("app", app, model=paths.MODEL))
    options.export(add("export", export, model=paths.MODEL))
    add("schema", schema, params="params.yaml", output="params.schema.json")
    add("contact-sheet", contact_sheet, params="params.yaml", output="docs/sample.png")
    return top


@exits_cleanly("ferpipe")
def main() -> None:
    """Run the command of the command line."""
    args = parser().parse_args()
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread(sys.stdout.fileno()):
            raise
        # Python flushes it again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _is_unread(pipe: int) -> bool:
    """Whether nobody reads a pipe any more, as in `ferpipe runs | head`.

    The signal that ends a process then, SIGPIPE, would also end a server whose client has gone.
    """
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))

"""The command `ferpipe`, for use beside DVC."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError, exits_cleanly
from ferpipe.params.evaluate import Evaluate
from ferpipe.params.experiment import json_schema, read_experiment
from ferpipe.params.reader import read_section
from ferpipe.runtime import run_log
from ferpipe.tools import damaged_dvc_files, presets

SCHEMA = Path("params.schema.json")


def check(args: argparse.Namespace) -> None:
    """Check every key of the params file; move aside DVC files that were truncated."""
    for path in damaged_dvc_files.move_aside():
        print(
            f"{path} was damaged when DVC was killed: moved to {paths.CACHE / 'damaged'}; "
            "`dvc repro` restores what was done from its run cache"
        )
    experiment = read_experiment(args.params)
    local = Path(experiment.download.local.path)
    if not local.exists():
        # DVC watches this path for any source, and its own message names no key.
        raise PipelineError(
            f"{args.params}: download.local.path = {str(local)!r}: there is no such file or "
            "folder; the default is data/local"
        )
    print(
        f"{args.params} is valid: source {experiment.download.source}, split by "
        f"{experiment.split.group_by}, backbone {experiment.train.backbone}, "
        f"{experiment.train.epochs} epochs"
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
    changes = presets.apply(args.name, args.params)
    for change in changes or ["nothing to change"]:
        print(change)


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
    """Compare two revisions on the same test images, and test the difference for significance."""
    from ferpipe.tools import compare as comparison  # imports pandas

    confidence = read_section(args.params, "evaluate", Evaluate).confidence
    for line in comparison.lines(*comparison.read([args.old, args.new]), confidence):
        print(line)


def parser() -> argparse.ArgumentParser:
    """The command line: one subcommand for each function above."""
    top = argparse.ArgumentParser(
        prog="ferpipe",
        description="Facial expression recognition on DVC. The pipeline itself runs with "
        "`dvc repro`.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: object, *, params: bool = True) -> argparse.ArgumentParser:
        text = inspect.getdoc(run) or ""
        command = commands.add_parser(name, help=text.partition("\n")[0], description=text)
        command.set_defaults(run=run)
        if params:
            command.add_argument(
                "--params",
                type=Path,
                default=paths.PARAMS,
                metavar="FILE",
                help="default: params.yaml",
            )
        return command

    add("check", check)
    add("preset", preset).add_argument(
        "name", nargs="?", metavar="NAME", help="the preset; without it all are listed"
    )
    add("runs", list_runs, params=False).add_argument(
        "--last", type=int, default=30, metavar="N", help="number of runs; 0: all; default: 30"
    )
    proof = add("verify", verify, params=False)
    proof.add_argument("--preset", metavar="NAME", help="instead of params.yaml")
    proof.add_argument("--keep", action="store_true", help="keep the clones")
    compared = add("compare", compare)
    compared.add_argument(
        "old", nargs="?", default="HEAD", metavar="REV", help="commit or experiment; default: HEAD"
    )
    compared.add_argument(
        "new", nargs="?", default="workspace", metavar="REV", help="default: workspace"
    )
    for name, run, output in (
        ("schema", schema, SCHEMA),
        ("contact-sheet", contact_sheet, Path("docs/sample.png")),
    ):
        add(name, run).add_argument(
            "--output", type=Path, default=output, metavar="FILE", help=f"default: {output}"
        )
    return top


@exits_cleanly("ferpipe")
def main() -> None:
    """Run the command of the command line."""
    args = parser().parse_args()
    args.run(args)

"""`ferpipe predict`: the expressions of the faces in pictures and videos."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ferpipe.core.errors import PipelineError
from ferpipe.prediction import inputs, videos
from ferpipe.prediction.on_disk import plain

HEADER = ("picture", "face", "expression", "probabilities")
HINT = (
    "no face was found in some pictures: --cropped takes pictures that are faces, a lower "
    "--min-confidence or --min-size less sure and smaller ones"
)


def run(args: argparse.Namespace) -> None:
    """Predict, print a table, and write the files that were asked for.

    Raises:
        PipelineError: a file could not be used; the others are done.
    """
    if args.explain and not args.annotate:
        raise PipelineError("--explain needs --annotate FOLDER, where it writes its pictures")
    found = list(inputs.pictures(args.paths))
    paths = [one for one in found if isinstance(one, Path)]
    faults = [one for one in found if isinstance(one, PipelineError)]
    if not paths:
        raise PipelineError("; ".join(plain(str(fault)) for fault in faults))
    _check_targets(args, paths)
    from ferpipe.prediction import outputs
    from ferpipe.prediction.predictor import Predictor  # imports TensorFlow
    from ferpipe.prediction.results import Results
    from ferpipe.report.text import MISUSE

    predictor = Predictor.load(
        args.model,
        cropped=args.cropped,
        threshold=args.threshold,
        minimum_size=args.min_size,
        confidence=args.min_confidence,
    )
    if args.explain and predictor.model is None:
        raise PipelineError(f"--explain needs the .keras file, {args.model} is exported")
    results = Results(predictor, args.annotate, args.explain, kept=paths)
    for fault in faults:
        results.add_fault(fault)
    results.add_pictures([path for path in paths if not videos.is_video(path)])
    for path in filter(videos.is_video, paths):
        results.add_video(path, args.every)
    # What the terminal cannot show is escaped.
    sys.stdout.reconfigure(errors="backslashreplace")
    if results.lines:
        print(tabulate(results.lines, HEADER, disable_numparse=True))
    for target, write in ((args.csv, outputs.write_csv), (args.json, outputs.write_json)):
        if target:
            write(target, predictor.card.classes, results.rows)
    if written := [str(each) for each in (args.csv, args.json, args.annotate) if each]:
        print(f"written: {', '.join(written)}", file=sys.stderr)
    if results.without_face and not args.cropped:
        print(HINT, file=sys.stderr)
    print(f"model: {predictor.card.about}\nCaution: {MISUSE[2]}", file=sys.stderr)
    if results.faults:
        raise PipelineError(
            f"{results.faults} of {len(found)} files could not be used or read to the end, see "
            "above"
        )


def _check_targets(args: argparse.Namespace, paths: Sequence[Path]) -> None:
    """Refuse what could not be written, or would replace what is read, before the work."""
    tables = {"--csv": args.csv, "--json": args.json}
    read = {os.path.realpath(path) for path in (*paths, args.model)}
    for option, target in {**tables, "--annotate": args.annotate}.items():
        if target is None:
            continue
        if str(target) == "-":
            raise PipelineError(f"{option} -: give the name of a file; the table is printed")
        above = next(path for path in target.absolute().parents if path.exists())
        if not above.is_dir():
            raise PipelineError(f"{option} {target} cannot be written: {above} is not a folder")
        if option == "--annotate":
            if target.exists() and not target.is_dir():
                raise PipelineError(f"{option} {target} is a file: give the name of a folder")
        elif target.exists() and not target.is_file():
            kind = "a folder" if target.is_dir() else "a pipe or device"
            raise PipelineError(f"{option} {target} is {kind}: give the name of a file")
        elif os.path.realpath(target) in read:
            raise PipelineError(f"{option} {target} is read: give the name of another file")
    if all(tables.values()) and len(set(map(os.path.realpath, tables.values()))) == 1:
        raise PipelineError(f"--csv and --json are both {args.csv}: give them different names")

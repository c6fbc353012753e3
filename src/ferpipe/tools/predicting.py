"""`ferpipe predict`: the expressions of the faces in pictures and videos."""

from __future__ import annotations

import argparse
import sys

from tabulate import tabulate

from ferpipe.core.errors import PipelineError
from ferpipe.prediction import inputs, outputs, videos
from ferpipe.prediction.predictor import Predictor
from ferpipe.prediction.results import Results
from ferpipe.report.text import MISUSE

HEADER = ("picture", "face", "expression", "probabilities")
CAUTION = f"Caution: {MISUSE[2]}"


def run(args: argparse.Namespace) -> None:
    """Predict, print a table, and write the files that were asked for.

    Raises:
        PipelineError: a file could not be used; the others are done.
    """
    if args.explain and not args.annotate:
        raise PipelineError("--explain needs --annotate FOLDER, where it writes its pictures")
    predictor = Predictor.load(
        args.model,
        cropped=args.cropped,
        threshold=args.threshold,
        minimum_size=args.min_size,
        confidence=args.min_confidence,
    )
    paths = list(inputs.pictures(args.paths))
    results = Results(predictor, args.annotate, args.explain)
    results.add_pictures([path for path in paths if not videos.is_video(path)])
    for path in filter(videos.is_video, paths):
        results.add_video(path, args.every)
    for target, write in ((args.csv, outputs.write_csv), (args.json, outputs.write_json)):
        if target:
            write(target, predictor.card.classes, results.rows)
    if results.lines:
        print(tabulate(results.lines, HEADER, disable_numparse=True))
    print(f"model: {predictor.card.headline}\n{CAUTION}", file=sys.stderr)
    if results.faults:
        raise PipelineError(
            f"{results.faults} of {len(paths)} files could not be used or read to the end, see "
            "above"
        )

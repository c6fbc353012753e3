"""Our `Predictor` on pictures that are faces, with a model file or an exported one."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from contenders import orders


def main() -> None:
    """Load, write the class of each picture, then take orders."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    answer_to = orders.answers()
    from ferpipe import Predictor

    predictor = Predictor.load(args.model, cropped=True)
    paths = sorted(args.pictures.iterdir())

    def predict(passes: int) -> float:
        started = time.perf_counter()
        for _ in range(passes):
            predictor(paths)
        return time.perf_counter() - started

    classes = predictor.card.classes
    found = {
        path.name: dict(zip(classes, face.probabilities.tolist(), strict=True))
        for path, (face,) in zip(paths, predictor(paths), strict=True)
    }
    args.output.write_text(json.dumps(found))
    orders.serve(answer_to, predict)


if __name__ == "__main__":
    main()

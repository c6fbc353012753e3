"""The package `fer`: whole pictures are faces, its model is LiteRT in 8 bits (its default)."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from contenders import orders


def main() -> None:
    """Load, write the class of each picture, then take orders."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    answer_to = orders.answers()
    import cv2
    from fer.fer import FER

    detector = FER()
    paths = sorted(args.pictures.iterdir())

    def emotions(path: Path) -> dict[str, float]:
        picture = cv2.imread(str(path))
        height, width = picture.shape[:2]
        (face,) = detector.detect_emotions(picture, [(0, 0, width, height)])
        return face["emotions"]

    def predict(passes: int) -> float:
        started = time.perf_counter()
        for _ in range(passes):
            for path in paths:
                emotions(path)
        return time.perf_counter() - started

    args.output.write_text(json.dumps({path.name: emotions(path) for path in paths}))
    orders.serve(answer_to, predict)


if __name__ == "__main__":
    main()

"""Where everything lies, and the columns of the tables that more than one stage reads."""

from __future__ import annotations

from pathlib import Path

# Stages run in the repository's root (DVC sees to that), so every path is relative to it.
PARAMS = Path("params.yaml")
IMAGES = Path("data/raw/images.zip")
INDEX = Path("data/raw/index.csv")
INDEX_HEADER = ("path", "label", "width", "height", "mode", "sha256")
SKIPPED = Path("data/raw/skipped.csv")
SKIPPED_HEADER = ("path", "reason")
SPLIT = Path("data/split.csv")
SPLIT_HEADER = ("path", "label", "subject", "sequence", "split")
SPLITS = ("train", "val", "test")
RECORDS = Path("data/records")
MODEL = Path("models/model.keras")
REPORTS = Path("reports")
CLOSEST_PAIRS = REPORTS / "closest_pairs.csv"
CLOSEST_PAIRS_HEADER = (
    *("path", "label", "split", "closest_path", "closest_label", "closest_split"),
    *("similarity", "mirrored", "near_duplicate", "shared"),
)
HISTORY = REPORTS / "history.csv"
HISTORY_HEADER = (
    *("epoch", "phase", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy"),
    "selected_on",
)
# What stages tell each other; the metrics beside them are what `dvc metrics show` prints.
SPLIT_AUDIT = Path("data/split_audit.json")
SPLIT_METRICS = REPORTS / "split.json"
TRAINING = Path("models/training.json")
TRAIN_METRICS = REPORTS / "train.json"
EVALUATION = REPORTS / "evaluation.json"
METRICS = REPORTS / "metrics.json"
CV = REPORTS / "cv"
CV_FOLDS = Path("data/cv/folds")
CV_RECORDS = Path("data/cv/records")
CV_PREDICTIONS = CV / "predictions"
CV_BASELINE = CV / "baseline.csv"
CV_BASELINE_HEADER = ("seed", "fold", "path", "actual", "predicted")


# Never an output of a stage: verified downloads by digest, and what else may be kept between runs.
CACHE = Path(".ferpipe")

"""Where everything is, and the columns of the tables that more than one stage reads."""

from __future__ import annotations

from pathlib import Path

# Relative to the repository's root, in which DVC runs the stages.
PARAMS = Path("params.yaml")
IMAGES = Path("data/raw/images.zip")
INDEX = Path("data/raw/index.csv")
SKIPPED = Path("data/raw/skipped.csv")
THUMBNAILS = Path("data/raw/thumbnails.npy")
SPLIT = Path("data/split.csv")
RECORDS = Path("data/records")
# As trained, and with the card that `evaluate` writes into it for those who use it.
TRAINED = Path("models/trained.keras")
MODEL = Path("models/model.keras")
REPORTS = Path("reports")
CLOSEST_PAIRS = REPORTS / "closest_pairs.csv"
HISTORY = REPORTS / "history.csv"
CV = REPORTS / "cv"
CV_FOLDS = Path("data/cv/folds")
CV_RECORDS = Path("data/cv/records")
CV_PREDICTIONS = CV / "predictions"
CV_BASELINE = CV / "baseline.csv"
# Results that stages pass on, and the few of them that `dvc metrics show` prints.
SPLIT_AUDIT = Path("data/split_audit.json")
SPLIT_METRICS = REPORTS / "split.json"
TRAINING = Path("models/training.json")
TRAIN_METRICS = REPORTS / "train.json"
EVALUATION = REPORTS / "evaluation.json"
METRICS = REPORTS / "metrics.json"
# Never an output of a stage: verified downloads by digest, checkpoints, the run log.
CACHE = Path(".ferpipe")

SPLITS = ("train", "val", "test")

# Columns and their dtypes, see `tables.read_table`.
INDEX_COLUMNS = {
    **dict.fromkeys(("path", "label"), "str"),
    **dict.fromkeys(("width", "height"), "int64"),
    **dict.fromkeys(("mode", "sha256", "pixels_sha256", "part", "subject", "sequence"), "str"),
}
SKIPPED_COLUMNS = dict.fromkeys(("path", "reason"), "str")
SPLIT_COLUMNS = dict.fromkeys(("path", "label", "subject", "sequence", "split"), "str")
CLOSEST_PAIRS_COLUMNS = {
    **dict.fromkeys(("path", "label", "split"), "str"),
    **dict.fromkeys(("closest_path", "closest_label", "closest_split"), "str"),
    "similarity": "float64",
    **dict.fromkeys(("mirrored", "near_duplicate", "shared"), "str"),
}
HISTORY_COLUMNS = {
    "epoch": "int64",
    "phase": "str",
    **dict.fromkeys(("learning_rate", "loss", "accuracy", "val_loss", "val_accuracy"), "float64"),
    "selected_on": "str",
}
CV_BASELINE_COLUMNS = {
    **dict.fromkeys(("seed", "fold"), "int64"),
    **dict.fromkeys(("path", "actual", "predicted"), "str"),
}

"""Findings for tests: a small network's work on images of noise, never a face."""

import numpy as np

from ferpipe.evaluation import calibration, curves
from ferpipe.evaluation.result import (
    PER_CLASS_HEADER,
    Result,
    headline,
    headline_metrics,
    per_class,
)
from ferpipe.model.losses import softmax
from ferpipe.report.datasets import CKPLUS
from ferpipe.report.findings import Findings
from ferpipe.report.provenance import Provenance

CLASSES = ("surprise", "anger", "calm face")
# As many, as long and as strange as names get.
HARD_CLASSES = (
    *(f"class {number:02} with a name as long as a sentence" for number in range(16)),
    *("Donaudampfschifffahrtsgesellschaftskapitän", "怒り", "<b>bold</b> & | `x`", "bell\x07"),
)
PARAMS = {
    "download": {"source": "kaggle"},
    "split": {"group_by": "subject", "name_pattern": r"(?P<subject>S\d+)_"},
    "preprocess": {"image_size": 12},
    "train": {"backbone": "compact", "weights": "none", "head": "trained", "epochs": 3,
              "head_epochs": 0, "augment.flip": True, "weights_sha256": None},
    "evaluate": {"confidence": 0.95},
}  # fmt: skip
SPLIT = {
    "train": 1234,
    "val": 56,
    "test": 90,
    "classes": 3,
    "held_out_sharing_subject": 0.0,
    "held_out_sharing_sequence": 0.0,
    "selected_on_test": False,
}


def history(epochs=3):
    return [
        {
            "epoch": str(epoch),
            "phase": "fine-tune",
            "learning_rate": "0.001",
            "loss": str(2 / epoch),
            "accuracy": str(1 - 0.8 / epoch),
            "val_loss": str(2.5 / epoch),
            "val_accuracy": str(0.9 - 0.8 / epoch),
            "selected_on": "val",
        }
        for epoch in range(1, epochs + 1)
    ]


CLASSIFIERS = [
    {"classifier": name, "accuracy": 0.9 - step, "accuracy_low": 0.8 - step,
     "accuracy_high": 0.95 - step, "interval": "bootstrap over subjects", "people": 12,
     "macro_f1": 0.88 - step, "p_value": p_value,
     "paired_test": p_value and "exact sign-flip test over 12 people"}
    for name, step, p_value in (
        ("network", 0.0, None), ("HOG + kernel ridge", 0.1, 0.031), ("majority class", 0.6, 0.0005)
    )
]  # fmt: skip
PAIRS = [
    {"path": f"anger/{n}.png", "closest_path": "fear/x.png", "similarity": f"0.9{n:02}",
     "shared": "sequence"}
    for n in range(60, 20, -1)
]  # fmt: skip


def findings(
    classes=CLASSES, count=90, skill=3.0, temperature=1.0, selected_on_test=False, split=None,
    params=None, data=CKPLUS, epochs=3, seed=0, people=None,
):  # fmt: skip
    """Findings on `count` images; of more than three classes the last is never seen.

    The images are of so many people, or of nobody known.
    """
    rng = np.random.default_rng(seed)
    shown = len(classes) - (len(classes) > 3)
    labels = (np.arange(count) % shown).astype(np.int32)
    logits = rng.normal(size=(count, len(classes))) + skill * np.eye(len(classes))[labels]
    if shown < len(classes):
        logits[:, -1] = -9
    probabilities = softmax(logits)
    paths = [f"{classes[label]}/S001_{n}.png" for n, label in enumerate(labels)]
    subjects = [f"S{number % people}" if people else "" for number in range(count)]
    result = Result(list(classes), paths, labels, probabilities, selected_on_test, subjects)
    measured = calibration.before_and_after(labels, probabilities, temperature, 0.95, subjects)
    metrics = headline_metrics(result, 0.95) | calibration.calibration_metrics(measured)
    metrics |= {"baseline_accuracy": 0.8, "baseline_p_value": 0.031, "majority_accuracy": 0.3}
    rows = per_class(result, 0.95)
    return Findings(
        classes=list(classes),
        paths=paths,
        images=rng.integers(0, 256, (count, 12, 12, 1), dtype=np.uint8),
        labels=labels,
        probabilities=probabilities,
        confidence=0.95,
        headline=headline(metrics, 0.95),
        metrics=metrics,
        per_class=[dict(zip(PER_CLASS_HEADER, row, strict=True)) for row in rows],
        confusion=result.confusion,
        split={**SPLIT, "val": 0 if selected_on_test else 56, "selected_on_test": selected_on_test}
        | (split or {}),
        training={"best_epoch": 1, "epochs": epochs, "parameters": 4321},
        history=history(epochs),
        calibration=measured,
        curves=curves.curves(labels, probabilities, classes),
        provenance=Provenance(
            data=data,
            images={name: 10 + (number > 0) for number, name in enumerate(classes)},
            subjects=12,
            sequences=dict.fromkeys(classes, 4),
            params={**PARAMS, "train": PARAMS["train"] | (params or {})},
            digests={"model.keras": "0" * 64},
            versions={"python": "3.11.0", "keras": "3.15.0"},
        ),
        classifiers=CLASSIFIERS,
        closest_pairs=PAIRS,
    )


def heat_maps(found, pairs):
    """A heat map for each pair: hot above, cold below."""
    side = found.images.shape[1]
    ramp = np.linspace(255, 0, side).astype(np.uint8)
    return dict.fromkeys(pairs, np.repeat(ramp[:, None], side, axis=1))

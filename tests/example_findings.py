"""Findings for tests: a simulated network on images of noise, never a face."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ferpipe.evaluation import calibration, curves, robustness
from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.evaluation.result import Result, headline_metrics, per_class
from ferpipe.model.losses import softmax
from ferpipe.report.datasets import CKPLUS
from ferpipe.report.figures import draw
from ferpipe.report.findings import Findings
from ferpipe.report.page import explained, page
from ferpipe.report.provenance import Provenance

CLASSES = ("surprise", "anger", "calm face")
# As many, as long and as strange as names get.
HARD_CLASSES = (
    *(f"class {number:02} with a name as long as a sentence" for number in range(16)),
    *("Donaudampfschifffahrtsgesellschaftskapitän", "怒り", "<b>bold</b> & | `x`", "bell\x07"),
)
HARD = {"classes": HARD_CLASSES, "count": 200, "selected_on_test": True, "temperature": 1.6}
PARAMS = {
    "download": {"source": "kaggle"},
    "split": {"group_by": "subject", "name_pattern": r"(?P<subject>S\d+)_"},
    "preprocess": {"image_size": 12},
    "train": {"backbone": "compact", "weights": "none", "head": "trained", "epochs": 3,
              "head_epochs": 0, "augment.flip": True, "weights_sha256": None},
    "evaluate": {"confidence": 0.95},
}  # fmt: skip
AUDIT = {
    **{"train": 1234, "val": 56, "test": 90, "classes": 3, "repeated_images": 0},
    **{"held_out_sharing_subject": 0.0, "held_out_sharing_sequence": 0.0},
    **{"held_out_near_duplicates": 0.0, "selected_on_test": False},
}
BASELINES = pd.DataFrame(
    {"classifier": name, "accuracy": 0.9 - step, "accuracy_low": 0.8 - step,
     "accuracy_high": 0.95 - step, "interval": "bootstrap over subjects", "people": 12,
     "macro_f1": 0.88 - step, "p_value": p_value,
     "paired_test": p_value and "exact sign-flip test over 12 people"}
    for name, step, p_value in (
        ("network", 0.0, None), ("HOG + kernel ridge", 0.1, 0.031), ("majority class", 0.6, 0.0005)
    )
).astype({"people": "Int64"})  # fmt: skip
PAIRS = pd.DataFrame(
    {"path": f"anger/{n}.png", "closest_path": "fear/x.png", "similarity": 0.9 + n / 1000,
     "shared": "sequence"}
    for n in range(60, 20, -1)
)  # fmt: skip


def history(epochs=3, head=0):
    """The first `head` epochs train the head."""
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {"epoch": epoch, "phase": np.where(epoch <= head, "head", "fine-tune"),
         "learning_rate": 0.001, "loss": 2 / epoch, "accuracy": 1 - 0.8 / epoch,
         "val_loss": 2.5 / epoch, "val_accuracy": 0.9 - 0.8 / epoch, "selected_on": "val"}
    )  # fmt: skip


def corrupted(result, images, corruptions=CORRUPTIONS):
    """Accuracies that fall from one strength to the next; the images stay as they are."""
    logits = np.log(np.maximum(result.probabilities, 1e-99))
    rng = np.random.default_rng(1)
    weaker = np.concatenate([logits + rng.normal(0, sd, logits.shape) for sd in (2, 4, 8)])
    same = [replace(each, function=lambda images, *_: images) for each in corruptions]
    return robustness.measure(result, images, lambda _: weaker, same, 0.95)


def findings(
    classes=CLASSES, count=90, skill=3.0, temperature=1.0, selected_on_test=False, audit=None,
    params=None, data=CKPLUS, epochs=3, seed=0, people=None, channels=1, skipped=None,
    corruptions=CORRUPTIONS,
):  # fmt: skip
    """Findings on `count` images of `people` people; of more than three classes the last is absent.

    Without `people` nobody's identity is known.
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
    unused = {"val": 0 if selected_on_test else 56, "selected_on_test": selected_on_test}
    images = rng.integers(0, 256, (count, 12, 12, channels), dtype=np.uint8)
    return Findings(
        result=result,
        images=images,
        confidence=0.95,
        metrics=metrics,
        per_class=per_class(result, 0.95),
        baselines=BASELINES,
        calibration=measured,
        curves=curves.curves(labels, probabilities, classes),
        robustness=corrupted(result, images, corruptions),
        audit=AUDIT | unused | (audit or {}),
        training={"best_epoch": 1, "epochs": epochs, "parameters": 4321, "temperature": 1.25},
        history=history(epochs),
        closest_pairs=PAIRS,
        provenance=Provenance(
            data=data,
            images={name: 10 + (number > 0) for number, name in enumerate(classes)},
            subjects=12,
            sequences=dict.fromkeys(classes, 4),
            params={**PARAMS, "train": PARAMS["train"] | (params or {})},
            skipped=skipped or {},
            digests={"trained.keras": "0" * 64},
            versions={"python": "3.11.0", "keras": "3.15.0"},
        ),
    )


def report(shown=None, **changes):
    """The page of findings, with heat maps that are hot above and cold below."""
    shown = shown or findings(**changes)
    side = shown.images.shape[1]
    ramp = np.repeat(np.linspace(255, 0, side).astype(np.uint8)[:, None], side, axis=1)
    return page(shown, draw(shown), dict.fromkeys(explained(shown), ramp))

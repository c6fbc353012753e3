"""The model card: what the model is, what it reached, what it must not be used for.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ferpipe.evaluation import intervals
from ferpipe.report.findings import Findings
from ferpipe.report.markup import printable
from ferpipe.report.text import MISUSE, OPTIMISTIC, audit, limits, listed, percent, protocol

RECALL_COLUMNS = ("class", "recall", "interval", "people", "precision", "F1", "images")


def card(found: Findings) -> str:
    """Write the model card, from the same findings as the report.

    Returns:
        GitHub-flavoured Markdown, the same for the same findings.
    """
    made = found.provenance
    train = made.params["train"]
    flag = f" **({OPTIMISTIC})**" if found.selected_on_test else ""
    blocks = [
        f"# Model card: {_safe(str(train['backbone']))} on {_safe(made.data.name)}",
        f"**{_safe(found.headline)}**",
        "## The model",
        _bullets(_model(found)),
        "## Data",
        made.data.description,
        _bullets(_data(found)),
        "## Protocol",
        " ".join(protocol(found)),
        _bullets(_safe(each.text) for each in audit(found.split)),
        f"## Results{flag}",
        _table(("", "value"), _results(found)),
        _bullets(_safe(f"{each[0].upper()}{each[1:]}.") for each in found.comparisons),
        f"Recall of each class, with its {found.confidence:.0%} interval{flag}:",
        _table(RECALL_COLUMNS, _recalls(found)),
        intervals.note(found.recall_bases),
        "## Limits",
        _bullets(_safe(sentence) for sentence in limits(found)),
        "## What it must not be used for",
        _bullets(MISUSE),
        "## Digests",
        _table(("", "SHA-256"), made.digests.items()),
    ]
    return "\n\n".join(blocks) + "\n"


def _model(found: Findings) -> list[str]:
    train = found.provenance.params["train"]
    pixels = found.images.shape[1]
    colour = "gray" if found.images.shape[3] == 1 else "RGB"
    start = {"none": "random weights", "imagenet": "weights from ImageNet"}
    weights = str(train["weights"])
    return [
        f"Says which of {_safe(listed(found.classes))} a face looks most like, with a probability "
        "for each.",
        f"Takes {pixels}x{pixels} {colour} images of one face each, values 0 to 255.",
        f"{_safe(str(train['backbone']))} begun from "
        f"{start.get(weights, f'the weights of {_safe(weights)}')}, its head {train['head']}; "
        f"{int(found.training['parameters']):,} parameters.",
        f"The file is `models/model.keras`; Keras {found.provenance.versions['keras']} loads it.",
    ]


def _data(found: Findings) -> list[str]:
    made = found.provenance
    total = sum(made.images.values())
    people = f" of {made.subjects:,} people" if made.subjects is not None else ""
    recordings = (
        f" in {sum(made.sequences.values()):,} recordings" if made.sequences is not None else ""
    )
    each = ", ".join(f"{_safe(name)} {count:,}" for name, count in made.images.items())
    return [f"{total:,} images{people}{recordings}: {each}.", made.data.terms]


def _results(found: Findings) -> list[tuple[str, str]]:
    metrics = found.metrics
    rows = [
        ("accuracy", percent(float(metrics["accuracy"]))),
        (f"its {found.confidence:.0%} interval", found.interval),
        ("balanced accuracy", percent(float(metrics["balanced_accuracy"]))),
        ("macro-F1", f"{metrics['macro_f1']:.3f}"),
        ("log loss", f"{metrics['log_loss']:.3f}"),
        ("expected calibration error (15 bins of equal width)", f"{metrics['ece']:.3f}"),
        ("test images", f"{metrics['images']:,}"),
    ]
    rows += [
        (f"accuracy of {row['classifier']}", percent(float(row["accuracy"])))
        for row in found.classifiers[1:]
    ]
    if len(found.calibration) > 1:
        before = found.calibration[0]
        rows.append(
            ("without temperature", f"log loss {before.log_loss:.3f}, error {before.error:.3f}")
        )
    return rows


def _recalls(found: Findings) -> list[tuple[str, ...]]:
    return [
        (
            str(row["class"]),
            percent(float(row["recall"])),
            f"{float(row['recall_low']):.1%} to {float(row['recall_high']):.1%}",
            "" if row["people"] is None else f"{row['people']:,}",
            percent(float(row["precision"])),
            f"{float(row['f1']):.3f}",
            f"{int(row['support']):,}",
        )
        if int(row["support"])
        else (str(row["class"]), *("",) * 5, "0")
        for row in found.per_class
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(
        f"| {' | '.join(cell if number == 1 else _safe(cell) for cell in line)} |"
        for number, line in enumerate(lines)
    )


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _safe(text: str) -> str:
    """Escape what Markdown would take for its own, such as in the name of a class."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", printable(text).replace("\n", " "))

"""Sentences that the printed lines, the report and the model card share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferpipe.evaluation.intervals import basis
from ferpipe.report.findings import Findings

OPTIMISTIC = "optimistic: selected on test"
# A larger fraction of held-out images that training knows is a reason to doubt the metrics.
MAX_LEAK = 0.01
# Reasons for leaving files out that are listed; the others are counted.
MAX_REASONS = 6
GROUPED = {
    "subject": "All images of a person are in one split.",
    "sequence": "All images of a recording are in one split; a person may be in several.",
    "none": "Single images were assigned, so frames of one recording can be in several splits.",
}
# The same of val where others made the split and val was taken from train.
VAL_GROUPED = {
    "subject": "No person is in both train and val.",
    "sequence": "No recording is in both train and val; a person may be.",
    "none": "Val was taken image by image, so a person or recording may be in both train and val.",
}
# Key of data/split_audit.json -> the sentence for zero, for a fraction, and for an unknown value.
AUDITED = {
    "held_out_sharing_subject": (
        "No held-out image shows a person of the training images.",
        "of the held-out images show a person of the training images.",
        "File names do not name the person, so shared people cannot be counted.",
    ),
    "held_out_sharing_sequence": (
        "No held-out image is from a recording of the training images.",
        "of the held-out images are from a recording of the training images.",
        "File names do not name the recording, so shared recordings cannot be counted.",
    ),
    "held_out_near_duplicates": (
        "No held-out image has a near-duplicate among the training images.",
        "of the held-out images have a near-duplicate among the training images.",
        "Near-duplicates were not searched.",
    ),
}
MISUSE = (
    "Do not infer emotions of people at work or in education: the EU prohibits it, except for "
    "medical or safety reasons (AI Act, Regulation (EU) 2024/1689, Art. 5(1)(f)).",
    "Do not use it for decisions about a person: hiring, grading, policing, border control, "
    "insurance, diagnosis, lie detection.",
    "Do not read its output as what a person feels or intends. It names the class that a face "
    "resembles most, even if there is no face in the image.",
    "Do not use it on people who do not know about it or have not agreed.",
)


@dataclass(frozen=True)
class Check:
    """A sentence of the leak audit, and whether it is a reason to doubt the metrics."""

    text: str
    doubt: bool


def percent(fraction: float) -> str:
    """Format 0..1 with one decimal; 0.0% and 100.0% are exact."""
    if 0 < fraction < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= fraction < 1 else f"{fraction:.1%}"


def listed(names: Iterable[str]) -> str:
    """Join names as `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def protocol(findings: Findings) -> list[str]:
    """Describe how each split was used."""
    train, val, test = (int(findings.audit[name]) for name in ("train", "val", "test"))
    params = findings.provenance.params
    if findings.result.selected_on_test:
        use = (
            f"{train:,} training images. There is no validation split: the {test:,} test images "
            "also selected the model, so every metric is optimistic."
        )
    elif findings.solved_only:
        use = (
            f"{train:,} training images; {val:,} validation images, which set the temperature and "
            f"then were trained on too; {test:,} test images, used once."
        )
    else:
        use = (
            f"{train:,} training images; {val:,} validation images, which selected the epoch; "
            f"{test:,} test images, used once."
        )
    group_by = str(params["split"]["group_by"])
    if "origin" not in findings.audit:
        return [use, GROUPED[group_by]]
    origin = str(findings.audit["origin"])
    sentences = [use, f"{origin[:1].upper()}{origin[1:]}."]
    return sentences + ([VAL_GROUPED[group_by]] if findings.audit["val_taken"] else [])


def left_out(skipped: Mapping[str, int]) -> str:
    """A sentence on the files of the source that are not used; empty if there are none."""
    if not skipped:
        return ""
    by_count = sorted(skipped.items(), key=lambda item: (-item[1], item[0]))
    reasons = [f"{count:,} {reason}" for reason, count in by_count[:MAX_REASONS]]
    if others := sum(count for _, count in by_count[MAX_REASONS:]):
        reasons.append(f"{others:,} others")
    return f"Files of the source that are left out, by reason: {', '.join(reasons)}."


def audit(facts: Mapping[str, object]) -> list[Check]:
    """Put data/split_audit.json into sentences."""
    repeated = facts.get("repeated_images", 0)
    checks = [Check("No image occurs twice.", doubt=False)]
    across = facts.get("repeats_across_splits", 0)
    if repeated:
        where = "both are in the same split"
        if across:
            where = f"{across:,} held-out images repeat a training image"
        text = f"{repeated:,} images are exact duplicates of another one; {where}."
        checks = [Check(text, doubt=across > 0)]
    for key, (none, some, unknown) in AUDITED.items():
        value = facts.get(key)
        if value is None:
            checks.append(Check(unknown, doubt=True))
        elif value == 0:
            checks.append(Check(none, doubt=False))
        else:
            checks.append(Check(f"{percent(value)} {some}", doubt=value > MAX_LEAK))
    return checks


def limits(findings: Findings) -> list[str]:
    """List what the model cannot do and what the metrics do not show."""
    provenance, classes = findings.provenance, findings.result.classes
    sentences = list(provenance.data.limits)
    if not any("neutral" in name.lower() for name in classes):
        sentences.append(
            f"There is no neutral class: a neutral face is classified as one of {listed(classes)}."
        )
    rarest = min(provenance.images, key=lambda name: provenance.images[name])
    total, count = sum(provenance.images.values()), provenance.images[rarest]
    if count < total / len(provenance.images):
        of = f" from {provenance.sequences[rarest]} recordings" if provenance.sequences else ""
        sentences.append(
            f"The rarest class is {rarest}, {count:,} of {total:,} images{of}; its metrics are the "
            "least certain."
        )
    if findings.result.selected_on_test:
        sentences.append("The test images also selected the model: every metric is optimistic.")
    if any(check.doubt for check in audit(findings.audit)):
        sentences.append(
            "The leak audit found or could not exclude a leak: the metrics may not generalise to "
            "new people."
        )
    return sentences


def summary(findings: Findings) -> list[str]:
    """The headline, a given split, the worst class, confusion and corruption, as lines."""
    worst = findings.worst_class
    return [
        findings.headline,
        *given_split(findings),
        f"worst class: {worst['class']}, recall {percent(worst['recall'])} of {worst['support']} "
        f"images ({findings.confidence:.0%} interval {worst['recall_low']:.1%} to "
        f"{worst['recall_high']:.1%}, {basis(worst['interval'], worst['people'])})",
        most_confused(findings),
        *filter(None, [worst_corruption(findings)]),
    ]


def given_split(findings: Findings) -> list[str]:
    """Where test and val come from if others made the split, as a line."""
    return [str(findings.audit["origin"])] if "origin" in findings.audit else []


def worst_corruption(findings: Findings) -> str:
    """The lowest accuracy on corrupted images, as a line; empty if it was not measured."""
    rows = findings.corrupted
    if rows.empty:
        return ""
    worst, whole = rows.loc[rows["accuracy"].idxmin()], findings.robustness.iloc[0]
    return (
        f"worst of {rows['corruption'].nunique()} corruptions: {worst['corruption']} "
        f"({strength(worst)}), accuracy {percent(worst['accuracy'])} "
        f"({findings.confidence:.0%} interval {worst['accuracy_low']:.1%} to "
        f"{worst['accuracy_high']:.1%}) instead of {percent(whole['accuracy'])}"
    )


def strength(row: Mapping[str, object]) -> str:
    """The strength of a corruption with its unit, from a row of robustness.csv."""
    space = "" if str(row["unit"]).startswith("%") else " "
    return f"{row['strength']}{space}{row['unit']}"


def most_confused(findings: Findings) -> str:
    """The most frequent confusion, as a line."""
    if findings.confusions.empty:
        return "no image was misclassified"
    row = findings.confusions.iloc[0]
    return (
        f"most frequent confusion: {row['count']} of {row['images']} {row['actual']} classified "
        f"as {row['predicted']}"
    )

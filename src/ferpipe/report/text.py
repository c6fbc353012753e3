"""The sentences that the report and the model card share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferpipe.evaluation.intervals import basis
from ferpipe.report.findings import Findings

OPTIMISTIC = "optimistic: selected on test"
# A larger share of held-out images that training knows something of spoils what they say.
LEAKS_ABOVE = 0.01
# Keys of data/split_audit.json that are told elsewhere, or in sentences of their own.
_TOLD = ("train", "val", "test", "classes", "selected_on_test")
_GROUPED = {
    "subject": "People were kept apart: all images of a person are in one split.",
    "sequence": (
        "Recordings were kept whole, but a person may have recordings in more than one split."
    ),
    "none": (
        "Single images were dealt, whoever they show: frames of one recording can be on both sides."
    ),
}
# key of data/split_audit.json -> what is so of none, of a share, and where nobody can tell.
_AUDITED = {
    "held_out_sharing_subject": (
        "No held-out image shows a person of the training images.",
        "of the held-out images show a person of the training images.",
        "File names do not say who an image shows, so shared people cannot be counted.",
    ),
    "held_out_sharing_sequence": (
        "No held-out image is from a recording that training images are from.",
        "of the held-out images are from a recording that training images are from.",
        "File names do not say which recording an image is from, so shared recordings cannot be "
        "counted.",
    ),
    "held_out_near_duplicates": (
        "No held-out image has a near-duplicate among the training images, by their pixels.",
        "of the held-out images have a near-duplicate among the training images, by their pixels.",
        "Near-duplicates were not looked for.",
    ),
}
MISUSE = (
    "Do not use it to infer emotions of people at work or in education: in the EU that is "
    "prohibited, except for medical or safety reasons (AI Act, Regulation (EU) 2024/1689, "
    "Art. 5(1)(f)).",
    "Do not decide about a person by it: hiring, grading, policing, border control, insurance, "
    "diagnosis, detection of lies.",
    "Do not take its output for what somebody feels or intends. It names the expression that a "
    "face resembles most, among the classes that it knows, also where there is no face at all.",
    "Do not point it at people who do not know of it and have not agreed.",
)


@dataclass(frozen=True)
class Finding:
    """A sentence of the leak audit, and whether it is a reason to doubt the numbers."""

    text: str
    doubt: bool


def percent(share: float) -> str:
    """A share as percent with one decimal; never 0.0% or 100.0% of what is not none or all."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= share < 1 else f"{share:.1%}"


def listed(names: Iterable[str]) -> str:
    """Names as `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def protocol(found: Findings) -> list[str]:
    """How the images were used, in sentences."""
    train, val, test = (int(found.split[name]) for name in ("train", "val", "test"))
    params = found.provenance.params
    if found.selected_on_test:
        used = (
            f"{train:,} images taught the network. There is no validation split: the {test:,} test "
            "images both chose and tested, so every metric here is optimistic."
        )
    elif params["train"]["head"] == "solved" and not _epochs(params["train"]):
        used = (
            f"{train:,} images taught the network; {val:,} (val) chose how sure it says it is, and "
            f"taught it as well; {test:,} (test) judged it, once."
        )
    else:
        used = (
            f"{train:,} images taught the network, {val:,} (val) chose which epoch was kept, "
            f"{test:,} (test) judged it, once."
        )
    return [used, _GROUPED[str(params["split"]["group_by"])]]


def _epochs(train: Mapping[str, object]) -> int:
    return int(train["epochs"]) + int(train["head_epochs"])


def audit(split: Mapping[str, object]) -> list[Finding]:
    """What the leak audit found, in sentences.

    Args:
        split: as in data/split_audit.json; a key without words of its own is told by its name.
    """
    found = []
    for key, value in split.items():
        if key in _TOLD:
            continue
        if key == "repeated_images":
            text = "No image is there twice."
            if value:
                text = f"{value:,} images repeat another, pixel by pixel; each is in its split."
            found.append(Finding(text, doubt=False))
            continue
        if key not in _AUDITED:
            found.append(Finding(f"{key.replace('_', ' ')}: {_plain(value)}.", doubt=False))
            continue
        none, some, unknown = _AUDITED[key]
        if value is None:
            found.append(Finding(unknown, doubt=True))
        elif value == 0:
            found.append(Finding(none, doubt=False))
        else:
            found.append(Finding(f"{percent(value)} {some}", doubt=value > LEAKS_ABOVE))
    return found


def _plain(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def limits(found: Findings) -> list[str]:
    """What the model cannot do and the numbers do not say, in sentences."""
    provenance = found.provenance
    told = list(provenance.data.limits)
    if not any("neutral" in name.lower() for name in found.classes):
        told.append(
            "No class is called neutral: a face that shows nothing is given one of "
            f"{listed(found.classes)} all the same."
        )
    rarest = min(provenance.images, key=lambda name: provenance.images[name])
    total, count = sum(provenance.images.values()), provenance.images[rarest]
    if count < total / len(provenance.images):
        of = f" from {provenance.sequences[rarest]} recordings" if provenance.sequences else ""
        told.append(
            f"The rarest class is {rarest}: {count:,} of {total:,} images{of}. What is said of it "
            "is the least certain."
        )
    if found.selected_on_test:
        told.append("The test images also chose, so every metric here is optimistic.")
    if any(each.doubt for each in audit(found.split)):
        told.append("The leak audit has doubts: the numbers may say little about faces never seen.")
    return told


def summary(found: Findings) -> list[str]:
    """The lines that the stage prints: headline, worst class, most frequent confusion."""
    worst = found.worst_class
    lines = [
        found.headline,
        f"worst class: {worst['class']}, recall {percent(float(worst['recall']))} of "
        f"{worst['support']} images ({found.confidence:.0%} interval "
        f"{float(worst['recall_low']):.1%} to {float(worst['recall_high']):.1%}, "
        f"{basis(worst['interval'], worst['people'])})",
    ]
    if not found.confusions:
        return [*lines, "no image was taken for another class"]
    mixed = found.confusions[0]
    return [
        *lines,
        f"most frequent confusion: {mixed.images} of {mixed.of} {mixed.actual} taken for "
        f"{mixed.predicted}",
    ]

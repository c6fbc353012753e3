"""What is known of the data sets that this project knows, for the report and the model card."""

from __future__ import annotations

from dataclasses import dataclass

# Of CK+'s 981 images as Kaggle has them; see `data.index.content_digest`.
CKPLUS_DIGEST = "f1a98e6ff65b106445585013177f9651d198e2a1e23107a63e4f9ddfb305392d"
CKPLUS_NAME = "shawon10/ckplus"


@dataclass(frozen=True)
class KnownData:
    """A data set.

    Args:
        name: what to call it.
        description: a sentence or two on what it shows and where it is from.
        limits: what a model learned from it cannot be, in whole sentences.
        terms: under which the images may be used, in a sentence.
    """

    name: str
    description: str
    limits: tuple[str, ...]
    terms: str


CKPLUS = KnownData(
    "CK+",
    "The Extended Cohn-Kanade data set (Lucey et al. 2010), as Kaggle has it: three neighbouring "
    "frames of each recording, cut to the face, 48x48 pixels, gray.",
    (
        "The expressions are posed in a laboratory: people moved the muscles that they were told "
        "to. The model says what a face shows, not what anybody feels.",
        "The faces look straight into the camera, in good light. Nothing was measured on others.",
        "The files say nothing of age, sex or origin, so accuracy cannot be compared between "
        "groups. The publications describe adults, about two thirds of them women.",
    ),
    "The licence is for research and forbids redistribution of the images.",
)
DRAWN = KnownData(
    "drawn faces",
    "Faces that this package draws from facial action units (FACS), an expression being the "
    "action units that EMFACS names for it. They show nobody.",
    (
        "These are drawings: each expression is a textbook prototype. What is measured here says "
        "nothing of photographs of people.",
        "The drawn people have no age, sex or origin, so nothing can be said of groups.",
    ),
    "The drawings are made by this package and show nobody; anyone may use them.",
)


def unknown(source: str) -> KnownData:
    """What can be said of any other data set: that nothing is known.

    Args:
        source: what to call it.
    """
    return KnownData(
        source,
        "A data set that this project knows nothing about.",
        (
            "Whether the expressions are posed or felt is not known here. The model says what a "
            "face shows, not what anybody feels.",
            "Age, sex and origin of the people are not known here, so accuracy was not compared "
            "between groups.",
        ),
        "Its terms are not known here; whoever uses it has to know them.",
    )


def recognise(digest: str, source: str, dataset: str) -> KnownData:
    """Tell which data set was used.

    Args:
        digest: of the content, see `data.index.content_digest`.
        source: `download.source`.
        dataset: `download.kaggle.dataset`.
    """
    if source == "sample":
        return DRAWN
    if digest == CKPLUS_DIGEST or (source == "kaggle" and dataset == CKPLUS_NAME):
        return CKPLUS
    return unknown(dataset if source == "kaggle" else "images of your own")

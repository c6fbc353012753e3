"""Descriptions of the data sets that this project knows, for the report and the model card."""

from __future__ import annotations

from dataclasses import dataclass

# Content digest of the 981 images of CK+ on Kaggle; see `data.index.content_digest`.
CKPLUS_DIGEST = "f1a98e6ff65b106445585013177f9651d198e2a1e23107a63e4f9ddfb305392d"
CKPLUS_NAME = "shawon10/ckplus"


@dataclass(frozen=True)
class KnownData:
    """A data set: its name, description, limits and terms of use, in whole sentences."""

    name: str
    description: str
    limits: tuple[str, ...]
    terms: str


CKPLUS = KnownData(
    "CK+",
    "The Extended Cohn-Kanade data set (Lucey et al. 2010), as on Kaggle: three neighbouring "
    "frames of each recording, cropped to the face, 48x48 pixels, grayscale.",
    (
        "The expressions were posed in a laboratory on instruction. The model names what a face "
        "shows, not what a person feels.",
        "All faces are frontal and well lit. Other conditions were not measured.",
        "The files do not state age, sex or origin, so accuracy cannot be compared between "
        "groups. The publications describe adults, about two thirds of them women.",
    ),
    "The licence permits research and forbids redistribution of the images.",
)
DRAWN = KnownData(
    "drawn faces",
    "Faces that this package draws from facial action units (FACS); each expression has the "
    "action units that EMFACS lists for it. They show no real person.",
    (
        "The faces are drawings of textbook prototypes. These metrics do not carry over to "
        "photographs of people.",
        "The drawn people have no age, sex or origin, so groups cannot be compared.",
    ),
    "This package makes the drawings; anyone may use them.",
)


def unknown(name: str) -> KnownData:
    """The description of any other data set."""
    return KnownData(
        name,
        "This project has no description of the data set.",
        (
            "It is not known whether the expressions are posed or spontaneous. The model names "
            "what a face shows, not what a person feels.",
            "Age, sex and origin of the people are not known, so groups were not compared.",
        ),
        "The terms of use are not known here; check them before you use the images.",
    )


def recognise(digest: str, source: str, dataset: str) -> KnownData:
    """Find the description by content digest, `download.source` and `download.kaggle.dataset`."""
    if source == "sample":
        return DRAWN
    if digest == CKPLUS_DIGEST or (source == "kaggle" and dataset == CKPLUS_NAME):
        return CKPLUS
    return unknown(dataset if source == "kaggle" else "images of your own")

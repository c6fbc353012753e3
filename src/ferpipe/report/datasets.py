"""Descriptions of the data sets that this project knows, for the report and the model card."""

from __future__ import annotations

from dataclasses import dataclass

# Content digest of the 981 images of CK+ on Kaggle; see `data.index.content_digest`.
CKPLUS_DIGEST = "f1a98e6ff65b106445585013177f9651d198e2a1e23107a63e4f9ddfb305392d"


@dataclass(frozen=True)
class KnownData:
    """A data set: its name, description, limits and terms of use, in whole sentences."""

    name: str
    description: str
    limits: tuple[str, ...]
    terms: str


POSED = (
    "The expressions were posed in a laboratory on instruction. The model names what a face "
    "shows, not what a person feels."
)
CKPLUS_LIMITS = (
    POSED,
    "All faces are frontal and well lit. No pictures from other conditions were measured.",
    "The files do not state age, sex or origin, so accuracy cannot be compared between "
    "groups. The publications describe adults, about two thirds of them women.",
)
FROM_THE_WEB = (
    "Nothing states who is in an image, so the same person may be in training and in test.",
    "The labels are what annotators saw in a face, not what the person felt.",
)
CKPLUS = KnownData(
    "CK+",
    "The Extended Cohn-Kanade data set (Lucey et al. 2010), as on Kaggle: three neighbouring "
    "frames of each recording, cropped to the face, 48x48 pixels, grayscale.",
    CKPLUS_LIMITS,
    "The licence permits research and forbids redistribution of the images.",
)
CKPLUS_OWNERS = KnownData(
    "CK+",
    "The Extended Cohn-Kanade data set (Lucey et al. 2010), from its owners: sequences from the "
    "neutral to the peak expression. According to them, 327 of the 593 sequences of 123 people "
    "have an emotion label, which is that of the last frame; frames before it show less of the "
    "expression.",
    CKPLUS_LIMITS,
    CKPLUS.terms,
)
FER2013 = KnownData(
    "FER2013",
    "The data of the facial expression challenge of ICML 2013 (Goodfellow et al. 2013, "
    "https://arxiv.org/abs/1307.0414): 35,887 faces found on the web by 184 emotion keywords, "
    "48x48 pixels, grayscale; 28,709 for training, and two tests of 3,589, which the copy in "
    "folders joins to one of 7,178.",
    (
        "The labels are noisy: Goodfellow et al. measured a human accuracy of 65% (±5%), and "
        "Barsoum et al. 2016 (https://arxiv.org/abs/1608.01041) had ten people label each image "
        "again.",
        "Some images are exact repeats of others, also across the official parts and under other "
        "labels, and some show no face.",
        *FROM_THE_WEB,
    ),
    "The images are from the web; whether their owners agreed to this use is not known. Check the "
    "terms of the copy that you use.",
)
RAF_DB = KnownData(
    "RAF-DB",
    "The basic expressions of the Real-world Affective Faces Database (Li, Deng and Du 2017): "
    "15,339 faces from the web, 12,271 for training and 3,068 for test. According to its authors, "
    "about 40 annotators labelled each image.",
    (
        "Poses, light and occlusions vary. The classes are unbalanced: happiness is the largest.",
        *FROM_THE_WEB,
    ),
    "According to its authors, for non-commercial research only; the images belong to others and "
    "may not be redistributed.",
)
JAFFE = KnownData(
    "JAFFE",
    "The Japanese Female Facial Expression data set (Lyons et al. 1998, "
    "https://zenodo.org/records/3451524): 213 images of ten Japanese women, seven posed "
    "expressions, 256x256 pixels, grayscale.",
    (
        POSED,
        "All people are Japanese women: accuracy on men or on people of other origin was not "
        "measured.",
        "Ten people are few: a test of some of them has wide intervals.",
        "All faces are frontal and evenly lit. No pictures from other conditions were measured.",
    ),
    "According to its authors, for non-commercial scientific research only, under conditions; "
    "access is on request.",
)
KDEF = KnownData(
    "KDEF",
    "The Karolinska Directed Emotional Faces (Lundqvist, Flykt and Öhman 1998, "
    "https://kdef.se): 4,900 pictures of 70 people, seven posed expressions, each photographed "
    "twice from five angles.",
    (
        POSED,
        "Clothes, background and light are uniform. No pictures from other conditions were "
        "measured.",
        "Two of the five angles are full profiles; accuracy per angle is not reported here.",
    ),
    "According to its authors, for researchers and non-commercial purposes only; redistribution "
    "needs their written consent.",
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


# By `evaluate.dataset`, and by name on Kaggle.
CHOSEN = {
    "ckplus": CKPLUS,
    "ckplus-owners": CKPLUS_OWNERS,
    "fer2013": FER2013,
    "jaffe": JAFFE,
    "kdef": KDEF,
    "raf-db": RAF_DB,
}
ON_KAGGLE = {
    "shawon10/ckplus": CKPLUS,
    "msambare/fer2013": FER2013,
    "shuvoalok/raf-db-dataset": RAF_DB,
}


def recognise(digest: str, source: str, dataset: str, chosen: str = "auto") -> KnownData:
    """Find the description of the images.

    Args:
        digest: of their content.
        source: `download.source`.
        dataset: `download.kaggle.dataset`.
        chosen: `evaluate.dataset`, which comes first; the drawn faces are known.
    """
    if source == "sample":
        return DRAWN
    if chosen != "auto":
        return CHOSEN[chosen]
    if digest == CKPLUS_DIGEST:
        return CKPLUS
    if source != "kaggle":
        return unknown("images of your own")
    return ON_KAGGLE.get(dataset) or unknown(dataset)

"""Presets for data sets that nobody has run here: stages on noise in their layouts."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faces import encoded, noise, png, write_folder
from ruamel.yaml import YAML

from ferpipe.tools import presets

FER = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
PER_CLASS = 12


def jpeg(seed, **shape):
    return encoded(noise(seed, **shape), "JPEG")


def fer2013():
    """train/ and test/, class folders, and names as on Kaggle."""
    return {
        f"{part}/{label}/{name}_{100 * number + n}.jpg": jpeg(1000 * number + 10 * n + len(part))
        for part, name in (("train", "Training"), ("test", "PrivateTest"))
        for number, label in enumerate(FER)
        for n in range(PER_CLASS)
    }


def fer2013_csv():
    rng = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for number in range(3 * 7 * PER_CLASS):
        usage = ("Training", "PublicTest", "PrivateTest")[number // 7 % 3]
        lines.append(f"{number % 7},{' '.join(map(str, rng.integers(0, 256, 64)))},{usage}")
    return {"fer2013.csv": "\n".join(lines).encode()}


def raf_db():
    tree = {
        f"DATASET/{part}/{label}/{part}_{100 * label + n:05}_aligned.jpg": jpeg(
            1000 * label + 10 * n + len(part), mode="RGB"
        )
        for part in ("train", "test")
        for label in range(1, 8)
        for n in range(PER_CLASS)
    }
    return tree | {"train_labels.csv": b"image,label\n", "test_labels.csv": b"image,label\n"}


def jaffe():
    people = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
    labels = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    tree = {
        f"jaffe/{person}.{label}{n}.{100 + 3 * number + n}.tiff": encoded(
            noise(1000 * position + 10 * number + n), "TIFF"
        )
        for position, person in enumerate(people)
        for number, label in enumerate(labels)
        for n in (1, 2, 3)
    }
    return tree | {"jaffe/README_FIRST.txt": b"read me"}


def kdef():
    return {
        f"KDEF/{session}{person}/{session}{person}{label}{angle}.JPG": jpeg(seed, mode="RGB")
        for seed, (session, person, label, angle) in enumerate(
            (session, f"{sex}{number:02}", label, angle)
            for session in "AB"
            for sex in "FM"
            for number in range(1, 7)
            for label in ("AF", "AN", "DI", "HA", "NE", "SA", "SU")
            for angle in ("FL", "HL", "S", "HR", "FR")
        )
    }


def ckplus_owners():
    tree = {}
    for subject in range(5, 82):
        for sequence in (1, 2):
            name = f"S{subject:03}/{sequence:03}/S{subject:03}_{sequence:03}_"
            for frame in range(1, 5):
                face = png(1000 * subject + 10 * sequence + frame)
                tree[f"cohn-kanade-images/{name}{frame:08}.png"] = face
            if sequence == 1:
                label = f"   {1 + subject % 7}.0000000e+00\n"
                tree[f"Emotion/{name}00000004_emotion.txt"] = label.encode()
    return tree


# The data set in small; its classes, images by official part ("" if there are none), subjects.
LAYOUTS = {
    "fer2013": (fer2013, FER, {"train": 84, "test": 84}, 0),
    "fer2013-csv": (fer2013_csv, FER, {"train": 84, "val": 84, "test": 84}, 0),
    "raf-db": (raf_db, None, {"train": 84, "test": 84}, 0),
    "jaffe": (jaffe, None, {"": 210}, 10),
    "kdef": (kdef, None, {"": 168}, 12),
    "ckplus-owners": (ckplus_owners, None, {"": 231}, 77),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_download_split_and_folds_on_the_layout_of_a_preset(name, root, project, run_stage):
    build, classes, official, subjects = LAYOUTS[name]
    write_folder(project / "data/local", build())
    shutil.copy(root / "data/assigned.csv", project / "data")
    presets.apply(name, Path("params.yaml"))
    yaml = YAML()
    params = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    params["download"]["source"] = "local"  # Kaggle's have the same layout
    yaml.dump(params, Path("params.yaml"))
    for stage in ("download", "split", "cv_folds"):
        done = run_stage(stage)
        assert (done.returncode, done.stderr) == (0, "")
    index = pd.read_csv("data/raw/index.csv", keep_default_na=False)
    assert Counter(index["part"]) == official
    assert len(set(index["subject"]) - {""}) == subjects
    assert set(index["label"]) == set(classes or expected_classes(params))
    split = pd.read_csv("data/split.csv", keep_default_na=False)
    assert set(split["split"]) == {"train", "val", "test"}
    if "test" in official:
        assert set(index.loc[split["split"] == "test", "part"]) == {"test"}
    if subjects:
        assert (split.groupby("subject")["split"].nunique() == 1).all()


def expected_classes(params):
    mapped = params["download"]["layout"]["classes"].values()
    return set(mapped) or {
        *("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    }

"""Small data sets of each kind that people have: what `download` makes of them.

Each is noise in one layout of docs/your-data.md, downloaded with the params as committed, and then
with those of its section there. `--checkout PATH` runs another version of the code as it is.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

import report
from ferpipe.core import files
from ferpipe.core.errors import exits_cleanly
from ferpipe.params.reader import read_yaml

HERE = Path(__file__).resolve().parents[1]
PAGE = HERE / "docs/your-data.md"
HEADER = ("data set", "as committed", "with the params of its section")
Tree = dict[str, bytes]
LABELS = ("angry", "happy", "sad")
SIDE = 16


def faces(form: str = "PNG") -> Iterator[bytes]:
    """Yield different images of noise without end."""
    rng = np.random.default_rng(1)
    while True:
        yield encoded(Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)), form)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of an image as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def class_folders() -> Tree:
    """Subjects below the classes."""
    face = faces()
    return {
        f"{label}/S{subject}/{n}.png": next(face)
        for label in LABELS
        for subject in range(1, 11)
        for n in range(2)
    }


def official_parts() -> Tree:
    """train/ and test/ with class folders."""
    face = faces("JPEG")
    return {
        f"{part}/{label}/{part}_{n}.jpg": next(face)
        for part, count in (("train", 12), ("test", 4))
        for label in LABELS
        for n in range(count)
    }


def file_names() -> Tree:
    """Subject and label in the file names, as in JAFFE."""
    face = faces("TIFF")
    return {
        f"{subject}.{label}{n}.{100 + n}.tiff": next(face)
        for subject in ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")
        for label in ("AN", "HA", "SA")
        for n in (1, 2)
    }


def labels_table() -> Tree:
    """A CSV of paths, labels and subjects, with names of its own for the columns."""
    face = faces()
    rows, tree = ["picture;feeling;who"], {}
    for n in range(60):
        rows.append(f"{n:03}.png;{LABELS[n % 3]};P{n // 6}")
        tree[f"faces/{n:03}.png"] = next(face)
    return tree | {"annotations.csv": "\n".join(rows).encode()}


def plain_table() -> Tree:
    """A list without a header: name, face, box, confidence and code, as in ExpW."""
    face = faces()
    names = [f"google_{n}.jpg" for n in range(70)]
    lines = [f"{name} 0 10 12 70 74 56.{n:02} {n % 7}" for n, name in enumerate(names)]
    tree = {f"origin/{name}": next(face) for name in names}
    return tree | {"label.lst": "\n".join(lines).encode()}


def csv_rows() -> Tree:
    """Pixels in rows, as in fer2013.csv."""
    rng = np.random.default_rng(1)
    rows = ["emotion,pixels,Usage"]
    for n in range(60):
        usage = "Training" if n < 36 else "PublicTest" if n < 48 else "PrivateTest"
        rows.append(f"{n % 3},{' '.join(map(str, rng.integers(0, 256, SIDE**2)))},{usage}")
    return {"fer2013.csv": "\n".join(rows).encode()}


def sequences() -> Tree:
    """Sequences with their labels in a parallel tree, as the owners of CK+ distribute it."""
    face, tree = faces(), {}
    for subject in range(5, 35):
        for sequence in (1, 2):
            name = f"S{subject:03}/{sequence:03}/S{subject:03}_{sequence:03}"
            for frame in range(1, 5):
                tree[f"cohn-kanade-images/{name}_{frame:08}.png"] = next(face)
            if sequence == 1:
                label = f"   {(1, 3, 5)[subject % 3]}.0000000e+00\n".encode()
                tree[f"Emotion/{name}_00000004_emotion.txt"] = label
    return tree


def class_names() -> Tree:
    """Two names of the same class."""
    face = faces()
    names = ("anger", "angry", "contempt", "happiness", "happy")
    return {f"{name}/{n}.png": next(face) for name in names for n in range(6)}


def conversions() -> Tree:
    """Transparency, CMYK, 16 bits and several frames."""
    rng, face = np.random.default_rng(2), faces()
    tree = {}
    for label in LABELS:
        tree |= {f"{label}/{n}.png": next(face) for n in range(6)}
        four = rng.integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
        deep = rng.integers(0, 2**16, (SIDE, SIDE), dtype=np.uint16)
        frames = [Image.fromarray(four[..., channel]) for channel in range(2)]
        tree[f"{label}/cutout.png"] = encoded(Image.fromarray(four, "RGBA"), "PNG")
        tree[f"{label}/print.jpg"] = encoded(Image.fromarray(four, "CMYK"), "JPEG")
        tree[f"{label}/deep.png"] = encoded(Image.fromarray(deep), "PNG")
        tree[f"{label}/moves.gif"] = encoded(
            frames[0], "GIF", save_all=True, append_images=frames[1:]
        )
    return tree


def contradictions() -> Tree:
    """An image under two labels."""
    face = faces()
    tree = {f"{label}/{n}.png": next(face) for label in LABELS for n in range(6)}
    again = next(face)
    return tree | {"angry/again.png": again, "happy/again.png": again}


def encoded_names() -> Tree:
    """A zip with names in GBK, which it does not say."""
    file, face = io.BytesIO(), faces()
    names = [f"{label}/{n}.png".encode("gbk") for label in ("高兴", "生气") for n in range(8)]
    with zipfile.ZipFile(file, "w") as zipped:
        for number, name in enumerate(names):
            zipped.writestr(zipfile.ZipInfo(f"{number:02}".ljust(len(name), "_")), next(face))
    data = file.getvalue()
    for number, name in enumerate(names):
        data = data.replace(f"{number:02}".ljust(len(name), "_").encode(), name)
    return {"faces.zip": data}


def own_split() -> Tree:
    """Class folders, and a CSV that assigns each image."""
    face = faces()
    tree = {f"{label}/{n}.png": next(face) for label in LABELS for n in range(10)}
    parts = {path: ("train", "train", "train", "val", "test")[n % 5] for n, path in enumerate(tree)}
    rows = ["path,part", *(f"{path},{part}" for path, part in parts.items())]
    return tree | {"../../my-split.csv": "\n".join(rows).encode()}


# By the section of docs/your-data.md.
CASES: dict[str, Callable[[], Tree]] = {
    "Class folders": class_folders,
    "Official parts": official_parts,
    "Labels in file names": file_names,
    "A table of labels": labels_table,
    "A table without a header": plain_table,
    "Rows of a CSV": csv_rows,
    "CK+ from its owners": sequences,
    "Class names": class_names,
    "Images that need a conversion": conversions,
    "Identical images with different labels": contradictions,
    "File names in another encoding": encoded_names,
    "A split of your own": own_split,
}


def sections() -> dict[str, dict]:
    """The params in docs/your-data.md, by the heading of their section."""
    found, heading = {}, ""
    text = PAGE.read_text(encoding="utf-8")
    for title, block in re.findall(r"^## ([^\n]+)$|^```yaml\n(.*?)^```$", text, re.M | re.S):
        heading = title or heading
        if block:
            found[heading] = YAML(typ="safe", pure=True).load(block)
    return found


def overlay(params: dict, block: Mapping[str, object]) -> None:
    """Replace values of the params by those of the block, section by section."""
    for key, value in block.items():
        if isinstance(value, Mapping) and params.get(key):
            overlay(params[key], value)
        else:
            params[key] = value


def write_case(heading: str, block: Mapping[str, object], folder: Path, checkout: Path) -> None:
    """Write a data set and params.yaml to a folder, in which stages can run."""
    for path, data in CASES[heading]().items():
        target = folder / "data/local" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    params = read_yaml(checkout / "params.yaml")
    params["download"]["source"] = "local"
    overlay(params, block)
    assigned = checkout / "data/assigned.csv"
    if assigned.exists():
        (folder / "data/assigned.csv").write_bytes(assigned.read_bytes())
    (folder / "params.yaml").write_text(json.dumps(params), encoding="utf-8")


def download(heading: str, block: Mapping[str, object], checkout: Path) -> str:
    """What `download` makes of a data set: images of each class and official part, or the error."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_case(heading, block, folder, checkout)
        command = [sys.executable, str(checkout / "src/stage.py"), "download"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            line = done.stderr.strip().splitlines()[-1].removeprefix("download: error: ")
            return "error: " + line.partition(";")[0].replace("|", "\\|")
        index = pd.read_csv(folder / "data/raw/index.csv", keep_default_na=False)
    facts = [f"{label} {count}" for label, count in sorted(Counter(index["label"]).items())]
    told = "".join(
        f"; {len(set(index[column]) - {''})} {column}s"
        for column in ("part", "subject", "sequence")
        if any(index.get(column, ()))
    )
    return ", ".join(facts) + told


def rows(checkout: Path) -> list[tuple[str, str, str]]:
    """The table's rows; another checkout is run with its own params only."""
    blocks = sections() if checkout == HERE else {}
    return [
        (
            heading,
            download(heading, {}, checkout),
            download(heading, blocks[heading], checkout) if blocks else "",
        )
        for heading in CASES
    ]


@exits_cleanly("cases")
def main() -> None:
    """Download each data set, and write the table to results/cases.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkout", type=Path, default=HERE, help="another version; prints only")
    checkout = parser.parse_args().checkout.resolve()
    lines = (HEADER, ("---",) * len(HEADER), *rows(checkout))
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    print(text)
    if checkout == HERE:
        files.write_text(report.RESULTS / "cases.md", f"# Data sets as people have them\n\n{text}")


if __name__ == "__main__":
    main()

import json

import pandas as pd
import pytest
from faces import CLASSES, PATHS, encoded, noise, png, repack, write_folder

from ferpipe.core import files, paths
from ferpipe.core.tables import read_table, write_table


@pytest.fixture
def write_raw(project):
    """Write data/raw/ from a tree."""

    def write(tree):
        source = write_folder(project / "source", tree)
        contents = repack(source, paths.IMAGES)
        write_table(paths.INDEX, pd.DataFrame(contents.images))

    return write


def test_it_writes_split_counts_and_audit(project, write_raw, write_params, run_stage, files_under):
    write_raw({path: png(number) for number, path in enumerate(PATHS)})
    write_params({"train": "not a section"})  # the stage reads its own section only
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    outputs = ["raw/images.zip", "raw/index.csv", "split.csv", "split_audit.json"]
    assert files_under(project / "data") == outputs
    outputs = ["closest_pairs.csv", "split.json", "split_counts.csv"]
    assert files_under(project / "reports") == outputs

    table = read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    assert table["path"].tolist() == PATHS
    sizes = table["split"].value_counts()
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert facts == {
        **{name: sizes[name] for name in paths.SPLITS},
        "classes": 3,
        "repeated_images": 0,
        "held_out_sharing_subject": 0.0,
        "held_out_sharing_sequence": 0.0,
        "held_out_near_duplicates": 0.0,
        "selected_on_test": False,
    }
    assert json.loads(paths.SPLIT_METRICS.read_text()) == {"near_duplicates": 0.0}
    assert (project / "reports/split_counts.csv").read_text().splitlines() == [
        "class,split,images",
        *(
            f"{label},{name},{((table['label'] == label) & (table['split'] == name)).sum()}"
            for label in CLASSES
            for name in paths.SPLITS
        ),
    ]
    pairs = paths.CLOSEST_PAIRS.read_text().splitlines()
    assert len(pairs) == 101
    assert all(len(line.split(",")[6]) == 6 for line in pairs[1:])  # four digits: 0.1234
    assert {line.split(",", 7)[7].split(",", 1)[1] for line in pairs[1:]} == {"false,none"}
    assert done.stdout.splitlines() == [
        f"split: train {sizes['train']}, val {sizes['val']}, test {sizes['test']} images, grouped "
        "by subject",
        "split: 0.0% of the held-out images share their subject with training",
        "split: 0.0% of the held-out images share their sequence with training",
        "split: 0.0% of the held-out images have a near-duplicate in training",
        "split: the closest pairs are in reports/closest_pairs.csv",
    ]


def test_near_duplicates_are_found_without_names(write_raw, write_params, run_stage):
    """Each image has a slightly changed copy, and no name says anything."""
    tree, copy_of = {}, {}
    for number in range(60):
        path, copy = (f"{'ab'[number % 2]}/{name}.png" for name in (number, number + 60))
        image = noise(number, width=24, height=24)
        tree |= {path: encoded(image), copy: encoded(image.point(lambda tone: tone * 0.9 + 5))}
        copy_of |= {path: copy, copy: path}
    write_raw(tree)
    write_params({"split.group_by": "none", "split.name_pattern": ""})
    done = run_stage("split")
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert facts["held_out_sharing_subject"] is None
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS).set_index("path")["split"]
    earlier = {"val": ("train",), "test": ("train", "val")}
    held_out = split[split != "train"]
    near = [split[copy_of[path]] in earlier[name] for path, name in held_out.items()]
    assert sum(near) > 0.3 * len(near)
    assert facts["held_out_near_duplicates"] == files.rounded(sum(near) / len(near))
    assert "split: WARNING: training contains people or near-duplicates of" in done.stdout

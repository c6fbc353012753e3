import functools

import pytest
from faces import png, write_zip

from ferpipe.data.images import ImageRefused
from ferpipe.sources.intake.labels import codes, table

LABELS = {"1.jpg": "happy", "2.jpg": "happy", "3.jpg": "sad", "4.jpg": "sad"}
FACES = {f"faces/{name}": png(number) for number, name in enumerate(LABELS)}


def rows(template, header=None, end="\n", **names):
    lines = [header] if header else []
    lines += [template.format(name=name, label=label) for name, label in LABELS.items()]
    return end.join(lines) + end


@pytest.fixture
def read(found_by):
    return functools.partial(found_by, table)


PARTS = ("train", "train", "test", "test")


def labels(found):
    return {member.name: member.label for member in found.members}


@pytest.mark.parametrize(
    "text",
    [
        rows("{name},{label}", "path,label"),
        rows("{label},{name}", "Emotion,File Name"),
        rows("{label};x;{name}", "emotion;remark;image"),
        rows("{name}\t{label}", "filename\tclass", end="\r\n"),
        rows('"{name}","{label}"', '"img","expression"'),
        rows('"faces/{name}", "{label}"', "path, label"),
        rows("faces\\{name},{label}", "path,label"),
        rows("./faces/{name} {label}"),
        rows("/content/data/faces/{name} {label}"),
        rows("C:\\data\\faces\\{name};{label}"),
        rows("{name}   {label}  "),
        rows("{name},{label}"),
        rows("{name},{label}", "bild,gefuehl"),
        "\ufeff" + rows("{name},{label}", "path,label"),
        rows("{name},{label}", "path,label").encode("utf-16"),
        rows("{name},{label}", "path,label").upper(),
    ],
)
def test_a_table_gives_labels_in_many_forms(read, text):
    wanted = LABELS
    if isinstance(text, str) and "HAPPY" in text:
        wanted = {name: label.upper() for name, label in LABELS.items()}
    found = read(FACES | {"labels.csv": text})
    assert labels(found) == wanted
    assert sorted(member.read() for member in found.members) == sorted(FACES.values())
    assert (found.skipped, list(found.notes), found.codes) == ([], [], {})


def test_other_facts_come_from_columns_and_other_images_are_skipped(read):
    text = (
        "id,file,emotion,Usage,person,video\n1,1.jpg,0,Training,p1,v1\n2,2.jpg,1.0,PrivateTest,p2,v2\n"
        "3,3.jpg,0,Training,p1,\n"
    )
    found = read(FACES | {"a/labels.csv": text, "readme.txt": "hello, world\n"}, write_zip)
    assert [member[:2] + member[3:] for member in found.members] == [
        ("0", "1.jpg", "train", "p1", "v1"),
        ("1", "2.jpg", "test", "p2", "v2"),
        ("0", "3.jpg", "train", "p1", ""),
    ]
    assert found.skipped == [
        ("faces/4.jpg", "not in labels.csv"),
        ("readme.txt", "not an image file"),
    ]


def test_columns_and_file_by_params(read):
    text = rows("x,{label},y,{name}")
    tree = FACES | {"labels.dat": text, "other.csv": rows("{name},other", "path,label")}
    keys = {"file": "labels.dat", "columns": {"path": 3, "label": 1}}
    assert labels(read(tree, **keys)) == LABELS
    tree["labels.dat"] = rows("x,{label},y,{name}", "a,b,c,d")
    assert labels(read(tree, file="labels.dat", columns={"path": "d", "label": "b"})) == LABELS


def test_raf_db_lists_names_without_the_ending_of_its_aligned_images(read):
    names = [f"{part}_{number:05}" for part in ("train", "test") for number in (1, 2, 11)]
    tree = {f"basic/Image/aligned/{name}_aligned.jpg": png(n) for n, name in enumerate(names)}
    text = "".join(f"{name}.jpg {1 + n % 7}\n" for n, name in enumerate(names))
    tree["basic/EmoLabel/list_patition_label.txt"] = text
    found = read(tree, pattern="/(?P<part>train|test)_")
    assert found.codes == codes.RAF_DB.names
    assert [member[:2] + member[3:4] for member in found.members] == [
        (str(1 + n), f"{name}_aligned.jpg", name.partition("_")[0]) for n, name in enumerate(names)
    ]
    assert found.notes[0] == (
        "the names in list_patition_label.txt are read with the ending '_aligned.jpg', such as "
        "train_00001.jpg for basic/Image/aligned/train_00001_aligned.jpg"
    )


def test_names_without_suffix_or_with_another_one(read):
    for name in ("{stem}", "{stem}.tif"):
        text = "".join(f"{name.format(stem=path[:-4])},{label}\n" for path, label in LABELS.items())
        assert labels(read(FACES | {"labels.csv": "path,label\n" + text})) == LABELS


def test_affectnets_table_has_names_for_its_codes(read):
    text = "subDirectory_filePath,face_x,face_y,expression,valence\n"
    text += "".join(f"faces/{name},1,2,{n},0.5\n" for n, name in enumerate(LABELS))
    found = read(FACES | {"training.csv": text})
    assert found.notes == [
        "the labels are read as the codes of AffectNet (0 neutral, 1 happy, 2 sad, 3 surprise); to "
        "name them otherwise, set download.layout.classes"
    ]
    assert labels(found) == {"1.jpg": "0", "2.jpg": "1", "3.jpg": "2", "4.jpg": "3"}
    assert [found.codes[code] for code in "0123"] == ["neutral", "happy", "sad", "surprise"]


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "test.csv"),
        ("train_labels.csv", "test_labels.csv"),
        ("train/labels.csv", "test/labels.csv"),
    ],
)
def test_tables_of_different_official_parts_are_read_together(read, names):
    train, test = names
    tree = FACES | {
        train: "image,label\n1.jpg,happy\n3.jpg,sad\n",
        test: "image,label\n2.jpg,happy\n4.jpg,sad\n",
    }
    found = read(tree)
    assert labels(found) == LABELS
    found_parts = {member.name: member.part for member in found.members}
    assert found_parts == dict(zip(["1.jpg", "3.jpg", "2.jpg", "4.jpg"], PARTS, strict=True))


def test_folders_tell_equal_names_apart(read):
    tree = {f"{folder}/{number}.png": png(number) for folder in ("S1", "S2") for number in (1, 2)}
    text = "path,label\nS1/1.png,happy\nS1/2.png,sad\nS2/1.png,sad\nS2/2.png,happy\n"
    assert labels(read(tree | {"labels.csv": text})) == {
        "S1_1.png": "happy",
        "S1_2.png": "sad",
        "S2_1.png": "sad",
        "S2_2.png": "happy",
    }


def test_a_listed_image_that_is_missing_counts_as_one_that_cannot_be_used(read):
    found = read(FACES | {"labels.csv": rows("{name},{label}", "path,label") + "5.jpg,sad\n"})
    with pytest.raises(ImageRefused, match=r"^labels.csv lists 5.jpg, which is missing$"):
        found.members[-1].read()
    assert found.members[-1].label == "sad"
    assert len(found.members) == 5


def test_rows_that_repeat_an_image_count_once(read):
    text = rows("{name},{label}", "path,label")
    assert labels(read(FACES | {"labels.csv": text + "faces/1.jpg,happy\n"})) == LABELS


GOOD = rows("{name},{label}", "path,label")


@pytest.mark.parametrize(
    ("tree", "keys", "message"),
    [
        ({}, {}, "has no table of images and labels, such as `path,label`; name the file in"),
        ({"readme.txt": "hello"}, {}, "readme.txt: no column is known to be the path"),
        (
            {"a.csv": rows("{name},{label},x", "path,feeling,mood")},
            {},
            "a.csv: no column is known to be the label; set download.layout.columns, such as "
            "{path: 0, label: 1}; its columns: path, feeling, mood",
        ),
        (
            {"a.csv": rows("{name},{label},1", "path,label,emotion")},
            {},
            "the columns 'label' and 'emotion' may both be the label; set download.layout.columns,",
        ),
        ({"a.csv": "path,label\nx.jpg,y\n"}, {}, "a.csv: no image of the source has a path like x"),
        ({"a.csv": GOOD + "5.jpg,\n"}, {}, "a.csv, row 5: it has no label"),
        ({"a.csv": GOOD + ",sad\n"}, {}, "a.csv, row 5: it has no path"),
        ({"a.csv": GOOD + "5.jpg,sad,1\n"}, {}, "a.csv, row 5: 3 values for 2 columns"),
        (
            {"a.csv": GOOD + "faces/1.jpg,sad\n"},
            {},
            "a.csv, row 5: faces/1.jpg is there twice, with label happy and sad; remove one of the",
        ),
        (
            {"a.csv": GOOD, "more/1.jpg": png(9)},
            {},
            "a.csv, row 1: 1.jpg may be faces/1.jpg and more/1.jpg; write the folders in the table",
        ),
        (
            {"a.csv": GOOD + "".join(f"x{n}.jpg,sad\n" for n in range(5))},
            {},
            "5 of 9 images that a.csv lists are missing, such as x0.jpg, x1.jpg, x2.jpg",
        ),
        ({"a.csv": GOOD, "b.csv": GOOD}, {}, "has several tables of labels: a.csv, b.csv; set do"),
        (
            {"train.csv": GOOD, "test.csv": GOOD},
            {},
            "row 1: 1.jpg is there twice, with part test and train; remove one of the rows",
        ),
        ({"a.csv": GOOD}, {"file": "b.csv"}, "download.layout.file = 'b.csv' is not in the source"),
        ({"a.csv": GOOD}, {"columns": {"label": 2}}, "a.csv: download.layout.columns.label = 2 is"),
        (
            {"a.csv": rows("{name},{label},late", "path,label,split")},
            {},
            "late is no official part",
        ),
        (
            {"a.csv": GOOD.replace("sad", "traurig\u00e4").encode("latin-1")},
            {},
            "is not in UTF-8; ",
        ),
    ],
)
def test_a_table_that_is_not_certain_is_an_error(fault_of, tree, keys, message):
    assert message in fault_of(table, FACES | tree, **keys)

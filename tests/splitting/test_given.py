import numpy as np
import pytest
from splits import assign, assign_folds, indexed

from ferpipe.core.errors import PipelineError
from ferpipe.params.split import Split
from ferpipe.splitting import given as givens
from ferpipe.splitting.subjects import name_images

PEOPLE = [f"S{number:03}" for number in range(1, 25)]
# Of each of 24 people two frames of each class.
PATHS = [
    f"{label}/{person}_001_{frame}.png"
    for label in ("anger", "happy", "sad")
    for person in PEOPLE
    for frame in (1, 2)
]
SUBJECTS = [path.split("/")[1][:4] for path in PATHS]
# A third of the people of the source is test, others straddle.
TRAIN_TEST = ["test" if int(name[1:]) > 16 else "train" for name in SUBJECTS]
THREE = [
    "val" if int(name[1:]) <= 4 else part for name, part in zip(SUBJECTS, TRAIN_TEST, strict=True)
]


@pytest.fixture
def params(values, tmp_path):
    """The committed section with an assigned file of these lines and some keys changed."""

    def make(*lines, **changes):
        file = tmp_path / "list.csv"
        file.write_text("\n".join(lines or ["path,part"]) + "\n")
        return Split(**values["split"] | {"assigned": str(file)} | changes)

    return make


def read(params, paths=PATHS, **columns):
    return givens.given(name_images(indexed(paths, **columns), params), params)


def split(params, repeats=None, paths=PATHS, **columns):
    """The split of each image by its path."""
    table = assign(paths, params, repeats, read(params, paths, **columns), **columns)
    return table.set_index("path")["split"]


def parts_of(found):
    """The people of each part."""
    people = found.index.str.split("/").str[1].str[:4]
    return {name: set(people[found == name]) for name in set(found)}


def refused(run, *args, **columns):
    with pytest.raises(PipelineError) as error:
        run(*args, **columns)
    assert "\n" not in str(error.value)
    return str(error.value)


# Official parts


def test_official_parts_are_ignored_unless_they_are_used(params):
    assert read(params(), part=TRAIN_TEST) is None
    note = "the source has official parts (train 96, test 48): ignored (split.official)"
    images = indexed(PATHS, part=TRAIN_TEST)
    assert givens.notes(images, params(), None) == [note]
    assert givens.notes(indexed(PATHS), params(), None) == []
    assert givens.notes(images, params(official="use"), None) == []


@pytest.mark.parametrize("group_by", ["subject", "sequence", "none"])
@pytest.mark.parametrize("val_size", [0.0, 0.25])
def test_official_parts_with_val_are_the_split(params, group_by, val_size):
    """Even if the params would group otherwise, or take no val."""
    use = params(official="use", group_by=group_by, val_size=val_size, name_pattern="")
    assert split(use, part=THREE).tolist() == THREE


@pytest.mark.parametrize("group_by", ["subject", "sequence", "none"])
@pytest.mark.parametrize("seed", [1, 2])
def test_val_is_taken_from_the_official_train(params, group_by, seed):
    found = split(
        params(official="use", group_by=group_by, seed=seed, val_size=0.25), part=TRAIN_TEST
    )
    assert (found[found == "test"].index == np.array(PATHS)[np.array(TRAIN_TEST) == "test"]).all()
    assert abs((found == "val").sum() - 0.25 * 96) <= 2
    counts = found.groupby([found.index.str.split("/").str[0], found]).size().unstack()
    assert np.ptp(counts["val"]) <= 2
    people = parts_of(found)
    assert (not people["train"] & people["val"]) == (group_by != "none")


def test_without_a_val_size_test_selects(params):
    found = split(params(official="use", val_size=0.0), part=TRAIN_TEST)
    assert found.tolist() == TRAIN_TEST


def test_people_that_straddle_official_parts_are_not_moved(params):
    straddling = ["test" if number % 3 == 0 else "train" for number in range(len(PATHS))]
    found = split(params(official="use"), part=straddling)
    assert ((found == "test") == (np.array(straddling) == "test")).all()
    people = parts_of(found)
    assert people["test"] & people["train"]
    assert not people["val"] & people["train"]


@pytest.mark.parametrize("group_by", ["subject", "none"])
def test_repeats_follow_within_train_and_stay_across_official_parts(params, group_by):
    # Two images of train repeat one of test, and so each other; which comes first by name.
    first, one, other = "anger/S020_001_1.png", "happy/S003_001_1.png", "sad/S009_001_2.png"
    for repeats in ({one: first, other: first}, {first: one, other: one}):
        for seed in range(5):
            found = split(
                params(official="use", group_by=group_by, seed=seed), repeats, part=TRAIN_TEST
            )
            assert found[first] == "test"
            assert found[one] == found[other] != "test"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("", "the source has no official parts; set it to 'ignore'"),
        (["train", "val"] * 72, "no official test part (parts: train 72, val 72); name it in"),
        (["val", "test"] * 72, "no official train part (parts: val 72, test 72); name it in"),
        (
            ["train", "test", ""] * 48,
            "48 of 144 images are in no official part, such as anger/S002_001_1.png (parts: train "
            "48, test 48); name their part in download.layout.parts",
        ),
    ],
    ids=["none", "no test", "no train", "some"],
)
def test_incomplete_official_parts_are_an_error(params, parts, message):
    text = refused(read, params(official="use"), part=parts)
    assert text.startswith("split.official = 'use', but ")
    assert message in text


def test_a_class_that_the_official_train_lacks_is_an_error(params):
    parts = ["test" if path.startswith("sad") else "train" for path in PATHS]
    text = refused(split, params(official="use"), part=parts)
    assert "train has no image of class sad (48 images, subjects 24: S001, S002, S003, " in text
    assert "; change the given split, or" in text


def test_a_class_that_the_official_test_lacks_is_allowed(params):
    pairs = zip(PATHS, TRAIN_TEST, strict=True)
    parts = ["train" if path.startswith("sad") else part for path, part in pairs]
    assert set(split(params(official="use"), part=parts)) == {"train", "val", "test"}


# Assigned parts


def of_people(name, value_of):
    return [f"subject,{name}", *(f"{person},{value_of(n)}" for n, person in enumerate(PEOPLE))]


BY_PATH = ["path,part", *map("{},{}".format, PATHS, THREE)]


@pytest.mark.parametrize("prefix", ["", "./", "faces/", "C:\\data\\faces\\"])
def test_paths_may_have_folders_before_them(params, prefix):
    lines = ["path,part"]
    for path, part in zip(PATHS, THREE, strict=True):
        name = f"{prefix}{path}".replace("/", "\\") if "\\" in prefix else f"{prefix}{path}"
        lines.append(f"{name},{part}")
    assert split(params(*lines)).tolist() == THREE


def test_unique_file_names_are_enough(params):
    paths = [f"{path.split('/')[0]}/{number:03}.png" for number, path in enumerate(PATHS)]
    names = [path.split("/")[1] for path in paths]
    lines = ["file,set", *map("{},{}".format, names, THREE)]
    assert split(params(*lines), paths=paths).tolist() == THREE
    text = refused(split, params("path,part", *(f"{p.split('/')[1]},train" for p in PATHS)))
    assert "144 rows are of several images, such as S001_001_1.png, S001_001_2.png" in text


@pytest.mark.parametrize("group_by", ["subject", "sequence", "none"])
def test_assigned_parts_without_val_are_used_like_official_ones(params, group_by):
    lines = of_people("part", lambda n: "test" if n >= 16 else "train")
    found = split(params(*lines, group_by=group_by))
    official = split(params(official="use", group_by=group_by), part=TRAIN_TEST)
    assert found.equals(official)


@pytest.mark.parametrize("key", ["subject", "sequence"])
def test_people_or_recordings_that_the_layout_tells_are_assigned(params, key):
    paths = [f"{path.split('/')[0]}/{number}.png" for number, path in enumerate(PATHS)]
    lines = of_people("part", lambda n: "Test" if n >= 16 else "Training")
    lines[0] = f"{key},part"
    found = split(params(*lines, group_by=key), paths=paths, **{key: SUBJECTS})
    assert ((found == "test") == (np.array(TRAIN_TEST) == "test")).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: lines[:-2],
            "2 of 144 images have no row, such as sad/S024_001_1.png, sad/S",
        ),
        (
            lambda lines: [*lines[:-1], "sad/S099.png,test"],
            "1 of 144 images have no row, such as sad/S024_001_2.png; 1 rows match no image, such "
            "as sad/S099.png",
        ),
        (
            lambda lines: [*lines, "anger/S001_001_1.png,val"],
            "1 rows assign a path again, such as anger/S001_001_1.png",
        ),
        (
            lambda lines: [*lines, "old/anger/S001_001_1.png,test"],
            "1 rows assign a path again, such as old/anger/S001_001_1.png",
        ),
    ],
    ids=["missing", "unknown", "again", "again by another path"],
)
def test_an_image_that_is_not_assigned_once_is_an_error(params, change, message):
    text = refused(read, params(*change(BY_PATH)))
    assert f"list.csv (split.assigned) should assign every image once: {message}" in text


def test_an_image_without_the_key_is_named_by_its_path(params):
    lines = of_people("part", lambda n: "test" if n >= 16 else "train")
    text = refused(read, params(*lines), paths=[*PATHS, "sad/me.png"])
    assert "1 of 145 images have no row, such as sad/me.png (no subject)" in text


def test_rows_of_images_that_are_not_there_are_a_note(params):
    found = read(params(*BY_PATH, "sad/left_out.png,train", "x/y.png,val"))
    (note,) = found.notes
    assert note.startswith("2 rows of ")
    assert note.endswith("list.csv match no image, such as sad/left_out.png")
    assert givens.notes(indexed(PATHS, part=TRAIN_TEST), params(*BY_PATH), found)[0] == note


@pytest.mark.parametrize(
    ("part", "lacks"), [("train", "test"), ("test", "train"), ("val", "train")]
)
def test_a_file_without_train_or_test_is_an_error(params, part, lacks):
    text = refused(read, params(*of_people("part", lambda n: part)))
    assert f"list.csv (split.assigned) assigns no image to {lacks}" in text


def test_both_official_parts_and_a_file_are_an_error(params):
    text = refused(read, params(*BY_PATH, official="use"), part=THREE)
    assert "split.official = 'use', but " in text
    assert "set split.official to 'ignore', or remove the rows of the file" in text


# Assigned folds

FIVE = of_people("fold", lambda n: 1 + n % 5)


@pytest.mark.parametrize("group_by", ["subject", "none"])
@pytest.mark.parametrize("folds", [None, 5])
def test_the_test_split_is_the_fold(params, group_by, folds):
    tested = []
    for fold in range(5):
        found = split(params(*FIVE, folds=folds, fold=fold, group_by=group_by, val_size=0.2))
        people = parts_of(found)
        assert people["test"] == set(PEOPLE[fold::5])
        assert not people["test"] & (people["train"] | people["val"])
        assert (not people["val"] & people["train"]) == (group_by == "subject")
        assert abs((found == "val").sum() - 0.2 * 144) <= 6
        tested += found.index[found == "test"].tolist()
    assert sorted(tested) == sorted(PATHS)


def test_the_seed_changes_val_alone(params):
    first, second = (split(params(*FIVE, seed=seed)) for seed in (1, 2))
    assert (first == "test").equals(second == "test")
    assert not first.equals(second)


@pytest.mark.parametrize(
    ("lines", "changes", "message"),
    [
        (FIVE, {"folds": 10}, "split.folds = 10, but {} has 5 folds; set split.folds to null or 5"),
        (FIVE, {"fold": 5}, "split.fold = 5, but {} has the folds 0 to 4"),
        (BY_PATH, {"folds": 10}, "split.folds = 10, but {} has parts; set split.folds to null"),
    ],
    ids=["folds", "fold", "parts"],
)
def test_folds_that_contradict_the_file_are_an_error(params, lines, changes, message):
    some = params(*lines, **changes)
    assert refused(split, some) == message.format(f"{some.assigned} (split.assigned)")


def test_a_fold_of_images_that_are_not_there_is_an_error(params):
    text = refused(read, params(*FIVE, "S099,6"))
    assert "list.csv (split.assigned) assigns no image to fold 5 (from 0)" in text


# Cross-validation


def columns_of(table):
    return table[[name for name in table if name.startswith("fold_")]]


@pytest.mark.parametrize("count", [5, 24])
def test_folds_of_the_file_are_those_of_every_seed(params, count):
    """Five folds, and one person left out at a time."""
    lines = of_people("fold", lambda n: n % count)
    some = params(*lines, folds=2, fold=1, val_size=0.1)  # which the cross-validation replaces
    tables = [assign_folds(PATHS, some, seed, count, given=read(some)) for seed in (1, 2)]
    first, second = map(columns_of, tables)
    assert first.shape == (len(PATHS), count)
    assert (first == "test").equals(second == "test")
    assert not first.equals(second)
    assert ((first == "test").sum(axis=1) == 1).all()
    for fold, name in enumerate(first):
        assert set(np.array(SUBJECTS)[first[name] == "test"]) == set(PEOPLE[fold::count])


def test_another_number_of_folds_is_an_error_that_says_how_to_set_it(params):
    some = params(*FIVE)
    text = refused(assign_folds, PATHS, some, 1, 10, given=read(some))
    assert text.startswith("cv.folds has 10 folds, but ")
    assert text.endswith("list.csv (split.assigned) has 5; set cv.folds to [0, 1, 2, 3, 4]")


@pytest.mark.parametrize("parts", [TRAIN_TEST, THREE])
@pytest.mark.parametrize("by", ["official", "assigned"])
@pytest.mark.parametrize("group_by", ["subject", "none"])
def test_the_given_test_part_is_in_no_fold(params, parts, by, group_by):
    official = {"official": "use", "group_by": group_by, "val_size": 0.1}
    some = params(**official)
    if by == "assigned":
        lines = ["path,part", *map("{},{}".format, PATHS, parts)]
        some = params(*lines, group_by=group_by, val_size=0.1)
    given = read(some, part=parts)
    table = assign_folds(PATHS, some, 1, 4, given=given, part=parts)
    assert table["path"].tolist() == PATHS
    inside = np.array(parts) != "test"
    splits = columns_of(table)
    assert (splits[~inside] == "").all(axis=None)
    assert ((splits[inside] == "test").sum(axis=1) == 1).all()
    assert set(splits[inside].to_numpy().ravel()) == {"train", "val", "test"}
    for name in splits if group_by == "subject" else ():
        assert (table[inside].groupby("subject")[name].nunique() == 1).all()
    # The official test decides nothing: without its images the folds are the same.
    without = params(group_by=group_by, val_size=0.1)
    alone = assign_folds(np.array(PATHS)[inside].tolist(), without, 1, 4)
    assert columns_of(alone).equals(splits[inside].reset_index(drop=True))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_own_folds_are_of_any_number(params, count):
    splits = columns_of(assign_folds(PATHS, params(val_size=0.1), 1, count))
    assert splits.shape[1] == count
    assert ((splits == "test").sum(axis=1) == 1).all()


def test_ignored_parts_change_no_fold(params):
    with_parts = assign_folds(PATHS, params(), 1, 4, part=TRAIN_TEST)
    assert with_parts.equals(assign_folds(PATHS, params(), 1, 4))

import functools

import pytest
from faces import png, write_folder, write_zip

from ferpipe.sources.intake.labels import codes, frames

IMAGES = "cohn-kanade-images/{subject}/{sequence}/{subject}_{sequence}_{frame:08}.png"
LABELS = "Emotion/{subject}/{sequence}/{subject}_{sequence}_00000005_emotion.txt"
# The label of each labelled sequence; others have frames only.
LABELLED = {("S005", "001"): 3, ("S010", "002"): 1, ("S011", "001"): 7}
FACE = png()


def ckplus(images=IMAGES, labels=LABELS, text="   {code}.0000000e+00\n", frame_numbers=range(1, 6)):
    """CK+ in small: three subjects with two sequences of five frames each."""
    tree = {}
    for subject in ("S005", "S010", "S011"):
        for sequence in ("001", "002"):
            names = {"subject": subject, "sequence": sequence}
            for frame in frame_numbers:
                tree[images.format(frame=frame, **names)] = FACE
            if (subject, sequence) in LABELLED:
                label = text.format(code=LABELLED[subject, sequence])
                tree[labels.format(**names)] = label.encode()
    return tree


@pytest.fixture
def read(found_by):
    return functools.partial(found_by, frames)


def facts(found):
    return sorted((m.label, m.name, m.subject, m.sequence) for m in found.members)


def expected(last=(3, 4, 5), name="{whole}_{frame:08}.png"):
    return sorted(
        (str(code), name.format(whole="_".join(key), frame=frame), key[0], "_".join(key))
        for key, code in LABELLED.items()
        for frame in last
    )


OTHERS = {
    "FACS/S005/001/S005_001_00000005_facs.txt": b"   1.7e+01   0.0e+00\n",
    "Landmarks/S005/001/S005_001_00000005_landmarks.txt": b"   1.7e+02   2.3e+02\n",
    "cohn-kanade-images/S005/.DS_Store": b"\0\0\0\1Bud1",
    "Emotion/S005/.DS_Store": b"\0\0\0\1Bud1",
    "__MACOSX/Emotion/S005/001/._S005_001_00000005_emotion.txt": b"\0\5\26\7",
    "Consent-for-publication.doc": b"",
    "ReadMeTerms.txt": b"terms",
}


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_the_last_frames_of_labelled_sequences_are_taken(read, write):
    found = read(ckplus() | OTHERS, write)
    assert facts(found) == expected()
    assert found.codes == codes.CKPLUS.names
    assert found.notes == [
        "the labels are read as the codes of CK+ (1 anger, 3 disgust, 7 surprise); to name them "
        "otherwise, set download.layout.classes"
    ]
    reasons = dict(found.skipped)
    assert reasons["cohn-kanade-images/S005/001/S005_001_00000002.png"] == (
        "not one of the last 3 frames of a labelled sequence"
    )
    labels = {LABELS.format(subject=subject, sequence=number) for subject, number in LABELLED}
    assert len(found.skipped) == 30 - 9 + len(OTHERS)
    assert labels.isdisjoint(reasons)
    assert {member.read() for member in found.members} == {FACE}


@pytest.mark.parametrize(("last", "numbers"), [(1, (5,)), (2, (4, 5)), (99, (1, 2, 3, 4, 5))])
def test_how_many_frames_is_a_param(read, last, numbers):
    assert facts(read(ckplus(), last_frames=last)) == expected(numbers)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("extended-cohn-kanade-images/" + IMAGES, "Emotion_labels/" + LABELS),
        ("CK+/" + IMAGES, "CK+/Emotion labels/" + LABELS.removeprefix("Emotion/")),
        (IMAGES, LABELS.replace("Emotion/", "emotion/").replace("_emotion.txt", ".lab")),
        (IMAGES, LABELS.replace("Emotion/", "emotions/x/")),
        (IMAGES, "Emotion/{subject}_{sequence}_00000005_emotion.txt"),
        ("emotion-data/" + IMAGES, "emotion-data/" + LABELS),
    ],
    ids=["owners' zips", "wrapped", "other names", "labels deeper", "flat labels", "in emotion-"],
)
def test_other_folders_around_the_same_trees(read, images, labels):
    tree = ckplus(images, labels)
    if "/x/" in labels:
        assert facts(read(tree, file="emotions/x")) == expected()
    else:
        assert facts(read(tree)) == expected()


@pytest.mark.parametrize("text", ["{code}", "{code}.0\r\n", "\ufeff  {code}\n", "{code}.\n"])
def test_other_ways_to_write_a_code(read, text):
    assert facts(read(ckplus(text=text))) == expected()


def test_labels_may_be_words(read):
    found = read(ckplus(text="emotion{code}\n"))
    assert {member.label for member in found.members} == {"emotion1", "emotion3", "emotion7"}
    assert found.codes == {}


def test_frames_are_in_the_order_of_their_numbers_and_names_stay_different(read):
    tree = ckplus(images="faces/{subject}/{sequence}/frame{frame}.png", frame_numbers=range(7, 13))
    found = read(tree)
    assert facts(found) == expected((10, 11, 12), name="{whole}_frame{frame}.png")


def test_one_folder_a_sequence_tells_no_subject(read):
    labels = "Emotion/{subject}_{sequence}/label.txt"
    found = read(ckplus("images/{subject}_{sequence}/{frame}.png", labels))
    wanted = expected(name="{whole}_{frame}.png")
    assert facts(found) == [(label, name, "", sequence) for label, name, _, sequence in wanted]


LABEL = LABELS.format(subject="S005", sequence="001")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({LABEL: b""}, f"the label file {LABEL} has 0 words; it should have a label, such as 3.0"),
        ({LABEL: b"3 4"}, f"the label file {LABEL} has 2 words"),
        ({LABEL: b"\xff\xfe3\0"}, f"the label file {LABEL} is not text in UTF-8"),
        ({LABEL: b"\0"}, f"the label file {LABEL} has 1 words"),
        ({LABEL: b"3" * 2000}, f"the label file {LABEL} is no small text file"),
        (
            {"Emotion/S999/001/S999_001_00000011_emotion.txt": b"3"},
            "the frames that Emotion/S999/001/S999_001_00000011_emotion.txt labels are missing",
        ),
        (
            {"Emotion/S005/001/S005_001_00000004_emotion.txt": b"3"},
            "S005_001_00000004_emotion.txt and Emotion/S005/001/S005_001_00000005_emotion.txt lab",
        ),
        (
            {"more/S005/001/S005_001_00000001.png": FACE},
            "may label the frames in cohn-kanade-images/S005/001 and more/S005/001; set download.r",
        ),
        (
            {"copy/" + LABEL: b"3"},
            "several folders of label files: Emotion, copy/Emotion; set download.layout.file",
        ),
    ],
)
def test_labels_that_are_not_certain_are_an_error(fault_of, changes, message):
    assert message in fault_of(frames, ckplus() | changes)


@pytest.mark.parametrize(
    ("tree", "keys", "message"),
    [
        ({"happy/1.png": FACE}, {}, "has no folder of label files beside its frames"),
        ({"Emotion/readme.txt": b"x", "a/1.png": FACE}, {}, "has no folder of label files beside"),
        (ckplus(), {"file": "Labels"}, "download.layout.file = 'Labels' has no label files"),
    ],
)
def test_a_source_without_labels_beside_sequences_is_an_error(fault_of, tree, keys, message):
    assert message in fault_of(frames, tree, **keys)

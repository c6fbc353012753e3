import typing

import pytest

from ferpipe.params.evaluate import Evaluate
from ferpipe.report.datasets import (
    CHOSEN,
    CKPLUS,
    CKPLUS_DIGEST,
    DRAWN,
    FER2013,
    KDEF,
    ON_KAGGLE,
    RAF_DB,
    recognise,
)


def test_ckplus_is_recognised_by_its_images_wherever_they_lay():
    for source in ("kaggle", "local"):
        assert recognise(CKPLUS_DIGEST, source, "somebody/else") is CKPLUS


def test_ckplus_is_recognised_by_its_name_on_kaggle_alone():
    assert recognise("0" * 64, "kaggle", "shawon10/ckplus") is CKPLUS
    # The key stands in params.yaml also where it is not used.
    assert recognise("0" * 64, "local", "shawon10/ckplus") is not CKPLUS


def test_drawn_faces_are_recognised_whoever_they_are():
    assert recognise("0" * 64, "sample", "shawon10/ckplus") is DRAWN


def test_nothing_is_claimed_of_other_data():
    assert recognise("0" * 64, "kaggle", "a/b").name == "a/b"
    assert recognise("0" * 64, "local", "a/b").name == "images of your own"


@pytest.mark.parametrize(
    ("name", "data"), [("msambare/fer2013", FER2013), ("shuvoalok/raf-db-dataset", RAF_DB)]
)
def test_data_sets_are_recognised_by_their_names_on_kaggle(name, data):
    assert recognise("0" * 64, "kaggle", name) is data
    assert recognise("0" * 64, "local", name) is not data


def test_the_param_comes_first_but_drawn_faces_stay_drawn():
    assert recognise("0" * 64, "local", "a/b", "kdef") is KDEF
    assert recognise("0" * 64, "kaggle", "msambare/fer2013", "kdef") is KDEF
    assert recognise("0" * 64, "sample", "a/b", "kdef") is DRAWN


def test_every_choice_of_the_param_has_a_description():
    choices = typing.get_args(Evaluate.model_fields["dataset"].annotation)
    assert choices == ("auto", *CHOSEN)
    for data in {*CHOSEN.values(), *ON_KAGGLE.values()}:
        sentences = (data.description, data.terms, *data.limits)
        assert all(text.endswith(".") and "  " not in text for text in sentences)

from ferpipe.report.datasets import CKPLUS, CKPLUS_DIGEST, DRAWN, recognise


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

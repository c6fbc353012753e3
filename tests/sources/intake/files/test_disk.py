"""Folders with links: followed to any disk, without loops."""

import os
import sys

import pytest
from faces import dataset, png, repack, write_folder

from ferpipe.data.archive import read_images
from ferpipe.sources.intake.files.disk import DANGLING, LOOP
from ferpipe.sources.intake.files.entry import EMPTY_FOLDER, SPECIAL

TREE = dataset(per_class=3)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@pytest.fixture
def store(here):
    """The images in a folder that is not the source."""
    return write_folder(here / "store", TREE)


@pytest.fixture
def source(here):
    folder = here / "source"
    folder.mkdir()
    return folder


def packed(here, source):
    """Repack; returns the skipped files."""
    contents = repack(source, here / "images.zip")
    assert dict(read_images(here / "images.zip")) == TREE
    return contents.skipped


@pytest.mark.parametrize("relative", [True, False])
def test_links_to_files_are_followed_as_dvc_makes_them(here, store, source, relative):
    for number, path in enumerate(TREE):
        hashed = here / "cache" / f"{number:02}"  # no suffix: the content says what it is
        hashed.parent.mkdir(exist_ok=True)
        (store / path).rename(hashed)
        link = source / path
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(hashed, link.parent) if relative else hashed)
    assert packed(here, source) == []


def test_links_to_folders_are_followed(here, store, source):
    (source / "angry").symlink_to(store / "angry")
    (here / "other").symlink_to(store)
    (source / "happy").symlink_to(here / "other" / "happy")  # by another link
    assert packed(here, source) == []


def test_the_source_itself_may_be_a_link(here, store):
    (here / "linked").symlink_to(store)
    assert packed(here, here / "linked") == []


def test_links_that_lead_nowhere_or_round_in_circles_are_skipped_and_listed(here, store):
    (store / "angry/broken.png").symlink_to("nowhere.png")
    (store / "angry/itself.png").symlink_to("itself.png")
    (store / "angry/here").symlink_to(".")
    (store / "angry/up").symlink_to(store)
    (store / "sad").mkdir()
    os.mkfifo(store / "angry/pipe.png")
    assert packed(here, store) == [
        ("angry/broken.png", DANGLING),
        ("angry/here", LOOP),
        ("angry/itself.png", DANGLING),
        ("angry/pipe.png", SPECIAL),
        ("angry/up", LOOP),
        ("sad", EMPTY_FOLDER),
    ]


def test_folders_that_link_to_each_other_end(here, source, refused):
    for name, other in (("angry", "happy"), ("happy", "angry")):
        (source / name).mkdir()
        (source / name / "other").symlink_to(source / other)
    assert "its links lead to no images: angry/other -> " in refused(source)


@pytest.mark.parametrize("target", ["nowhere", "text"])
def test_a_source_of_links_without_images_is_an_error_that_names_them(
    here, source, refused, target
):
    write_folder(here / "text", {"notes.txt": b"hello"})
    (source / "angry").symlink_to(here / target)
    (source / "happy").symlink_to("nothing")
    message = refused(source)
    assert "source holds no images; " in message
    links = f"angry -> {here / target}, happy -> nothing"
    assert message.endswith(f"; its links lead to no images: {links}")


def test_a_link_to_a_second_label_is_a_conflict(here, store, refused):
    (store / "sad").symlink_to(store / "angry")
    assert "are the same image with different labels" in refused(store)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_without_permission_is_listed(here, store):
    write_folder(store, {"angry/secret": png(9)})
    (store / "angry/secret").chmod(0)
    assert packed(here, store) == [("angry/secret", "cannot be read: Permission denied")]

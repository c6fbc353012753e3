import pytest
from faces import dataset, write_folder, write_zip

from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Download
from ferpipe.params.run import Run
from ferpipe.sources.local import source

TREE = dataset()


@pytest.fixture
def fetch(project, values):
    """Fetch `download.local.path` into images.zip, with some keys of the section changed."""

    def fetched(path, **changes):
        values["download"] |= {"source": "local", "local": {"path": str(path)}, **changes}
        params = Download(**values["download"])
        return source.fetch(params, Run(**values["run"]), project / "images.zip")

    return fetched


def test_a_folder_and_a_zip_of_it_give_the_same_archive(fetch, project):
    write_folder(project / "data" / "local", TREE | {"README.md": b"hello"})
    contents = fetch("data/local")
    from_folder = (project / "images.zip").read_bytes()
    assert contents.class_counts == {"angry": 2, "happy": 2}
    assert contents.skipped == [("README.md", "not an image file")]
    write_zip(project / "faces.zip", TREE)
    assert fetch("faces.zip").digest == contents.digest
    assert (project / "images.zip").read_bytes() == from_folder


def test_a_path_may_be_absolute(fetch, tmp_path):
    assert len(fetch(write_folder(tmp_path / "elsewhere", TREE)).images) == 4


def test_the_root_in_params_picks_one_of_several(fetch, project):
    tree = {f"{root}/{path}": data for root in ("a", "b") for path, data in TREE.items()}
    tree["b/angry/99.png"] = TREE["angry/00.png"]
    write_zip(project / "faces.zip", tree)
    with pytest.raises(PipelineError, match=r"differ: a, b; set download\.root to one of them"):
        fetch("faces.zip")
    assert len(fetch("faces.zip", root="b").images) == 5


def test_the_share_of_bad_images_in_params_is_the_one_that_counts(fetch, project):
    write_folder(project / "faces", TREE | {"angry/99.png": b"?"})
    with pytest.raises(PipelineError, match="1 of 5 images cannot be used"):
        fetch("faces")
    assert len(fetch("faces", max_bad_fraction=0.2).images) == 4

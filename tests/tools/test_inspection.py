"""The command `ferpipe inspect`: what it prints works when pasted."""

import pytest
from faces import dataset, encoded, noise, png, write_folder, write_zip
from ruamel.yaml import YAML

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.params.download import Download
from ferpipe.params.reader import read_section
from ferpipe.params.split import Split
from ferpipe.tools import inspection, presets

CHANGE = "\nChange these keys of params.yaml:\n"


@pytest.fixture
def inspect(project):
    """The lines of the report, with the params of a file."""

    def inspected(source, params=presets.BASE):
        download = read_section(params, "download", Download)
        name_pattern = read_section(params, "split", Split).name_pattern
        return list(inspection.report(source, download, name_pattern, workers=2))

    return inspected


def pasted(lines):
    """The params of a report as flat keys."""
    start = lines.index(CHANGE)
    values = YAML(typ="safe", pure=True).load("\n".join(lines[start + 1 :]))
    download, split = values["download"], values["split"]
    layout = {f"download.layout.{key}": value for key, value in download["layout"].items()}
    return {
        "download.source": download["source"],
        "download.local.path": download["local"]["path"],
        **layout,
        **{f"split.{key}": value for key, value in split.items()},
    }


def images(*paths):
    """Different images by their paths."""
    return {path: png(number) for number, path in enumerate(paths)}


JAFFE = images(
    *(f"{s}.{c}{n}.9.tiff" for s in ("KA", "KM", "NA") for c in ("AN", "HA") for n in (1, 2, 3))
)
FER = images(
    *(f"db/train/{label}/train_{n}.png" for label in ("angry", "happy") for n in range(4)),
    *(f"db/test/{label}/test_{n}.png" for label in ("angry", "happy") for n in range(2)),
)
SUBJECTS = images(
    *(f"{label}/S{s}/{n}.png" for label in ("fear", "happy") for s in (1, 2, 3) for n in (1, 2))
)


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (dataset(3), {"download.layout.kind": "folders", "split.group_by": "none"}),
        (FER, {"download.layout.kind": "folders", "split.official": "use"}),
        (SUBJECTS, {"split.name_pattern": "(?P<subject>[^_.-]+)[_.-]"}),
        (JAFFE, {"download.layout.classes": {"AN": "angry", "HA": "happy"}}),
    ],
    ids=["plain", "official parts", "subjects", "names"],
)
def test_the_params_that_are_printed_read_the_source(
    inspect, project, write_params, run_stage, tree, expected
):
    source = write_zip(project / "faces.zip", tree)
    before = sorted(project.rglob("*"))
    lines = inspect(source)
    assert sorted(project.rglob("*")) == before
    assert lines[0] == f"{source}: {len(tree)} files, {len(tree)} of them images"
    params = pasted(lines)
    assert params.items() >= expected.items()
    write_params(params)
    done = run_stage("download")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(tables.read_table(paths.INDEX, paths.INDEX_COLUMNS)) == len(tree)


def test_classes_parts_sizes_and_what_is_skipped_are_counted(inspect, project):
    tree = FER | {"notes.txt": b"", "db/train/angry/x.png": b"?", "db/test/happy/y.png": b""}
    tree["db/test/happy/large.png"] = png(1, width=30, mode="RGB")
    text = "\n".join(inspect(write_folder(project / "faces", tree)))
    rows = [line.split() for line in text.splitlines()]
    assert ["class", "train", "test", "images"] in rows
    assert ["angry", "4", "2", "6"] in rows
    assert ["happy", "4", "3", "7"] in rows
    assert "images: 12 gray 12x10\nimages: 1 RGB 30x10" in text
    assert "skipped: 1 (not an image file), such as notes.txt" in text
    assert "skipped: 1 (empty file), such as happy/y.png" in text


def test_a_layout_that_is_not_certain_is_explained(inspect, project):
    tree = images(*(f"S00{subject}/00{take}/1.png" for subject in "12" for take in "12"))
    message = "it cannot be told which class an image has: it has 4 images in folders"
    with pytest.raises(PipelineError, match=message):
        inspect(write_folder(project / "faces", tree))
    message = r"such as happy/face1\.png; other files: 1, such as a\.txt"
    with pytest.raises(PipelineError, match=message):
        inspect(write_folder(project / "empty", {"a.txt": b""}))


def test_a_layout_that_is_suggested_is_shown_with_its_params(inspect, project):
    lines = inspect(write_folder(project / "faces", JAFFE))
    assert lines[1].startswith("no layout is certain: ")
    assert CHANGE in lines


LIGHTS = images(
    *(
        f"{light}/P00{person}/{label}/{n}.png"
        for light in ("Dark", "Weak", "Strong")
        for person in (1, 2, 3)
        for label in ("fear", "happy")
        for n in (1, 2)
    )
)


def test_the_people_are_those_of_the_names_not_the_lights(inspect, project, write_params):
    source = write_folder(project / "faces", LIGHTS)
    lines = inspect(source)
    assert "subjects in file names: 3, such as P001, P002, P003" in lines
    assert pasted(lines)["split.group_by"] == "subject"
    own = r".*_(?P<subject>P\d+)_"
    write_params({"split.name_pattern": own})
    assert pasted(inspect(source, paths.PARAMS))["split.name_pattern"] == own


def test_parts_of_names_that_may_be_people_are_shown_and_not_taken(inspect, project):
    tree = images(
        *(f"{c}/{s}_{n}.png" for c in ("fear", "happy") for s in ("web", "film") for n in (1, 2))
    )
    lines = inspect(write_folder(project / "faces", tree))
    (line,) = [line for line in lines if line.startswith("parts of file names")]
    assert "that several classes share: 2, such as film, web; if they are people, set" in line
    assert pasted(lines)["split.group_by"] == "none"


def test_the_layout_of_the_present_params_is_tested(inspect, project, write_params):
    source = write_folder(project / "faces", dataset(3))
    write_params({"download.layout.classes": {"angry": "anger"}})
    lines = inspect(source, paths.PARAMS)
    assert any(line.startswith("\nclass ") and "anger " in line for line in lines)
    assert pasted(lines)["download.layout.classes"] == {"angry": "anger"}
    write_params({"download.layout.classes": {"angri": "anger"}})
    with pytest.raises(PipelineError, match="has no label 'angri'; did you mean 'angry'"):
        inspect(source, paths.PARAMS)


def test_classes_that_look_alike_are_a_warning(inspect, project):
    source = write_folder(project / "faces", dataset(3, classes=("angry", "anger", "happy ")))
    lines = inspect(source)
    assert [line for line in lines if line.startswith("WARNING: ")] == [
        "WARNING: 'happy ' is read as 'happy': blanks around a name do not count",
        "WARNING: classes look alike: anger and angry; to merge them, set download.layout.classes "
        "to {angry: 'anger'}",
    ]


def test_conversions_and_conflicts_name_their_keys(inspect, project, write_params):
    tree = dataset(3) | {"angry/x.png": png(99), "happy/x.png": png(99)}
    tree["happy/cmyk.jpg"] = encoded(noise(9, mode="RGB").convert("CMYK"), "JPEG")
    source = write_folder(project / "faces", tree)
    text = "\n".join(inspect(source))
    assert "WARNING: 2 images have the pixels of an image with another label" in text
    assert "; download.conflicts: drop leaves them out" in text
    assert "download.convert.cmyk converts it to RGB), such as happy/cmyk.jpg" in text
    write_params({"download.convert.cmyk": True})
    assert "WARNING: images were converted with loss: CMYK to RGB (1)" in inspect(
        source, paths.PARAMS
    )

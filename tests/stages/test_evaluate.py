import pandas as pd
import pytest

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.core.tables import write_table
from ferpipe.stages import evaluate


def test_the_subjects_are_those_of_the_split(project):
    rows = [("b/2.png", "b", "S2", "", "test"), ("a/1.png", "a", "S1", "", "train")]
    write_table(paths.SPLIT, pd.DataFrame(rows, columns=list(paths.SPLIT_COLUMNS)))
    assert evaluate.subjects_of(["a/1.png", "b/2.png"]) == ["S1", "S2"]
    with pytest.raises(PipelineError, match=r"data/split.csv does not list c/3.png, which is in"):
        evaluate.subjects_of(["a/1.png", "c/3.png"])


@pytest.mark.parametrize(("side", "images"), [(48, 64), (96, 64), ([96, 128], 36), (224, 11)])
def test_fewer_of_larger_images_are_predicted_at_once(side, images):
    assert evaluate.batch_size(side) == images

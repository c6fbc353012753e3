import hashlib

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.data.assigned import read_assigned

PARTS = [("S1", "train"), ("S2", "val"), ("S3", "test")]


@pytest.fixture
def read(tmp_path):
    """Read bytes as a file."""

    def run(data):
        (tmp_path / "folds.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_assigned(tmp_path / "folds.csv")

    return run


def test_the_committed_file_assigns_nothing(root):
    assert read_assigned(root / "data/assigned.csv") is None


@pytest.mark.parametrize("text", ["path,part", "subject\tfold\r\n", "\ufeffpath,part\n\n,\n"])
def test_a_file_without_rows_assigns_nothing(read, text):
    assert read(text) is None


@pytest.mark.parametrize(
    "data",
    [
        "subject,part\nS1,train\nS2,val\nS3,test\n",
        "part,subject\ntrain,S1\nval,S2\ntest,S3",
        "\ufeffSubject,Part\r\nS1,Training\r\nS2,Validation\r\nS3,TEST\r\n",
        "subject\tpart\nS1\ttrain\nS2\tval\nS3\ttest\n",
        "subject;part\nS1;train\nS2;val\nS3;test\n",
        '"subject", "part"\n"S1", "train"\n"S2", "valid"\n"S3", "testing"\n'.replace(", ", ","),
        " subject , part \n S1 , train \n\n S2 , dev \n S3 , test \n",
        "person,usage\nS1,Training\nS2,PublicTest\nS3,PrivateTest\n",
        "age,subject,split\n20,S1,train\n,S2,val\n7,S3,test\n",
        "subject\tpart\nS1\ttrain\nS2\tval\nS3\ttest\n".encode("utf-16"),
        "subject,part\rS1,train\rS2,val\rS3,test\r",
    ],
    ids=[
        *("plain", "order", "BOM", "tab", "semicolon", "quoted", "blanks", "synonyms", "columns"),
        *("UTF-16", "CR"),
    ],
)
def test_parts_are_read_as_people_write_them(read, data):
    found = read(data)
    assert (found.key, found.rows, found.folds) == ("subject", PARTS, None)
    content = data if isinstance(data, bytes) else data.encode()
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "folds", ["0 1 2", "1 2 3", "1.0 2.0 3.0", "fold_0 fold_1 fold_2", "01 02 3"]
)
@pytest.mark.parametrize("key", ["path", "sequence", "subject"])
def test_folds_begin_with_0_or_1(read, key, folds):
    first, second, third = folds.split()
    found = read(f"{key},fold\nb,{second}\na,{first}\nc,{third}\nd,{first}\n")
    assert (found.key, found.folds) == (key, 3)
    assert found.rows == [("b", 1), ("a", 0), ("c", 2), ("d", 0)]


def test_names_are_composed_as_in_the_index(read):
    assert read("path,fold\nfreude/u\u0308.png,0\nb,1\n").rows[0] == ("freude/ü.png", 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", " is empty; it should begin with a column path, sequence or subject, and a column"),
        ("S1,1\nS2,2\n", " should begin with a column path, sequence or subject, and a column "),
        ("subject,age\nS1,1\n", "; its columns are subject, age"),
        ("path,subject,part\na,S1,train\n", ", found path and subject; keep one of them"),
        ("path,fold,part\na,1,train\n", ", found fold and part; keep one of them"),
        ("subject,part\nS1,train\nS2,tests\n", ", line 3: part = 'tests' should be train, val or"),
        ("subject,part\nS1,\n", ", line 2: part = '' should be train, val or test"),
        ("subject,part\n,train\n", ", line 2: no subject"),
        ("subject,part\nS1\n", ", line 2: 1 values for 2 columns"),
        ("subject,part\nS1,train,x\n", ", line 2: 3 values for 2 columns"),
        ("subject,fold\nS1,a\n", ", line 2: fold = 'a' should be a number, from 0 or 1"),
        ("subject,fold\nS1,1.5\n", ", line 2: fold = '1.5' should be"),
        ("subject,fold\nS1,-1\n", ", line 2: fold = '-1' should be"),
        ("subject,fold\nS1,2\nS2,3\n", ": the folds should be numbered without a gap, from 0 or"),
        ("subject,fold\nS1,0\nS2,2\n", "; they are 0, 2"),
        ("subject,fold\nS1,1\nS2,1\n", "; they are 1"),
        (b"subject,part\n\xff,train\n", " is not UTF-8 ("),
        ('subject,part\n"S1,train\n', ", line 2: not CSV (unexpected end of data)"),
    ],
)
def test_what_is_wrong_is_one_clear_line(read, tmp_path, data, message):
    with pytest.raises(PipelineError) as error:
        read(data)
    assert message in str(error.value)
    assert f"{tmp_path}/folds.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_names_the_key(tmp_path):
    with pytest.raises(PipelineError, match=r"split.assigned = '.*no.csv': there is no such file;"):
        read_assigned(tmp_path / "no.csv")

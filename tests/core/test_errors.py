import errno

import pytest

from ferpipe.core.errors import PipelineError, exits_cleanly, one_line


def ends_with(error):
    @exits_cleanly("split")
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    "error",
    [PipelineError("no such key"), OSError("no such key"), PipelineError("no\n  such\tkey\n")],
)
def test_a_user_error_ends_in_one_line_and_exit_code_1(error, capsys):
    with pytest.raises(SystemExit) as end:
        ends_with(error)()
    assert end.value.code == 1
    assert capsys.readouterr() == ("", "split: error: no such key\n")


def test_an_interrupt_ends_in_exit_code_130(capsys):
    with pytest.raises(SystemExit) as end:
        ends_with(KeyboardInterrupt())()
    assert end.value.code == 130
    assert capsys.readouterr().err == "split: interrupted\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_the_error_of_a_full_disk_names_the_remedy(number, capsys):
    with pytest.raises(SystemExit):
        ends_with(OSError(number, "full", "data/split.csv"))()
    assert capsys.readouterr().err == (
        f"split: error: [Errno {number}] full: 'data/split.csv'; "
        "free some space or raise the limit, then run it again\n"
    )


def test_a_defect_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        ends_with(ZeroDivisionError())()


def test_an_error_without_a_message_is_named_by_its_type():
    assert one_line(EOFError()) == "EOFError"


MISSING = """
from ferpipe.core.errors import PipelineError, exits_cleanly

@exits_cleanly("split")
def main():
    {body}

main()
"""


def test_a_foreign_package_that_is_not_installed_is_one_line(run_python):
    done = run_python("-c", MISSING.format(body="import no_such_package.part"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("split: error: the package no_such_package is not installed")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "body", ["import ferpipe.core.erors", "from ferpipe.datta import images", "import ferpipe.x.y"]
)
def test_a_mistyped_import_of_our_own_is_a_defect_and_keeps_its_traceback(run_python, body):
    done = run_python("-c", MISSING.format(body=body))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "is not installed" not in done.stderr


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("raise PipelineError('no')", "PipelineError: no"),
        ("open('no/such/file')", "FileNotFoundError"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        (
            "try: 1 / 0\n    except ZeroDivisionError: raise PipelineError('no') from None",
            "ZeroDivisionError: division by zero",
        ),
    ],
)
def test_a_variable_shows_every_traceback(run_python, body, cause):
    done = run_python("-c", MISSING.format(body=body), FERPIPE_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert cause in done.stderr
    assert done.stderr.splitlines()[-1].startswith("split: error: ")

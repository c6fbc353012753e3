"""`ferpipe app` before its page is made; tests/pipeline/test_app_page.py opens it."""

import sys

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.tools import cli, serving


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken(host):
    with serving.listening(host, 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PipelineError, match=rf"^{host}:{port} .*choose another --port"):
            serving.listening(host, port)


@pytest.mark.parametrize("host", ["faces.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours(host):
    with pytest.raises(PipelineError, match=f"^{host}:0 cannot be listened on"):
        serving.listening(host, 0)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--model", "none.keras"], "none.keras is missing; run `dvc repro`, which makes it"),
        (["--model", "params.yaml"], "params.yaml is not a model file: File is not a zip file"),
        ([], '`ferpipe app` needs gradio: run `pip install ".[app]"`'),
    ],
)
def test_what_is_missing_is_told(project, monkeypatch, options, error):
    if not options:
        monkeypatch.setitem(sys.modules, "gradio", None)
    args = cli.parser().parse_args(["app", "--port", "0", *options])
    with pytest.raises(PipelineError) as refused:
        args.run(args)
    assert str(refused.value) == error


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none(port, capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["app", "--port", port])
    assert port in capsys.readouterr().err

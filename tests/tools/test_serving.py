"""`ferpipe app` before its page is made; tests/pipeline/test_app_page.py opens it."""

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.tools import serving


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

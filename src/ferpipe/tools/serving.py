"""`ferpipe app`: a page in the browser that predicts pictures, on this machine alone."""

from __future__ import annotations

import argparse
import importlib.util
import os
import socket
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from ferpipe.core.errors import PipelineError

if TYPE_CHECKING:
    from ferpipe.prediction.predictor import Predictor

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LARGEST = "50mb"  # of a picture's file
# What gradio and the library for its hub read when they are imported: they ask nothing of the
# network.
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def run(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        PipelineError: the model or the address cannot be used, or gradio is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise PipelineError('`ferpipe app` needs gradio: run `pip install ".[app]"`')
    with listening(args.host, args.port) as listener, tempfile.TemporaryDirectory() as folder:
        from ferpipe.prediction.predictor import Predictor  # imports TensorFlow

        predictor = Predictor.load(args.model, threshold=args.threshold)
        os.environ |= QUIET | {"GRADIO_TEMP_DIR": folder}
        _serve(predictor, listener, args.host)
    print("stopped")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; raises PipelineError if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # `socket.create_server` adds the address to the reason.
        reason = os.strerror(error.errno) if error.errno > 0 else error.strerror
        raise PipelineError(
            f"{host}:{port} cannot be listened on ({reason}); choose another --port or --host"
        ) from None


def _serve(predictor: Predictor, listener: socket.socket, host: str) -> None:
    import fastapi
    import gradio
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from ferpipe.prediction import app

    server = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if host in LOOPBACK:  # a page elsewhere that names this machine is refused
        server.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, "[::1]"])
    server = gradio.mount_gradio_app(
        server,
        app.page(predictor),
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=LARGEST,
        theme=gradio.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css_paths=app.TEMPLATES / "app.css",
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
    )
    address, port = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    print(f"open http://{shown}:{port} in a browser; Ctrl-C stops it", flush=True)
    if host not in LOOPBACK:
        print(f"WARNING: whoever reaches {host} can use it, without a password", flush=True)
    config = uvicorn.Config(server, log_level="critical", timeout_graceful_shutdown=1)
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has ended
        uvicorn.Server(config).run(sockets=[listener])

"""A stand-in for Kaggle on this machine, for the real client and with nothing patched in it.

It is an HTTPS proxy that answers for `api.kaggle.com` and `storage.googleapis.com` itself: the
client sends `CONNECT`, gets TLS with a certificate of the server's own authority, posts its
request, is redirected to a signed address and gets the zip from there, as it would from Kaggle.

To run the pipeline by hand against it, with `download.source: kaggle` in params.yaml:

    python tests/kaggle_server.py some.zip

It prints the environment variables to export in the other terminal.
"""

from __future__ import annotations

import contextlib
import json
import select
import shlex
import socket
import ssl
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

API = "api.kaggle.com"
STORAGE = "storage.googleapis.com"
INTROSPECT = "/v1/security.OAuthService/IntrospectToken"
DOWNLOAD = "/v1/datasets.DatasetApiService/DownloadDataset"
BLOB = "/blob"
CONNECT = "CONNECT"  # what is asked of a proxy, before any of these
# Whoever holds a signed address can download, so it must not be shown either.
SIGNATURE = "SECRET-signature-of-the-address"
# What could lead the client elsewhere, or make it find the credentials of whoever runs the tests.
FOREIGN = (
    *("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "XDG_CONFIG_HOME", "VERBOSE"),
    *("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"),
    *("KAGGLE_API_ENVIRONMENT", "KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_TOKEN"),
)


@dataclass(frozen=True)
class Request:
    """What the client asked for. `json` is the body of a POST, {} if it had none."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    json: dict


@dataclass(frozen=True)
class Reply:
    """How to answer one request otherwise than well.

    Attributes:
        status: an HTTP status; an error has a body as Kaggle sends it.
        body: what to send in place of the data set; None for the data set.
        content_type: of that body.
        headers: further ones, by name.
        length: the length of the body that is told; True for the true one, False for none.
        send: how many bytes of the body to send before the connection closes; None for all.
        pause: seconds before each byte of the body.
        drop: close the connection without an answer.
        reset: end it with a TCP reset, as a machine does that was switched off and on.
        hang: say nothing, or nothing after `send` bytes, until the client goes away or the server
            closes.
    """

    status: int = 200
    body: bytes | None = None
    content_type: str = "application/zip"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: bool | int = True
    send: int | None = None
    pause: float = 0.0
    drop: bool = False
    reset: bool = False
    hang: bool = False


class KaggleServer:
    """Serves data sets to the real client; use it as a context manager.

    Attributes:
        datasets: zips by "owner/name" or "owner/name/version", "*" for any; the others are a 404.
        requests: every request so far, in order.
        hung_up: set when a client went away while a reply hung.

    Example:
        >>> with KaggleServer({"someone/faces": zip_bytes}) as server:
        ...     server.answer(DOWNLOAD, Reply(status=503))  # the first request, then all is well
        ...     os.environ.update(server.environment)
        ...     ...  # download
        ...     assert len(server.asked(DOWNLOAD)) == 2
    """

    def __init__(self, datasets: Mapping[str, bytes] | None = None):
        self.datasets = dict(datasets or {})
        self.requests: list[Request] = []
        self.hung_up = threading.Event()
        self.closing = threading.Event()
        self._replies: dict[str, list[Reply]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="kaggle-server-")
        authority = trustme.CA()
        self._authority = Path(self._folder.name, "ca.pem")
        authority.cert_pem.write_to_path(str(self._authority))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(API, STORAGE).configure_cert(self.tls)
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.kaggle = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> KaggleServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
        self._folder.cleanup()

    def close(self) -> None:
        """Stop answering, before the end of the block."""
        if not self.closing.is_set():
            self.closing.set()
            self._http.shutdown()
            self._http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the client here."""
        proxy = f"http://127.0.0.1:{self._http.server_address[1]}"
        # requests reads both spellings, and takes the small one first
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "REQUESTS_CA_BUNDLE": str(self._authority),
        }

    def answer(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for `path` so, one reply each; those after them well."""
        self._replies.setdefault(path, []).extend(replies)

    def forget(self) -> None:
        """Answer well from now on."""
        self._replies.clear()

    def asked(self, path: str) -> list[Request]:
        """The requests for `path` so far."""
        return [request for request in self.requests if request.path.split("?")[0] == path]

    def next_reply(self, path: str) -> Reply:
        """Take the reply that is due for `path`."""
        due = self._replies.get(path)
        return due.pop(0) if due else Reply()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    kaggle: KaggleServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: tests kill them."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection: a CONNECT, then TLS, then requests to the host that it named."""

    protocol_version = "HTTP/1.1"
    server: _Server
    host = ""

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        reply = self.server.kaggle.next_reply(CONNECT)
        if reply != Reply():
            self._misbehave(reply)
            return
        self.send_response(200)
        self.end_headers()
        if self.host not in (API, STORAGE):
            raise ConnectionAbortedError(f"{self.host} is not served here")
        plain = self.connection
        self.connection = self.server.kaggle.tls.wrap_socket(plain, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        self._log(body)
        reply = self.server.kaggle.next_reply(self.path)
        if reply != Reply():
            self._misbehave(reply)
        elif (self.host, self.path) == (API, INTROSPECT):
            self._send_json(200, {"active": True, "username": "someone"})
        elif (self.host, self.path) == (API, DOWNLOAD):
            name = _dataset(body)
            if self._zip(name) is None:
                self._send_json(404, {"code": 404, "message": "Not found"})
                return
            self.send_response(302)
            address = f"https://{STORAGE}{BLOB}?name={name}&X-Goog-Signature={SIGNATURE}"
            self.send_header("Location", address)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_json(404, {"code": 404, "message": "No such method"})

    def do_GET(self) -> None:
        self._log({})
        reply = self.server.kaggle.next_reply(BLOB)
        query = parse_qs(urlsplit(self.path).query)
        body = self._zip(query["name"][0]) if reply.body is None else reply.body
        if reply.drop or reply.reset or reply.status != 200 or (reply.hang and reply.send is None):
            self._misbehave(reply)
            return
        # All of it, also where a range is asked for: a server may ignore that.
        self.send_response(200)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Last-Modified", "Tue, 01 Oct 2019 10:00:00 GMT")
        self.send_header("Accept-Ranges", "bytes")
        if reply.length is False:
            self.send_header("Connection", "close")
        else:
            told = len(body) if reply.length is True else reply.length
            self.send_header("Content-Length", str(told))
        self.end_headers()
        self._send_body(body[: reply.send], reply.pause)
        if reply.hang:
            self._misbehave(reply)
        if reply.length is not True or reply.send is not None:
            self.close_connection = True

    def _send_body(self, body: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(body)
            return
        for byte in body:
            if self.server.kaggle.closing.wait(pause):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                self.server.kaggle.hung_up.set()
                raise

    def _zip(self, name: str) -> bytes | None:
        datasets = self.server.kaggle.datasets
        return datasets.get(name, datasets.get("*"))

    def _log(self, body: dict) -> None:
        request = Request(self.host, self.command, self.path, dict(self.headers), body)
        self.server.kaggle.requests.append(request)

    def _misbehave(self, reply: Reply) -> None:
        if reply.hang:
            # What can be read from a client that awaits an answer is its end.
            while not self.server.kaggle.closing.wait(0.05):
                if select.select([self.connection], [], [], 0)[0]:
                    self.server.kaggle.hung_up.set()
                    break
        if reply.reset:
            # Closed at once, and what was not sent is thrown away.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if reply.hang or reply.drop or reply.reset:
            self.close_connection = True
        elif reply.body is not None:
            self._send(reply.status, reply.content_type, reply.body, reply.headers)
        else:
            error = {"code": reply.status, "message": "As the test says"}
            self._send(reply.status, "application/json", json.dumps(error).encode(), reply.headers)

    def _send_json(self, status: int, value: dict) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), {})

    def _send(
        self, status: int, content_type: str, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: tests read `KaggleServer.requests`."""


def _dataset(body: dict) -> str:
    """The key of `KaggleServer.datasets` that a DownloadDataset request asks for."""
    name = f"{body['ownerSlug']}/{body['datasetSlug']}"
    version = body.get("datasetVersionNumber")
    return f"{name}/{version}" if version else name


@pytest.fixture
def kaggle_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A server that this process's environment leads to, a fresh home, and no credentials."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))  # HOME on Windows
    with KaggleServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def main() -> None:
    """Serve one zip as every data set, until Ctrl-C."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/kaggle_server.py ZIP")
    with KaggleServer({"*": Path(sys.argv[1]).read_bytes()}) as server:
        print("unset NO_PROXY no_proxy")
        for name, value in {**server.environment, "KAGGLE_API_TOKEN": "any"}.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

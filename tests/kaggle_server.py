"""A local stand-in for Kaggle, for the real client with nothing patched in it.

It is an HTTPS proxy that answers for `api.kaggle.com` and `storage.googleapis.com` itself: the
client sends `CONNECT`, gets TLS with a certificate of the server's own authority, posts its
request, is redirected to a signed address and gets the zip from there, as it would from Kaggle.

`python tests/kaggle_server.py some.zip` serves the pipeline (`download.source: kaggle`) and prints
the environment variables to export in the other terminal.
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
from collections import defaultdict
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
COMPETITION = "/v1/competitions.CompetitionApiService/DownloadDataFiles"
BLOB = "/blob"
CONNECT = "CONNECT"  # the request to a proxy, before any of these
# A signed address is enough to download, so it must not be shown either.
SIGNATURE = "SECRET-signature-of-the-address"
# These could redirect the client, or give it the credentials of the user who runs the tests.
FOREIGN = (
    *("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "XDG_CONFIG_HOME", "VERBOSE"),
    *("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"),
    *("KAGGLE_API_ENVIRONMENT", "KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_TOKEN"),
)


@dataclass(frozen=True)
class Request:
    """A request of the client; `json` is the body of a POST, {} if it had none."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    json: dict


@dataclass(frozen=True)
class Reply:
    """The answer to one request; the defaults are the normal one."""

    status: int = 200  # an error has a body as Kaggle sends it
    body: bytes | None = None  # instead of the data set
    content_type: str = "application/zip"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: bool | int = True  # the declared length of the body; True: the true one, False: none
    send: int | None = None  # bytes of the body before the connection closes; None: all
    pause: float = 0.0  # seconds before each byte of the body
    drop: bool = False  # close the connection without an answer
    reset: bool = False  # end the connection with a TCP reset
    hang: bool = False  # send nothing more until the client or the server closes


class KaggleServer:
    """Serves data sets to the real client; use it as a context manager.

    Attributes:
        datasets: zips by "owner/name", "owner/name/version" or "competitions/name", "*" for any;
            the others are a 404.
        requests: every request so far, in order.
        hung_up: set when a client closed its connection while a reply hung.
    """

    def __init__(self) -> None:
        self.datasets: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.hung_up = threading.Event()
        self.closing = threading.Event()
        self._replies: dict[str, list[Reply]] = defaultdict(list)
        self._folder = tempfile.TemporaryDirectory(prefix="kaggle-server-")
        authority = trustme.CA()
        self._authority = Path(self._folder.name, "ca.pem")
        authority.cert_pem.write_to_path(str(self._authority))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(API, STORAGE).configure_cert(self.tls)
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.kaggle = self

    def __enter__(self) -> KaggleServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
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
        """The variables that make the client use this server."""
        proxy = f"http://127.0.0.1:{self._http.server_address[1]}"
        # requests reads both spellings, the lower one first
        proxies = {"HTTPS_PROXY": proxy, "https_proxy": proxy}
        return {**proxies, "REQUESTS_CA_BUNDLE": str(self._authority)}

    def answer(self, path: str, *replies: Reply) -> None:
        """Set the replies to the next requests for `path`; later ones get the normal reply."""
        self._replies[path] += replies

    def asked(self, path: str) -> list[Request]:
        """The requests for `path` so far."""
        return [request for request in self.requests if request.path.split("?")[0] == path]

    def next_reply(self, path: str) -> Reply:
        """Remove and return the next reply for `path`."""
        return self._replies[path].pop(0) if self._replies[path] else Reply()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    kaggle: KaggleServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Print no errors of closed connections: tests kill clients."""
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
            answer = json.dumps({"active": True, "username": "someone"})
            self._send(200, "application/json", answer.encode(), {})
        elif self.host == API and self.path in (DOWNLOAD, COMPETITION):
            competition = ("competitions", body.get("competitionName"))
            dataset = map(body.get, ("ownerSlug", "datasetSlug", "datasetVersionNumber"))
            parts = competition if self.path == COMPETITION else dataset
            name = "/".join(str(part) for part in parts if part)
            if self._zip(name) is None:
                self._misbehave(Reply(status=404))
                return
            address = f"https://{STORAGE}{BLOB}?name={name}&X-Goog-Signature={SIGNATURE}"
            self._send(302, "text/plain", b"", {"Location": address})
        else:
            self._misbehave(Reply(status=404))

    def do_GET(self) -> None:
        self._log({})
        reply = self.server.kaggle.next_reply(BLOB)
        query = parse_qs(urlsplit(self.path).query)
        body = self._zip(query["name"][0]) if reply.body is None else reply.body
        if reply.drop or reply.reset or reply.status != 200 or (reply.hang and reply.send is None):
            self._misbehave(reply)
            return
        # All of it, even if a range is requested: a server may ignore that.
        self.send_response(200)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Last-Modified", "Tue, 01 Oct 2019 10:00:00 GMT")
        self.send_header("Accept-Ranges", "bytes")
        if reply.length is False:
            self.send_header("Connection", "close")
        else:
            length = len(body) if reply.length is True else reply.length
            self.send_header("Content-Length", str(length))
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
            # A client that awaits an answer sends nothing: what can be read is its end.
            while not self.server.kaggle.closing.wait(0.05):
                if select.select([self.connection], [], [], 0)[0]:
                    self.server.kaggle.hung_up.set()
                    break
        if reply.reset:
            linger = struct.pack("ii", 1, 0)  # close at once and drop what was not sent
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if reply.hang or reply.drop or reply.reset:
            self.close_connection = True
        elif reply.body is not None:
            self._send(reply.status, reply.content_type, reply.body, reply.headers)
        else:
            error = {"code": reply.status, "message": "As the test says"}
            self._send(reply.status, "application/json", json.dumps(error).encode(), reply.headers)

    def _send(self, status: int, content_type: str, body: bytes, headers: Mapping) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def kaggle_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A server that this process's environment names, an empty home, and no credentials."""
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
    with KaggleServer() as server:
        server.datasets["*"] = Path(sys.argv[1]).read_bytes()
        print("unset NO_PROXY no_proxy")
        for name, value in {**server.environment, "KAGGLE_API_TOKEN": "any"}.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

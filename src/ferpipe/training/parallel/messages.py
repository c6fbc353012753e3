"""Messages between processes: JSON objects, one a line, over a socket."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from typing import Any

from ferpipe.training.parallel.group import LOOPBACK

# Both sides send something this often, in seconds; a side that is silent for longer has died.
BEAT, SILENCE = 3.0, 20.0
LONGEST = 2**20


class Peer:
    """The other end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._received = b""
        self._messages: deque[dict[str, Any]] = deque()
        self._heard = self._sent = time.monotonic()
        self._closed = False

    def fileno(self) -> int:
        """The file descriptor, for `selectors`."""
        return self._socket.fileno()

    @property
    def silent(self) -> bool:
        """Whether nothing has come for too long, though the connection is open."""
        return not self._closed and time.monotonic() - self._heard > SILENCE

    @property
    def lost(self) -> bool:
        """Whether nothing will come any more."""
        return self.silent or (self._closed and not self._messages)

    def send(self, **message: Any) -> None:
        """Send a message; a peer that is gone is noticed later."""
        self._sent = time.monotonic()
        try:
            self._socket.settimeout(BEAT)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._closed = True
        finally:
            if not self._closed:
                self._socket.setblocking(False)

    def beat(self) -> None:
        """Send a sign of life if it is time."""
        if time.monotonic() - self._sent > BEAT and not self._closed:
            self.send()

    def receive(self) -> dict[str, Any] | None:
        """The next message that has come; None if there is none."""
        self._read()
        return self._messages.popleft() if self._messages else None

    def _read(self) -> None:
        try:
            while not self._closed and (data := self._socket.recv(2**16)):
                self._heard = time.monotonic()
                self._received += data
            self._closed = True
        except BlockingIOError:
            pass
        except OSError:
            self._closed = True
        *lines, self._received = self._received.split(b"\n")
        try:
            messages = [dict(json.loads(line)) for line in lines]
        except (ValueError, TypeError):
            self._closed = True  # something else that uses this port
            return
        self._closed |= len(self._received) > LONGEST
        self._messages += filter(None, messages)  # a sign of life is empty

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """Listen at a port: on the loopback alone if `host` is that, otherwise at every address."""
    local = host in (LOOPBACK, "localhost")
    if local or not socket.has_dualstack_ipv6():
        return socket.create_server((LOOPBACK if local else "", port))
    return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)


def free_port(host: str) -> int:
    """A port that nothing uses now."""
    with listen(host, 0) as server:
        return server.getsockname()[1]

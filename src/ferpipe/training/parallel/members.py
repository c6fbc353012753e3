"""What process 0 knows of the other processes of its group: their connections and failures."""

from __future__ import annotations

import selectors
import socket
import sys

from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel import failures, messages
from ferpipe.training.parallel.failures import AGAIN, Failure

TICK = 0.2  # seconds


class Members:
    """The other processes.

    Args:
        server: where they connect.
        processes: of the group.
        facts: digests of what all must have alike.
    """

    def __init__(self, server: socket.socket, processes: int, facts: dict[str, str]) -> None:
        self.failures: list[Failure] = []
        self._server, self._processes, self._facts = server, processes, facts
        self._hosts = {0: socket.gethostname()}  # by process
        self._peers: dict[int, messages.Peer] = {}  # by process
        self._unknown: list[messages.Peer] = []  # those that have not said yet which they are
        server.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(server, selectors.EVENT_READ)

    @property
    def missing(self) -> list[int]:
        """The processes that have not come yet."""
        return sorted(set(range(1, self._processes)) - set(self._peers))

    def send(self, **message: object) -> None:
        """Send a message to all that have come."""
        for peer in self._peers.values():
            peer.send(**message)

    def end(self, line: str) -> None:
        """Tell all that this is the end, with an error or without one, and leave them."""
        for peer in (*self._peers.values(), *self._unknown):
            peer.send(end=line)
            peer.close()
        self._selector.close()

    def raise_cause(self) -> None:
        """Raise the failure that explains the others, if there is any, as a PipelineError."""
        if self.failures:
            failure = failures.cause(self.failures)
            if failure.details:
                print(failure.details, file=sys.stderr, flush=True)
            raise PipelineError(failure.line(self._hosts))

    def listen(self) -> None:
        """Handle what comes from them within a moment."""
        for key, _ in self._selector.select(TICK):
            if key.fileobj is self._server:
                self._accept()
        for peer in tuple(self._unknown):
            self._introduce(peer)
        for process, peer in self._peers.items():
            while message := peer.receive():
                if "failure" in message:
                    self.failures.append(Failure(**message["failure"]))
            if peer.lost and not any(failure.process == process for failure in self.failures):
                gone = "is not heard any more" if peer.silent else "has ended"
                self.failures.append(Failure(process, 1, f"{gone}; {AGAIN}"))
            peer.beat()

    def _accept(self) -> None:
        try:
            connection, _ = self._server.accept()
            peer = messages.Peer(connection)
        except OSError:
            return  # it has gone again
        self._unknown.append(peer)
        self._selector.register(peer, selectors.EVENT_READ)
        peer.send(facts=self._facts, processes=self._processes)

    def _introduce(self, peer: messages.Peer) -> None:
        """Take up a process that has said which one it is."""
        hello = peer.receive()
        if hello is None:
            if peer.lost:  # something else that has tried this port
                self._drop(peer)
            return
        process, host = hello.get("process"), str(hello.get("host", ""))
        if process not in range(1, self._processes) and not hello.get("error"):
            self._drop(peer)
        elif process in self._peers:
            peer.send(end=f"process 0 has another process {process}, at {self._hosts[process]}")
            self._drop(peer)
        elif error := hello.get("error"):
            self._hosts.setdefault(process, host)
            self.failures.append(Failure(process, 0, f"does not fit: {error}"))
        else:
            self._unknown.remove(peer)
            self._peers[process], self._hosts[process] = peer, host

    def _drop(self, peer: messages.Peer) -> None:
        self._selector.unregister(peer)
        self._unknown.remove(peer)
        peer.close()

import socket

import pytest

from ferpipe.training.parallel import messages
from ferpipe.training.parallel.messages import Peer


@pytest.fixture
def ends():
    """A peer, and the socket at its other end."""
    here, there = socket.socketpair()
    with here, there:
        yield Peer(here), there


def test_messages_arrive_in_order_and_signs_of_life_are_none(ends):
    peer, there = ends
    there.sendall(b'{"a": 1}\n{}\n{"b"')
    assert [peer.receive(), peer.receive()] == [{"a": 1}, None]
    there.sendall(': "ü"}\n'.encode())
    assert peer.receive() == {"b": "ü"}
    peer.send(end="")
    assert there.recv(100) == b'{"end": ""}\n'
    assert not peer.lost


def test_what_was_sent_before_a_connection_closes_is_read(ends):
    peer, there = ends
    there.sendall(b'{"a": 1}\n{"b": 2}\n{"half"')
    there.close()
    assert [peer.receive(), peer.receive()] == [{"a": 1}, {"b": 2}]
    assert peer.receive() is None
    assert peer.lost
    peer.send(a=1)  # to nobody


@pytest.mark.parametrize("data", [b"GET /\n", b"[1]\n", b"7\n", b"\xff\xfe\n", b"x" * 2**21])
def test_anything_else_ends_the_connection(ends, data):
    peer, there = ends
    there.setblocking(False)
    sent = 0
    while sent < len(data) and not peer.lost:
        sent += there.send(data[sent:])
        assert peer.receive() is None
    assert peer.lost
    assert not peer.silent


def test_a_silent_peer_is_lost_and_a_sign_of_life_is_sent_in_time(ends, monkeypatch):
    peer, there = ends
    now = [messages.time.monotonic()]
    monkeypatch.setattr(messages.time, "monotonic", lambda: now[0])
    peer.beat()
    now[0] += messages.BEAT + 1
    peer.beat()
    assert there.recv(100) == b"{}\n"
    now[0] += messages.SILENCE - messages.BEAT
    assert peer.silent
    assert peer.lost
    there.sendall(b"{}\n")
    assert peer.receive() is None
    assert not peer.lost


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "node0"])
def test_only_a_group_on_one_machine_listens_on_the_loopback_alone(host):
    with messages.listen(host, 0) as server:
        assert (server.getsockname()[0] == "127.0.0.1") == (host != "node0")
        with socket.create_connection(("127.0.0.1", server.getsockname()[1])):
            pass

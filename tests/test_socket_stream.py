"""A connection's stream: it reads and writes what there is, and gives up when the other side keeps it waiting."""

import socket
import threading
from collections.abc import Iterator

import pytest

from fake_server.socket_stream import SocketStream


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_octets_come_as_they_were_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = (SocketStream(connection, 5) for connection in pair)

    assert here.write(b"one two") == 7
    assert there.read(7) == b"one two"


def test_end_of_the_octets_is_no_error(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = SocketStream(pair[0], 5)

    pair[1].close()

    assert stream.read(1) == b""


def test_reading_gives_up(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = SocketStream(pair[0], 0.01)

    with pytest.raises(TimeoutError, match="^timed out$"):
        stream.read(1)


def test_writing_gives_up(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = SocketStream(pair[0], 0.01)

    with pytest.raises(TimeoutError, match="^timed out$"):
        stream.write(bytes(64 * 1024 * 1024))


def test_patience_can_be_changed_and_have_no_end(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = SocketStream(pair[0], 0.01)
    stream.wait_for(None)

    late = threading.Timer(0.05, pair[1].sendall, [b"x"])
    late.start()

    assert stream.read(1) == b"x"
    late.join()

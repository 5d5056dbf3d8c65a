"""What is left of servers, listeners and connections that are over: no thread, no file descriptor, no object."""

import contextlib
import gc
import os
import socket
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fake_server import AuthorizationServer, Listener, Options
from fake_server.dialects import Grant
from fake_server.key_source import KeySource
from fake_server.tls import CertificateAuthority
from pytest_sc_auth import ServerFactory

DESCRIPTORS = "/proc/self/fd"
RESET = struct.pack("ii", 1, 0)
FORM = b"grant_type=client_credentials&scope=ingr.api&client_id=one&client_secret=one-secret"
HEADER = (
    "POST /as/v1/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    f"Content-Length: {len(FORM)}\r\n\r\n"
).encode()
TOKEN_REQUEST = HEADER + FORM
LAST_REQUEST = TOKEN_REQUEST.replace(b"Host: x", b"Host: x\r\nConnection: close")
TIMES = 50


@pytest.fixture
def keys(keys: KeySource, monkeypatch: pytest.MonkeyPatch) -> KeySource:
    """The key that all listeners have: each of its own would cost each 50 ms."""
    monkeypatch.setattr("fake_server.listener.KeySource", lambda: keys)
    return keys


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener that runs."""
    with Listener() as listener:
        yield listener


@pytest.fixture(autouse=True)
def nothing_is_left(keys: KeySource, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compare the threads and the file descriptors after a test with those before it."""
    monkeypatch.setattr("fake_server.connection.Handler.timeout", 3600)  # it is not patience that ends a connection
    with Listener() as listener:  # what is loaded or made with the first one
        get_token(listener.serve(path="/as"))
        listener.unmount(listener.servers[0])
    gc.collect()
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    gc.collect()
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() <= descriptors


def open_descriptors() -> int:
    # The directory's own is among them, each time.
    return len(os.listdir(DESCRIPTORS)) if os.path.isdir(DESCRIPTORS) else 0


def get_token(server: AuthorizationServer) -> None:
    if "one" not in server.clients:
        server.register("one", "one-secret")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            server.token_url,
            data={"grant_type": "client_credentials", "scope": "ingr.api"},
            auth=("one", "one-secret"),
            verify=server.ca_file or True,
            timeout=20,
        )
    assert answer.status_code == 200


def growth_of(job: Callable[[], object], times: int) -> int:
    """Return by how much more objects there are after so many times than after half as many."""
    numbers = []
    for _ in range(2):
        for _ in range(times // 2):
            job()
        gc.collect()
        # Without what tells whether one is alive.
        numbers.append(sum(type(thing) is not weakref.ref for thing in gc.get_objects()))
    # coverage keeps a tracer for each thread.
    return 0 if "coverage" in sys.modules else numbers[1] - numbers[0]


def alive(seen: list["weakref.ref[Any]"]) -> list[Any]:
    return [thing for reference in seen if (thing := reference()) is not None]


# Servers


def test_nothing_is_left_of_2000_servers(listener: Listener) -> None:
    seen: list[weakref.ref[Any]] = []

    def mount() -> None:
        server = listener.serve(Options(token_format="opaque"))
        client = server.register()
        server.fail("hang")
        server.mint()
        seen.extend(map(weakref.ref, (server, server._state, server.journal, client)))
        listener.unmount(server)

    growth = growth_of(mount, 2000)

    assert alive(seen) == []
    assert listener.servers == ()
    assert growth < 100


def test_nothing_is_left_of_servers_that_were_asked(listener: Listener) -> None:
    seen: list[weakref.ref[Any]] = []

    def ask() -> None:
        server = listener.serve()
        seen.extend(map(weakref.ref, (server, server._state)))
        get_token(server)
        listener.unmount(server)
        wait_for_connections(listener)

    growth = growth_of(ask, 200)

    assert alive(seen) == []
    assert growth < 100


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_nothing_is_left_of_a_factory_with_2000_servers(tls: bool, tmp_path: Path) -> None:
    urls = {"token_url": "https://idp.example.com/v1/token", "api_url": "https://sc.example.com/api"}
    surroundings = dict(os.environ)
    factory = ServerFactory({}, urls=urls)
    seen: list[weakref.ref[Any]] = []
    kept = factory.make(tls=tls)

    def make() -> None:
        server = factory.make(tls=tls)
        seen.extend(map(weakref.ref, (server, server._state)))
        factory.stop(server)

    growth = growth_of(make, 2000)
    servers = alive(seen)
    factory.close()

    assert servers == []
    assert growth < 100
    assert factory.servers == ()
    assert kept.ca_file is None or not os.path.exists(kept.ca_file)
    assert dict(os.environ) == surroundings


# Listeners


def test_nothing_is_left_of_200_listeners() -> None:
    seen: list[weakref.ref[Any]] = []

    def start() -> None:
        with Listener() as listener, connect(listener) as connection:
            connection.sendall(HEADER)
            get_token(listener.serve())
            assert listener._running is not None
            seen.extend(map(weakref.ref, (listener, listener.servers[0], listener._running)))

    growth = growth_of(start, 200)

    assert alive(seen) == []
    assert growth < 100


def test_nothing_is_left_of_20_listeners_of_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[weakref.ref[Any]] = []

    def start() -> None:
        authority = CertificateAuthority()
        with Listener(tls=authority) as listener, connect(listener) as connection:
            connection.sendall(b"\x16\x03\x01")
            get_token(listener.serve(Options(tls=True)))
            seen.extend(map(weakref.ref, (listener, authority, authority.context)))
        authority.close()

    growth = growth_of(start, 20)

    assert alive(seen) == []
    assert list(tmp_path.iterdir()) == []
    assert growth < 100


def test_nothing_is_left_of_a_port_that_was_shut_and_opened(listener: Listener) -> None:
    server = listener.serve(path="/as")

    def restart() -> None:
        with connect(listener) as connection:
            connection.sendall(HEADER)
            server.down()
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        server.up()

    growth = growth_of(restart, 100)

    get_token(server)
    assert growth < 100


# Connections


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(listener.url.rpartition(":")[2])), timeout=20)


def ask_once(listener: Listener) -> None:
    """Get an answer on a new connection, before which all earlier ones are accepted."""
    with connect(listener) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass


def wait_for_connections(listener: Listener) -> None:
    """Wait until no connection is served, by a listener that runs; all of them are to end by themselves."""
    assert (running := listener._running) is not None
    with running._changes:
        assert running._changes.wait_for(lambda: not running._serving, timeout=20)


def join_threads(listener: Listener) -> None:
    """Wait for the threads of a listener that was stopped; the one that stopped it ends by itself."""
    for thread in threading.enumerate():
        if thread.name == f"fake_server-{listener._bound_port}":
            thread.join(timeout=20)
            assert not thread.is_alive()


SENT: dict[str, bytes] = {
    "nothing": b"",
    "half-a-header": HEADER[:40],
    "half-a-body": TOKEN_REQUEST[:-9],
    "a-request": TOKEN_REQUEST,
}
# The fault that a whole request meets, with its settings.
FAULTS: dict[str, dict[str, Any]] = {
    "hang": {},
    "slow": {"delay": 0.001},
    "dripping": {"delay": 0.001},
    "connection_reset": {},
    "no_response": {},
    "cut_off": {},
}
DROPS = [
    *[pytest.param(octets, None, {}, id=f"after-{name}") for name, octets in SENT.items()],
    *[pytest.param(TOKEN_REQUEST, name, settings, id=name) for name, settings in FAULTS.items()],
]


@contextlib.contextmanager
def served(tls: bool = False) -> Iterator[tuple[Listener, AuthorizationServer]]:
    """A listener with a server at /as, which knows the client of the requests."""
    authority = CertificateAuthority() if tls else None
    with Listener(tls=authority) as listener:
        server = listener.serve(path="/as")
        server.register("one", "one-secret")
        yield listener, server
    if authority is not None:
        authority.close()


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("octets", "fault", "settings"), DROPS)
def test_nothing_is_left_of_connections_that_clients_drop(
    octets: bytes, fault: str | None, settings: dict[str, Any], is_reset: bool
) -> None:
    with served() as (listener, server):
        if fault is not None:
            server.fail(fault, times=None, **settings)

        def drop() -> None:
            with connect(listener) as connection:
                if is_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.sendall(octets)
            ask_once(listener)
            wait_for_connections(listener)

        growth = growth_of(drop, TIMES)

        assert growth < TIMES + 50  # the journal grows


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01\x02", HEADER], ids=["nothing", "half-a-handshake", "http"])
def test_nothing_is_left_of_handshakes_that_clients_drop(octets: bytes) -> None:
    with served(tls=True) as (listener, server):

        def drop() -> None:
            with connect(listener) as connection:
                connection.sendall(octets)
            get_token(server)
            wait_for_connections(listener)

        growth = growth_of(drop, 20)

        assert growth < TIMES + 50


HELD_UP: list[Any] = [
    *[pytest.param(octets, {}, id=f"after-{name}") for name, octets in SENT.items()],
    pytest.param(TOKEN_REQUEST, {"fault": "hang"}, id="hang"),
    pytest.param(TOKEN_REQUEST, {"fault": "slow", "delay": 3600}, id="slow"),
    pytest.param(TOKEN_REQUEST, {"fault": "dripping", "delay": 3600}, id="dripping"),
]


@pytest.mark.parametrize(("octets", "armed"), HELD_UP)
def test_nothing_is_left_of_connections_that_clients_keep(octets: bytes, armed: dict[str, Any]) -> None:
    threads = set(threading.enumerate())
    with contextlib.ExitStack() as stack, served() as (listener, server):
        if armed:
            server.fail(times=None, **armed)
        for _ in range(TIMES):
            stack.enter_context(connect(listener)).sendall(octets)
        ask_once(listener)

        listener.stop()

        assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("armed", [param.values[1] for param in HELD_UP[-3:]], ids=["hang", "slow", "dripping"])
def test_nothing_is_left_of_answers_whose_server_is_unmounted(armed: dict[str, Any]) -> None:
    with contextlib.ExitStack() as stack, served() as (listener, server):
        server.fail(times=None, **armed)
        for _ in range(TIMES):
            stack.enter_context(connect(listener)).sendall(LAST_REQUEST)
        ask_once(listener)

        listener.unmount(server)

        wait_for_connections(listener)


@pytest.mark.parametrize("end", [Listener.unmount, lambda listener, _: listener.stop()], ids=["unmount", "stop"])
@pytest.mark.parametrize("armed", [param.values[1] for param in HELD_UP[-3:]], ids=["hang", "slow", "dripping"])
def test_request_whose_server_ends_before_its_fault_waits_for_nothing(
    armed: dict[str, Any], end: Callable[[Listener, AuthorizationServer], None]
) -> None:

    def end_server(grant: Grant) -> dict[str, Any]:
        end(listener, server)
        return {}

    with Listener() as listener:
        server = listener.serve(Options(claims=end_server), path="/as")
        server.register("one", "one-secret")
        server.fail(times=None, **armed)

        with connect(listener) as connection:
            connection.sendall(LAST_REQUEST)
            while connection.recv(65536):
                pass

        listener.stop()
        join_threads(listener)

"""Transport faults over real sockets: how the connection behaves, for raw sockets, http.client and requests."""

import base64
import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from fake_server import FAULTS, AuthorizationServer, Listener, Reason
from fake_server.key_source import KeySource
from fake_server.socket_server import SocketServer
from fake_server.waiting import Waiting

NoThreads = Callable[[], contextlib.AbstractContextManager[None]]

BASIC = "Basic " + base64.b64encode(b"smart-client:smart-secret").decode()
FORM = "grant_type=client_credentials&scope=ingr.api"
ENDPOINTS = pytest.mark.parametrize("endpoint", ["token", "api"])


@pytest.fixture
def listener(keys: KeySource) -> Iterator[Listener]:
    """A listener that runs, whose key is made already; no thread of its connections is left at the end."""
    with Listener(keys=keys) as listener:
        yield listener
    assert threads_of(listener) == []


@pytest.fixture
def server(listener: Listener) -> AuthorizationServer:
    """A server that the listener serves, with one client."""
    server = listener.serve(path="/as")
    server.register("smart-client", "smart-secret")
    return server


def threads_of(listener: Listener) -> list[threading.Thread]:
    """Return the threads of a listener, of one that was stopped, too."""
    return [thread for thread in threading.enumerate() if thread.name == f"fake_server-{listener._bound_port}"]


def wait_for_connections(listener: Listener) -> None:
    """Wait until no connection is served; all of them are to end by themselves."""
    assert (running := listener._running) is not None
    with running._changes:
        assert running._changes.wait_for(lambda: not running._serving, timeout=5)


def join_threads(listener: Listener) -> None:
    """Wait for the threads of a listener that was stopped or shut; the one that did it ends by itself."""
    for thread in threads_of(listener):
        thread.join(timeout=5)
    assert threads_of(listener) == []


def port_of(listener: Listener) -> int:
    return int(listener.url.rpartition(":")[2])


def request_of(server: AuthorizationServer, endpoint: str, method: str | None = None) -> bytes:
    """Return a good request to the token endpoint or the API, as it goes over the wire."""
    if endpoint == "token":
        head = [f"POST /as/v1/token HTTP/1.1\r\nHost: x\r\nAuthorization: {BASIC}"]
        head += [f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(FORM)}\r\n\r\n{FORM}"]
    else:
        path = "/as" + server.api.url.partition("/as")[2]
        head = [f"{method or 'GET'} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.mint()}\r\n\r\n"]
    return "\r\n".join(head).encode()


def send(listener: Listener, octets: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port_of(listener)), timeout=5)
    connection.sendall(octets)
    return connection


def exchange(listener: Listener, octets: bytes) -> bytes:
    """Return all that the server sends until it closes the connection."""
    with send(listener, octets) as connection, connection.makefile("rb") as answer:
        return answer.read()


def get_token(server: AuthorizationServer, timeout: float = 5, **settings: Any) -> requests.Response:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    settings = {"auth": ("smart-client", "smart-secret"), **settings}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(server.token_url, data=form | settings.pop("more", {}), timeout=timeout, **settings)


def wait_until_it_hangs(connection: socket.socket) -> None:
    connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(5)


def length_of(answer: bytes) -> int:
    (line,) = [line for line in answer.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    return int(line.partition(b": ")[2])


# How the connection ends


@ENDPOINTS
def test_reset_connection_sends_a_reset_and_no_answer(
    listener: Listener, server: AuthorizationServer, endpoint: str
) -> None:
    server.fail("connection_reset", on=endpoint)

    with send(listener, request_of(server, endpoint)) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


@ENDPOINTS
def test_connection_without_response_ends_in_order(
    listener: Listener, server: AuthorizationServer, endpoint: str
) -> None:
    server.fail("no_response", on=endpoint)

    assert exchange(listener, request_of(server, endpoint)) == b""


@ENDPOINTS
def test_answer_cut_off_has_its_header_and_half_its_body(
    listener: Listener, server: AuthorizationServer, endpoint: str
) -> None:
    server.fail("cut_off", on=endpoint)

    header, blank, body = exchange(listener, request_of(server, endpoint)).partition(b"\r\n\r\n")

    assert (header.split(b"\r\n")[0], blank) == (b"HTTP/1.1 200 OK", b"\r\n\r\n")
    assert len(body) == (length_of(header) - 1) // 2 > 20
    assert b"Connection: close" in header


@pytest.mark.parametrize(
    ("method", "response", "last"),
    [
        ("HEAD", lambda: Response("onetwo"), b"\r\n\r"),
        ("GET", lambda: Response(status=204), b"\r\n\r"),
        ("GET", lambda: Response([b"one", b"two"], direct_passthrough=True), b"\r\n\r\non"),
        ("GET", lambda: Response(iter(["one", "two"])), b"\r\n\r\non"),
    ],
    ids=["head", "no-content", "passthrough", "stream"],
)
def test_answer_without_body_or_length_is_cut_off_too(
    listener: Listener, server: AuthorizationServer, method: str, response: Callable[[], Response], last: bytes
) -> None:
    server.api.get("/", lambda request, claims: response())
    server.fail("cut_off", on="api")

    answer = exchange(listener, request_of(server, "api", method).replace(b"v1 HTTP", b"v1/ HTTP"))

    assert answer.startswith(b"HTTP/1.1 20")
    assert answer.endswith(last)


@ENDPOINTS
def test_dripping_answer_is_whole_and_comes_octet_by_octet(
    listener: Listener, server: AuthorizationServer, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    sendall = socket.socket.sendall

    def record(connection: socket.socket, data: bytes, *flags: int) -> None:
        if connection.getsockname()[1] == port_of(listener):
            sent.append(bytes(data))
        sendall(connection, data, *flags)

    octets = request_of(server, endpoint)
    monkeypatch.setattr(socket.socket, "sendall", record)
    server.fail("dripping", on=endpoint)

    answer = exchange(listener, octets)

    assert {len(octet) for octet in sent} == {1}
    assert b"".join(sent) == answer
    assert len(answer.partition(b"\r\n\r\n")[2]) == length_of(answer)


def test_dripping_answer_comes_at_once_when_it_is_released(listener: Listener, server: AuthorizationServer) -> None:
    server.fail("dripping", delay=60)

    with send(listener, request_of(server, "token")) as connection, connection.makefile("rb") as answer:
        first = answer.read(1)
        server.release()
        rest = answer.read()

    assert (first + rest).startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b"}")


@ENDPOINTS
def test_slow_answer_comes_after_its_delay(listener: Listener, server: AuthorizationServer, endpoint: str) -> None:
    server.fail("slow", on=endpoint, delay=0.1)

    begun = time.monotonic()
    with send(listener, request_of(server, endpoint)) as connection:
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert time.monotonic() - begun >= 0.1
    assert b"Connection: close" not in answer


def test_refused_request_does_not_end_the_connection(listener: Listener, server: AuthorizationServer) -> None:
    server.fail([503, "truncated_json", "redirect"])
    octets = request_of(server, "token")

    with send(listener, octets * 4) as connection, connection.makefile("rb") as answer:
        connection.shutdown(socket.SHUT_WR)
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer.read())

    assert statuses == [b"503", b"200", b"307", b"200"]


@pytest.mark.parametrize(
    ("name", "by_http_client", "by_requests"),
    [
        ("hang", TimeoutError, requests.ReadTimeout),
        ("connection_reset", ConnectionResetError, requests.ConnectionError),
        ("no_response", http.client.RemoteDisconnected, requests.ConnectionError),
        ("cut_off", http.client.IncompleteRead, requests.exceptions.ChunkedEncodingError),
        ("slow", None, None),
        ("dripping", None, None),
    ],
)
def test_client_libraries_see_what_they_would_of_a_real_server(
    listener: Listener,
    server: AuthorizationServer,
    name: str,
    by_http_client: type[Exception] | None,
    by_requests: type[Exception] | None,
) -> None:
    server.fail(name, times=2)
    timeout = 0.1 if name == "hang" else 5
    headers = {"Authorization": BASIC, "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port_of(listener), timeout=timeout)

    def ask() -> tuple[int, bytes]:
        connection.request("POST", "/as/v1/token", FORM, headers)
        response = connection.getresponse()
        return response.status, response.read()

    assert outcome(ask) is by_http_client
    assert outcome(lambda: get_token(server, timeout)) is by_requests
    connection.close()
    assert get_token(server).status_code == 200


def outcome(ask: Callable[[], object]) -> type[Exception] | None:
    """Return the type of what a call raises, or None."""
    try:
        ask()
    except Exception as error:
        return type(error)
    return None


def test_every_transport_fault_is_tested() -> None:
    tested = {"slow", "hang", "connection_reset", "no_response", "cut_off", "dripping"}

    assert {name for name, fault in FAULTS.items() if fault.transport} == tested


@pytest.mark.parametrize(("name", "delay"), [("dripping", 0.01), ("hang", 0), ("slow", 0.2)])
def test_client_that_leaves_ends_the_fault_without_a_word(
    listener: Listener, server: AuthorizationServer, name: str, delay: float, capfd: pytest.CaptureFixture[str]
) -> None:
    server.fail(name, delay=delay)

    with send(listener, request_of(server, "token")) as connection:
        connection.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)
        connection.sendall(b"GET")
    wait_for_connections(listener)

    assert capfd.readouterr() == ("", "")


# Until the test ends


@ENDPOINTS
def test_hung_connection_ends_at_unmount(listener: Listener, server: AuthorizationServer, endpoint: str) -> None:
    server.fail("hang", on=endpoint)

    with send(listener, request_of(server, endpoint)) as connection:
        wait_until_it_hangs(connection)
        listener.unmount(server)
        assert connection.recv(1) == b""

    wait_for_connections(listener)


def test_connection_that_would_hang_after_unmount_ends_at_once(listener: Listener, server: AuthorizationServer) -> None:
    def unmount(request: Request, claims: Any) -> Response:
        listener.unmount(server)
        return Response()

    server.api.get("/", unmount)
    server.fail("hang", on="api")

    assert exchange(listener, request_of(server, "api").replace(b"v1 HTTP", b"v1/ HTTP")) == b""


def test_hung_connection_ends_when_the_listener_stops(listener: Listener, server: AuthorizationServer) -> None:
    server.fail("hang")

    with send(listener, request_of(server, "token")) as connection:
        wait_until_it_hangs(connection)
        listener.stop()
        assert connection.recv(1) == b""

    assert threads_of(listener) == []


def test_stop_waits_for_a_thread_whose_connection_is_closed_already(
    listener: Listener, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, may_end = threading.Event(), threading.Event()
    serve = SocketServer._serve

    def serve_and_linger(self: SocketServer, connection: socket.socket, address: Any) -> None:
        serve(self, connection, address)
        closed.set()
        may_end.wait(5)

    monkeypatch.setattr(SocketServer, "_serve", serve_and_linger)
    send(listener, request_of(server, "token")).close()
    assert closed.wait(5)
    stopping = threading.Thread(target=listener.stop)
    stopping.start()
    stopping.join(0.1)

    assert stopping.is_alive()
    may_end.set()
    stopping.join(5)
    assert threads_of(listener) == []


def test_connection_that_comes_at_the_stop_is_closed_unserved(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = SocketServer.get_request

    def accept_late(self: SocketServer) -> tuple[socket.socket, Any]:
        accepted = accept(self)
        stopping.start()
        while not self._is_stopping:
            stopping.join(0.001)
        return accepted

    stopping = threading.Thread(target=listener.stop)
    monkeypatch.setattr(SocketServer, "get_request", accept_late)

    assert exchange(listener, b"") == b""

    stopping.join(5)
    assert threads_of(listener) == []


def test_threads_serve_one_connection_after_the_other(listener: Listener, server: AuthorizationServer) -> None:
    last = request_of(server, "token").replace(b"Host: x", b"Host: x\r\nConnection: close")

    for _ in range(20):
        assert exchange(listener, last).startswith(b"HTTP/1.1 200 OK\r\n")
        wait_for_connections(listener)

    assert len(threads_of(listener)) == 2


def test_threads_of_many_connections_end_but_for_a_few(listener: Listener) -> None:
    running = listener._running
    assert running is not None
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(send(listener, b""))
        exchange(
            listener, b"GET / HTTP/1.0\r\n\r\n"
        )  # a later connection: when it is answered, the others are accepted
        assert len(threads_of(listener)) > 40

    wait_for_connections(listener)
    for thread in running._leaving:
        thread.join(5)
    assert len(threads_of(listener)) == 8


def test_connection_waits_for_a_thread_where_the_system_gives_no_other(
    listener: Listener, server: AuthorizationServer, no_threads: NoThreads
) -> None:
    with (
        no_threads(),
        send(listener, b"") as first,
        send(listener, b""),
        send(listener, request_of(server, "token")) as waiting,
    ):
        wait_until_it_hangs(waiting)
        first.close()

        assert waiting.makefile("rb").read(15) == b"HTTP/1.1 200 OK"


def test_nothing_is_left_of_a_listener_that_gets_no_thread(keys: KeySource, no_threads: NoThreads) -> None:
    listener = Listener(keys=keys)
    with no_threads():
        with pytest.raises(RuntimeError, match="can't start new thread"):
            listener.start()

    assert not listener.is_running
    with listener:
        assert exchange(listener, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("end", [Listener.shut, Listener.stop], ids=["shut", "stop"])
def test_nobody_can_connect_while_the_end_waits_for_a_route(
    listener: Listener, server: AuthorizationServer, end: Callable[[Listener], None]
) -> None:
    is_asked, may_answer = threading.Event(), threading.Event()

    def wait(request: Request, claims: Any) -> Response:
        is_asked.set()
        may_answer.wait(5)
        return Response()

    server.api.get("/", wait)
    address = "127.0.0.1", port_of(listener)
    ending = threading.Thread(target=end, args=(listener,))
    with send(listener, request_of(server, "api").replace(b"v1 HTTP", b"v1/ HTTP")) as connection:
        assert is_asked.wait(5)
        ending.start()
        assert connection.recv(1) == b""  # the end has begun, and shuts down what is served last

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)

        assert ending.is_alive()
        may_answer.set()
        ending.join(5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt])
def test_application_that_raises_ends_its_connection_and_costs_no_thread(
    listener: Listener, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(environ: Any, start_response: Any) -> Any:
        raise error

    threads = threads_of(listener)
    with monkeypatch.context() as patch:
        patch.setattr(server, "wsgi_app", fail)
        assert [exchange(listener, request_of(server, "token")) for _ in range(5)] == [b""] * 5

    assert threads_of(listener) == threads
    assert get_token(server).status_code == 200


def test_wait_is_cut_short_for_all_that_wait_and_for_nobody_later() -> None:
    waiting = Waiting()
    threads = [threading.Thread(target=waiting.wait, args=(60,)) for _ in range(3)]

    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        waiting.release()

    begun = time.monotonic()
    waiting.wait(0.05)
    assert time.monotonic() - begun >= 0.05


# Nobody listens


def test_server_that_is_down_refuses_connections_and_comes_back_at_its_port(
    listener: Listener, server: AuthorizationServer
) -> None:
    other = listener.serve(path="/other")
    url = listener.url

    with send(listener, request_of(server, "api")) as connection:
        connection.recv(65536)
        server.down()
        assert connection.recv(1) == b""  # a connection there was has ended
    for one in (server, other):
        with pytest.raises(requests.ConnectionError, match="Connection refused"):
            requests.get(one.jwks_uri, timeout=5)

    server.up()
    assert listener.url == url
    assert get_token(server).status_code == 200
    assert requests.get(other.jwks_uri, timeout=5).status_code == 200


def test_going_down_twice_or_coming_up_unasked_changes_nothing(listener: Listener, server: AuthorizationServer) -> None:
    server.up()
    server.down()
    server.down()
    assert (server.is_down, listener.is_running) == (True, True)

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(listener)), timeout=5)
    server.up()
    server.up()

    assert get_token(server).status_code == 200


def test_down_ends_a_hung_connection(listener: Listener, server: AuthorizationServer) -> None:
    server.fail("hang")

    with send(listener, request_of(server, "token")) as connection:
        wait_until_it_hangs(connection)
        server.down()
        assert connection.recv(1) == b""


def test_server_that_is_still_down_when_another_comes_up_gives_no_answer(
    listener: Listener, server: AuthorizationServer
) -> None:
    other = listener.serve(path="/other")
    server.down()
    other.down()

    other.up()

    assert requests.get(other.jwks_uri, timeout=5).status_code == 200
    assert exchange(listener, request_of(server, "token")) == b""


def test_unmounted_server_leaves_the_door_open_but_not_anothers(
    listener: Listener, server: AuthorizationServer
) -> None:
    bystander, other = listener.serve(), listener.serve(path="/other")
    server.down()

    listener.unmount(bystander)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port_of(listener)), timeout=5)
    listener.unmount(server)

    assert requests.get(other.jwks_uri, timeout=5).status_code == 200


def test_listener_stops_while_its_server_is_down(listener: Listener, server: AuthorizationServer) -> None:
    server.down()

    listener.stop()
    listener.start()
    server.up()

    assert listener.is_running
    assert b'"access_token"' in exchange(
        listener, request_of(server, "token").replace(b"Host", b"Connection: close\r\nHost")
    )


# Redirects


@pytest.mark.parametrize(
    ("settings", "along"),
    [
        ({}, "without its credentials"),
        (
            {"auth": None, "more": {"client_id": "smart-client", "client_secret": "smart-secret"}},
            "with its credentials",
        ),
    ],
    ids=["basic", "in-the-body"],
)
def test_requests_follows_a_redirect_and_takes_the_body_along(
    server: AuthorizationServer, settings: dict[str, Any], along: str
) -> None:
    server.fail("redirect")

    response = get_token(server, **settings)

    assert [(answer.status_code, answer.request.method) for answer in response.history] == [(307, "POST")]
    assert response.url.startswith("http://localhost:")
    assert (response.status_code, server.journal[-1].reason) == (400, Reason.REDIRECT_FOLLOWED)
    assert str(server.journal[-1].diagnosis).endswith(along)


def test_client_that_does_not_follow_leaves_no_trace(server: AuthorizationServer) -> None:
    server.fail("redirect")

    response = get_token(server, allow_redirects=False)

    assert (response.status_code, server.journal.total) == (307, 1)


def test_server_that_its_own_route_takes_down_comes_back(listener: Listener, server: AuthorizationServer) -> None:
    server.api.get("/down", lambda request, claims: server.down())
    headers = {"Authorization": f"Bearer {server.mint()}"}

    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.api.url}/down", headers=headers, timeout=5)
    join_threads(listener)  # the route's own thread shuts the door
    with pytest.raises(requests.ConnectionError):
        requests.get(server.jwks_uri, timeout=5)
    server.up()

    assert requests.get(server.jwks_uri, timeout=5).status_code == 200


def test_no_server_is_made_while_another_is_down(listener: Listener, server: AuthorizationServer) -> None:
    server.down()

    with pytest.raises(RuntimeError, match=r"is down, and with it the port that all servers share; call its up\(\)"):
        listener.serve()

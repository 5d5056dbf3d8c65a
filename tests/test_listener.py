"""The listener: what it serves over real sockets, what it makes of bad input, and what it leaves behind."""

import base64
import errno
import gc
import http.client
import logging
import os
import re
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Response

from fake_server import AuthorizationServer, Listener, Options
from fake_server.key_source import KeySource

TOKEN = "/as/v1/token"
JWKS = "/as/v1/keys"
BASIC = "Authorization: Basic " + base64.b64encode(b"smart-client:smart-secret").decode()
FORM = "Content-Type: application/x-www-form-urlencoded"
BODY = b"grant_type=client_credentials&scope=ingr.api"
LENGTH = f"Content-Length: {len(BODY)}"
MANY = "&".join(f"{n:x}" for n in range(10_000))
RESET = struct.pack("ii", 1, 0)


@pytest.fixture
def server(listener: Listener) -> AuthorizationServer:
    """A server that the listener serves."""
    return listener.serve(path="/as")


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session, closed at the end; the surroundings' proxies do not count."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def port_of(listener: Listener) -> int:
    return int(listener.url.rpartition(":")[2])


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(listener)), timeout=5)


def exchange(listener: Listener, octets: bytes, *, half_close: bool = False) -> bytes:
    """Return all that the server sends until it closes the connection."""
    with connect(listener) as connection, connection.makefile("rb") as answer:
        connection.sendall(octets)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return answer.read()


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def get_token(session: requests.Session, server: AuthorizationServer) -> requests.Response:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    return session.post(server.token_url, data=form, auth=("smart-client", "smart-secret"), timeout=5)


def request(*headers: str, body: bytes = b"", line: str = f"POST {TOKEN} HTTP/1.1") -> bytes:
    return "\r\n".join([line, "Host: x", "Connection: close", *headers, "", ""]).encode("latin-1") + body


def chunked(body: bytes) -> bytes:
    return request(BASIC, FORM, "Transfer-Encoding: chunked", body=body)


# What is served


@pytest.mark.usefixtures("client")
def test_token_got_over_the_socket_opens_the_api(server: AuthorizationServer, session: requests.Session) -> None:
    token = get_token(session, server).json()["access_token"]

    response = session.get(server.api.url + "/Tags", headers={"Authorization": f"Bearer {token}"}, timeout=5)

    assert response.status_code == 200
    assert response.json()["path"] == "/Tags"
    assert server.api_requests[-1].client_id == "smart-client"


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
@pytest.mark.parametrize("url", ["{root}/as/.well-known/{name}", "{root}/.well-known/{name}/as"])
def test_metadata_is_found_in_both_places(
    listener: Listener, server: AuthorizationServer, session: requests.Session, url: str, name: str
) -> None:
    metadata = session.get(url.format(root=listener.url, name=name), timeout=5).json()

    assert metadata["issuer"] == server.issuer == f"{listener.url}/as"
    assert metadata["token_endpoint"] == server.token_url == listener.url + TOKEN
    assert metadata["jwks_uri"] == server.jwks_uri == listener.url + JWKS


@pytest.mark.usefixtures("client")
def test_requests_are_answered_at_the_same_time(listener: Listener, server: AuthorizationServer) -> None:
    meeting = threading.Barrier(2, timeout=5)
    server.api.get("/meet", lambda request, claims: meeting.wait() >= 0)
    line = f"GET {server.api.url.removeprefix(listener.url)}/meet HTTP/1.1"
    octets = request(f"Authorization: Bearer {server.mint()}", line=line)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(exchange, [listener] * 2, [octets] * 2))

    assert [statuses(answer) for answer in answers] == [[200], [200]]


# The connection


def test_connection_is_kept_even_after_a_body_that_nobody_read(listener: Listener, server: AuthorizationServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(listener), timeout=5)
    answers = []

    for method, path, body in [
        ("POST", "/nowhere", "x" * 9999),
        ("POST", JWKS, "GET / HTTP/1.1\r\n"),
        ("GET", JWKS, ""),
    ]:
        connection.request(method, path, body)
        used = connection.sock
        response = connection.getresponse()
        answers.append((response.status, len(response.read()) > 0, connection.sock is used))

    connection.close()
    assert answers == [(404, True, True), (405, True, True), (200, True, True)]


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET {} HTTP/1.1", "Connection: close"),
        ("GET {} HTTP/1.1", "Connection: TE, Close"),
        ("GET {} HTTP/1.0", "X: y"),
    ],
    ids=["asked-for", "in-a-list", "http-1.0"],
)
@pytest.mark.usefixtures("server")
def test_connection_is_closed(listener: Listener, line: str, headers: str) -> None:
    answer = exchange(listener, f"{line.format(JWKS)}\r\n{headers}\r\n\r\n".encode())

    assert statuses(answer) == [200]
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.usefixtures("server")
def test_connection_of_http_1_0_is_kept_where_the_client_asks_for_it(listener: Listener) -> None:
    first = f"GET {JWKS} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n".encode()

    assert statuses(exchange(listener, first + request())) == [200, 400]


@pytest.mark.usefixtures("server")
def test_answer_is_one_write(listener: Listener, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    sendall = socket.socket.sendall

    def record(connection: socket.socket, data: bytes, *flags: int) -> None:
        if connection.getsockname()[1] == port_of(listener):
            sent.append(bytes(data))
        sendall(connection, data, *flags)

    monkeypatch.setattr(socket.socket, "sendall", record)

    response = session.get(listener.url + JWKS, timeout=5)

    (octets,) = sent
    assert octets.startswith(b"HTTP/1.1 200 OK\r\n")
    assert octets.endswith(b"\r\n\r\n" + response.content)


def test_head_has_the_length_and_no_body(listener: Listener, server: AuthorizationServer) -> None:
    head, get = [exchange(listener, request(line=f"{method} {JWKS} HTTP/1.1")) for method in ("HEAD", "GET")]

    header, _, body = head.partition(b"\r\n\r\n")
    assert re.findall(rb"Content-Length: \d+", header) == re.findall(rb"Content-Length: \d+", get)
    assert body == b""


class Unmeasured(Response):
    """A response that leaves its length to the server."""

    automatically_set_content_length = False


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("response", "length"),
    [
        (lambda: Unmeasured("onetwo"), "6"),
        (lambda: Response(iter(["one", "two"])), "6"),
        (lambda: Response([b"onetwo"], direct_passthrough=True), "6"),
        (lambda: Response(status=204), None),
    ],
    ids=["unmeasured", "stream", "passthrough", "no-content"],
)
def test_answer_ends_where_its_length_says(
    server: AuthorizationServer, session: requests.Session, response: Callable[[], Response], length: str | None
) -> None:
    server.api.get("/answer", lambda request, claims: response())
    headers = {"Authorization": f"Bearer {server.mint()}"}

    answers = [session.get(server.api.url + "/answer", headers=headers, timeout=5) for _ in range(2)]

    assert [answer.headers.get("Content-Length") for answer in answers] == [length, length]
    assert {answer.text for answer in answers} == {"onetwo" if length else ""}


@pytest.mark.usefixtures("client")
def test_pipelined_requests_are_answered_in_their_order(listener: Listener, server: AuthorizationServer) -> None:
    first = f"POST {TOKEN} HTTP/1.1\r\n{BASIC}\r\n{FORM}\r\n{LENGTH}\r\n\r\n".encode() + BODY
    second = f"GET {JWKS} HTTP/1.1\r\n\r\n".encode()

    answer = exchange(listener, first + second + request())

    assert statuses(answer) == [200, 200, 400]
    assert answer.index(b'"access_token"') < answer.index(b'"keys"')


@pytest.mark.usefixtures("client")
def test_client_that_expects_100_sends_its_body_after_it(listener: Listener, server: AuthorizationServer) -> None:
    with connect(listener) as connection, connection.makefile("rb") as answer:
        connection.sendall(request(BASIC, FORM, LENGTH, "Expect: 100-continue"))
        interim = answer.readline() + answer.readline()
        connection.sendall(BODY)
        final = answer.read()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(final) == [200]


# Bad input

BAD: list[Any] = [
    pytest.param(request(f"X: {'a' * 65536}"), [431], id="header-of-64-kib"),
    pytest.param(request(*["X: y"] * 101), [431], id="too-many-headers"),
    pytest.param(request(line=f"GET /{'a' * 65536} HTTP/1.1"), [414], id="target-of-64-kib"),
    pytest.param(
        request(BASIC, FORM, f"Content-Length: {len(BODY) + len(MANY) + 1}", body=BODY + b"&" + MANY.encode()),
        [200],
        id="10000-parameters",
    ),
    pytest.param(
        request(BASIC, FORM, LENGTH, body=BODY, line=f"POST {TOKEN}?{MANY} HTTP/1.1"), [200], id="10000-in-the-query"
    ),
    pytest.param(request(line="GET /as/\0 HTTP/1.1"), [404], id="nul-in-path"),
    pytest.param(request(line="GET /as/%00 HTTP/1.1"), [404], id="encoded-nul-in-path"),
    pytest.param(request(FORM, LENGTH, "Authorization: Basic \0", body=BODY), [401], id="nul-in-header"),
    pytest.param(request(BASIC, FORM, "X\0: y", LENGTH, body=BODY), [400], id="nul-in-header-name"),
    pytest.param(request(BASIC, FORM, "nothing", LENGTH, body=BODY), [400], id="header-without-colon"),
    pytest.param(request(BASIC, FORM, ": nameless", LENGTH, body=BODY), [400], id="header-without-name"),
    pytest.param(request(BASIC, FORM, "X : y", LENGTH, body=BODY), [400], id="blank-before-colon"),
    pytest.param(request(BASIC, FORM, "X: y", " folded", LENGTH, body=BODY), [400], id="folded-header"),
    pytest.param(request(BASIC, FORM, "X: y\rz", LENGTH, body=BODY), [400], id="bare-carriage-return"),
    pytest.param(request(BASIC, FORM, FORM, LENGTH, body=BODY), [400], id="two-content-types"),
    pytest.param(
        request(BASIC, FORM, LENGTH).replace(b"\r\n", b"\n") + BODY, [200], id="lines-that-end-in-a-line-feed-alone"
    ),
    pytest.param(request(line="GET /as/\xff HTTP/1.1"), [404], id="not-utf-8-in-path"),
    pytest.param(request(line="GET /as/%FF HTTP/1.1"), [404], id="encoded-not-utf-8-in-path"),
    pytest.param(request(FORM, LENGTH, "Authorization: Basic \xff\xfe", body=BODY), [401], id="not-utf-8-in-header"),
    pytest.param(chunked(b"2c\r\n" + BODY + b"\r\n0\r\n\r\n"), [200], id="chunked"),
    pytest.param(
        chunked(b"a;x=y\r\n" + BODY[:10] + b"\r\n22\r\n" + BODY[10:] + b"\r\n0\r\nTrailer: x\r\n\r\n"),
        [200],
        id="chunked-with-extension-and-trailer",
    ),
    pytest.param(
        request(BASIC, FORM, "Content-Length: 3", "Transfer-Encoding: chunked") + b"2c\r\n" + BODY + b"\r\n0\r\n\r\n",
        [200],
        id="chunked-with-a-length",
    ),
    pytest.param(chunked(b"0\r\n\r\n"), [400], id="chunked-and-empty"),
    pytest.param(chunked(b"xyz\r\n"), [400], id="chunk-size-not-a-number"),
    pytest.param(chunked(b"-5\r\nabcde\r\n0\r\n\r\n"), [400], id="chunk-size-negative"),
    pytest.param(chunked(b"3\r\nabcde\r\n0\r\n\r\n"), [400], id="chunk-longer-than-announced"),
    pytest.param(chunked(b"1000001\r\nabc"), [413], id="chunk-too-large"),
    pytest.param(request(BASIC, FORM), [400], id="no-content-length"),
    *[
        pytest.param(request(BASIC, FORM, f"Content-Length: {length}", body=BODY), [status], id=f"length-{name}")
        for name, length, status in [
            ("minus-one", "-1", 400),
            ("negative", "-44", 400),
            ("not-a-number", "many", 400),
            ("signed", "+44", 400),
            ("not-ascii", "4\xb2", 400),
            ("empty", "", 400),
            ("a-list", "44, 44", 400),
            ("too-large", "16777217", 413),
            ("of-5000-digits", "9" * 5000, 400),
        ]
    ],
    pytest.param(request(BASIC, FORM, LENGTH, "Content-Length: 99", body=BODY), [400], id="two-lengths"),
    pytest.param(f"GET {JWKS}\r\n".encode(), [400], id="http-0.9"),
    pytest.param(request(BASIC, FORM, LENGTH, body=BODY, line=f"POST {TOKEN} HTTP/1.0"), [200], id="http-1.0"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400], id="http-2"),
    pytest.param(b"GET / HTTX/1.1\r\n\r\n", [400], id="no-http"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n", [400], id="tls"),
    pytest.param(b"GET /a b HTTP/1.1\r\n\r\n", [400], id="blank-in-target"),
    pytest.param(
        request(BASIC, FORM, LENGTH, body=BODY, line=f"POST http://x{TOKEN} HTTP/1.1"), [200], id="absolute-form"
    ),
    pytest.param(request(line="GET http://[ HTTP/1.1"), [400], id="absolute-form-broken"),
    pytest.param(request(line=f"GET {'/a' * 32000} HTTP/1.1"), [404], id="32000-path-segments"),
    pytest.param(request(line="OPTIONS * HTTP/1.1"), [404], id="asterisk-form"),
    pytest.param(request(line=f"G\0T {JWKS} HTTP/1.1"), [405], id="method-unknown"),
]
CUT_SHORT: list[Any] = [
    pytest.param(request(BASIC, FORM, "Content-Length: 99", body=BODY), [400], id="body"),
    pytest.param(chunked(b""), [400], id="before-the-chunks"),
    pytest.param(chunked(b"2c\r\n" + BODY[:9]), [400], id="chunk"),
    pytest.param(chunked(b"1000000\r\nabc"), [400], id="large-chunk"),
    pytest.param(chunked(b"2c\r\n" + BODY + b"\r\n0\r\n"), [400], id="trailer"),
    pytest.param(f"POST {TOKEN} HTTP/1.1\r\nX".encode(), [400], id="header"),
    pytest.param(b"POST", [400], id="request-line"),
    pytest.param(b"", [], id="nothing"),
]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("octets", "expected"), BAD)
def test_bad_input_is_answered_at_once_and_not_by_a_5xx(
    listener: Listener, octets: bytes, expected: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    answer = exchange(listener, octets)
    listener.stop()

    assert statuses(answer) == expected
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(("octets", "expected"), CUT_SHORT)
def test_request_cut_short_is_refused(
    listener: Listener, octets: bytes, expected: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    answer = exchange(listener, octets, half_close=True)
    listener.stop()

    assert statuses(answer) == expected
    assert capfd.readouterr() == ("", "")


def test_refusal_of_the_listener_is_json(listener: Listener) -> None:
    header, _, body = exchange(listener, request("Content-Length: 1", "Content-Length: 3")).partition(b"\r\n\r\n")

    assert header.decode().split("\r\n") == [
        "HTTP/1.1 400 Bad Request",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    assert body.decode() == (
        '{"error":"invalid_request","error_description":"the request cannot be read: Content-Length is \'1, 3\'"}'
    )


def test_client_that_sends_too_large_a_body_gets_the_answer(
    server: AuthorizationServer, session: requests.Session
) -> None:
    response = session.post(server.token_url, data=bytes(20 * 1024 * 1024), timeout=5)

    assert response.status_code == 413


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("octets", [b"", BODY[:9], BODY], ids=["before-its-body", "in-its-body", "before-the-answer"])
def test_client_that_resets_the_connection_disturbs_nobody(
    listener: Listener, octets: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(listener) as connection:
        connection.sendall(request(BASIC, FORM, LENGTH, body=octets))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    assert statuses(exchange(listener, request(BASIC, FORM, LENGTH, body=BODY))) == [200]
    listener.stop()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("octets", "expected"), [(b"GET", []), (request(LENGTH), [400])], ids=["header", "body"])
def test_client_that_sends_nothing_more_is_let_go(
    listener: Listener, octets: bytes, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_server.connection.Handler.timeout", 0.01)

    assert statuses(exchange(listener, octets)) == expected


@pytest.mark.usefixtures("client")
def test_log_has_no_query(listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "fake_server")

    exchange(listener, request(line=f"POST {TOKEN}?client_secret=smart-secret HTTP/1.1"))
    listener.stop()

    assert caplog.messages == [f"POST {TOKEN}: 400 BAD REQUEST"]


# Mounting


def test_servers_have_paths_and_clients_of_their_own(listener: Listener, session: requests.Session) -> None:
    one, other = listener.serve(), listener.serve()
    one.register("smart-client", "smart-secret")

    answers = [get_token(session, server).status_code for server in (one, other)]

    assert answers == [200, 401]
    assert one.issuer != other.issuer
    assert [len(server.token_requests) for server in (one, other)] == [1, 1]
    assert listener.servers == (one, other)
    assert repr(listener) == f"<Listener {listener.url}, 2 servers>"


def test_unmounted_server_is_gone_and_the_others_stay(
    listener: Listener, server: AuthorizationServer, session: requests.Session
) -> None:
    other = listener.serve(path="/other")

    listener.unmount(server)
    listener.unmount(server)
    gone, there = [session.get(of.jwks_uri, timeout=5) for of in (server, other)]

    assert listener.servers == (other,)
    assert (gone.status_code, there.status_code) == (404, 200)
    assert gone.json() == {
        "error": "not_found",
        "error_description": "No authorization server is mounted at this path: its test is over, or the URL is wrong.",
    }


@pytest.mark.parametrize("path", ["", "/", "/one", "/one/", "/a.b/c-d_e/~f"])
def test_path_can_be_chosen(listener: Listener, session: requests.Session, path: str) -> None:
    server = listener.serve(path=path)

    assert server.issuer == listener.url + path.rstrip("/")
    assert session.get(server.jwks_uri, timeout=5).status_code == 200


@pytest.mark.parametrize(
    "path", ["as", "as/one", "/a b", "/ü", "/a?b", "/a//b", "/a%20b", "/a\n", "/.", "/a/../b", "/.."]
)
def test_path_that_no_request_could_have_is_refused(listener: Listener, path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be used; write a slash before each word, as in /as/one$"):
        listener.serve(path=path)


def test_path_that_is_taken_is_refused(listener: Listener, server: AuthorizationServer) -> None:
    with pytest.raises(ValueError, match="^a server is mounted at '/as' already; choose another path$"):
        listener.serve(path="/as/")

    listener.unmount(server)
    assert listener.serve(path="/as") is not server


def test_innermost_mount_answers_and_only_for_whole_segments(listener: Listener, session: requests.Session) -> None:
    servers = [listener.serve(path=path) for path in ("/as", "", "/as/one")]

    for path in ("/as/one/x", "/as/x", "/as/ones", "/asx", "/as", "/"):
        session.get(listener.url + path, timeout=5)

    seen = [[exchange.path for exchange in server.journal] for server in servers]
    assert seen == [["/x", "/ones", "/"], ["/asx", "/"], ["/x"]]


@pytest.mark.usefixtures("eager_threads")
def test_threads_mount_and_unmount_at_the_same_time(listener: Listener) -> None:
    others = [listener.serve() for _ in range(500)]

    def mount(_: int) -> list[int]:
        server = listener.serve()
        answer = exchange(listener, request(line=f"GET {server.jwks_uri.removeprefix(listener.url)} HTTP/1.1"))
        listener.unmount(server)
        return statuses(answer)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(mount, range(100)))

    assert answers == [[200]] * 100
    assert listener.servers == tuple(others)


# Starting and stopping


def test_stopped_listener_has_no_url_and_serves_nothing() -> None:
    listener = Listener()

    assert not listener.is_running
    assert repr(listener) == "<Listener stopped, 0 servers>"
    with pytest.raises(RuntimeError, match=r"^the listener is not running; call start\(\) first$"):
        listener.serve()


def test_second_start_and_second_stop_change_nothing(listener: Listener) -> None:
    url = listener.url

    listener.start()
    assert (listener.is_running, listener.url) == (True, url)
    listener.stop()
    listener.stop()
    assert not listener.is_running


@pytest.mark.usefixtures("client")
def test_restarted_listener_serves_what_it_had(listener: Listener, session: requests.Session) -> None:
    listener.stop()

    listener.start()

    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    response = session.post(listener.url + TOKEN, data=form, auth=("smart-client", "smart-secret"), timeout=5)
    assert response.status_code == 200


def test_busy_port_is_named(listener: Listener) -> None:
    port = port_of(listener)

    with pytest.raises(OSError, match=f"port {port} of 127.0.0.1") as caught:
        Listener(port=port).start()

    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == (
        f"port {port} of 127.0.0.1 cannot be opened ({os.strerror(errno.EADDRINUSE)}); "
        "end the program that uses it, or take port 0 for a free one"
    )


def test_ipv6_address_gets_an_ipv6_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def create_server(address: tuple[str, int], *, family: int, backlog: int) -> socket.socket:
        asked.append((address, family))
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(socket, "create_server", create_server)

    with pytest.raises(OSError, match="port 8400 of ::1"):
        Listener("::1", 8400).start()
    assert asked == [(("::1", 8400), socket.AF_INET6)]


TAKE_ANOTHER = "take an address of this machine, such as 127.0.0.1"


def test_address_of_another_machine_is_told_from_a_busy_port() -> None:
    with pytest.warns(UserWarning, match="can be reached"), pytest.raises(OSError, match="192.0.2.1") as caught:
        Listener("192.0.2.1").start()

    why = os.strerror(errno.EADDRNOTAVAIL)
    assert caught.value.strerror == f"port 0 of 192.0.2.1 cannot be opened ({why}); {TAKE_ANOTHER}"


def test_name_that_is_not_known_is_told_from_a_busy_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(_self: socket.socket, _address: object) -> None:  # which would ask the network
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket.socket, "bind", bind)

    with pytest.warns(UserWarning, match="can be reached"), pytest.raises(OSError, match="idp.test") as caught:
        Listener("idp.test").start()

    assert caught.value.strerror == f"port 0 of idp.test cannot be opened (Name or service not known); {TAKE_ANOTHER}"


NO_HOST = "cannot be used: it takes an address, such as 127.0.0.1"
NO_PORT = "cannot be used: it takes a whole number from 0 to 65535"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"host": ""}, f"host='' {NO_HOST}"),  # a socket would take it for all interfaces
        ({"host": None}, f"host=None {NO_HOST}"),
        ({"host": b"127.0.0.1"}, f"host=b'127.0.0.1' {NO_HOST}"),
        ({"host": "http://127.0.0.1"}, f"host='http://127.0.0.1' {NO_HOST}"),
        ({"host": "unix:///tmp/socket"}, f"host='unix:///tmp/socket' {NO_HOST}"),
        ({"host": "127.0.0.1 "}, f"host='127.0.0.1 ' {NO_HOST}"),
        ({"host": "[::1]"}, f"host='[::1]' {NO_HOST}"),
        ({"host": "a" * 64}, f"host='{'a' * 64}' {NO_HOST}"),
        ({"port": "8400"}, f"port='8400' {NO_PORT}"),
        ({"port": 70_000}, f"port=70000 {NO_PORT}"),
        ({"port": -1}, f"port=-1 {NO_PORT}"),
        ({"port": None}, f"port=None {NO_PORT}"),
        ({"port": True}, f"port=True {NO_PORT}"),
        ({"port": 1.5}, f"port=1.5 {NO_PORT}"),
        ({"tls": True}, "tls=True cannot be used: it takes a CertificateAuthority, which is in fake_server.tls"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, dict) else "",
)
def test_listener_that_cannot_be_is_an_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Listener(**arguments)


def test_tls_of_the_options_alone_is_an_error_and_mounts_nothing(listener: Listener) -> None:
    with pytest.raises(ValueError, match=r"^tls=True cannot be used: this listener speaks http; make it with tls="):
        listener.serve(Options(tls=True))

    assert listener.servers == ()


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "octets",
    [b"", b"GET /as", request(LENGTH), f"GET {JWKS} HTTP/1.1\r\n\r\n".encode()],
    ids=["new", "in-the-header", "before-the-body", "idle"],
)
def test_stop_ends_the_connections_whatever_they_do(listener: Listener, octets: bytes) -> None:
    port = port_of(listener)

    with connect(listener) as connection, connection.makefile("rb") as answer:
        connection.sendall(octets)
        exchange(listener, request())  # a later connection: when it is answered, the first one is accepted
        listener.stop()
        answer.read()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_stop_waits_for_all_routes_together(
    listener: Listener, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_server.socket_server._PATIENCE", 0.1)
    meeting, over = threading.Barrier(21, timeout=5), threading.Event()
    server.register()
    server.api.get("/wait", lambda request, claims: [meeting.wait(), over.wait(5)])
    line = f"GET {server.api.url.removeprefix(listener.url)}/wait HTTP/1.1"
    octets = request(f"Authorization: Bearer {server.mint()}", line=line)

    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(exchange, [listener] * 20, [octets] * 20)
        meeting.wait()
        begun = time.perf_counter()
        listener.stop()
        waited = time.perf_counter() - begun
        over.set()

    assert list(answers) == [b""] * 20
    assert 0.1 <= waited < 1


@pytest.mark.usefixtures("listener")
def test_nothing_is_left_behind(keys: KeySource) -> None:
    gc.collect()
    threads = set(threading.enumerate())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Listener() as listener, connect(listener) as connection:
            listener.serve(path="/as")
            exchange(listener, request(line=f"GET {JWKS} HTTP/1.1"))
            with pytest.raises(OSError, match="cannot be opened"):
                Listener(port=port_of(listener)).start()
            connection.sendall(b"GET")
        del listener
        gc.collect()

    assert caught == []
    assert set(threading.enumerate()) <= threads


def test_start_and_stop_take_a_few_milliseconds(listener: Listener) -> None:
    starts, stops = [], []

    for _ in range(10):
        begun = time.perf_counter()
        listener.stop()
        stopped = time.perf_counter()
        listener.start()
        starts.append(time.perf_counter() - stopped)
        stops.append(stopped - begun)

    # The best of ten: the machine may be busy with something else.
    assert min(starts) < 0.005
    assert min(stops) < 0.01

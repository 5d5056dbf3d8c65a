"""Many threads at once, by the loopback door and by interception: every answer is right, and so is the journal."""

import base64
import contextlib
import json
import re
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests

from fake_server import AuthorizationServer, Credentials, Listener, Options, RegisteredClient

pytestmark = pytest.mark.usefixtures("eager_threads")

THREADS = 64
# Of ten requests each; coverage makes threads that take turns so often ten times as slow.
MANY, FEW = (2, 1) if "coverage" in sys.modules else (20, 4)
TOKEN_URL = "https://idp.example.com/oauth2/aus1/v1/token"
API_URL = "https://sc.example.com/sc/datalake/v1"

Headers = dict[str, str]
# Sends a request, and returns the status and the body of its answer.
Send = Callable[[str, str, Headers, bytes], tuple[int, bytes]]
Connect = Callable[[], contextlib.AbstractContextManager[Send]]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many threads may be kept from a machine that is busy for longer than a server waits for its clients."""
    monkeypatch.setattr("fake_server.connection.Handler.timeout", 60)


def in_threads(job: Callable[[int], Any]) -> list[Any]:
    """Run a job in all threads, which begin together; an error in one is raised here."""
    start = threading.Barrier(THREADS, timeout=60)

    def begin(number: int) -> Any:
        start.wait()
        return job(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


@contextlib.contextmanager
def over_a_socket(url: str) -> Iterator[Send]:
    """Send on one connection, kept alive; a client of few lines, as the machine's time is to be the server's."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:

        def send(method: str, url: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
            lines = [f"{method} {urlsplit(url).path} HTTP/1.1", *(f"{name}: {headers[name]}" for name in headers)]
            connection.sendall("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
            head, _, payload = connection.recv(65536).partition(b"\r\n\r\n")
            (length,) = re.findall(rb"\r\nContent-Length: (\d+)", head)
            assert len(payload) == int(length)  # headers and body are one write
            return int(head.split()[1]), payload

        yield send


@contextlib.contextmanager
def by_requests() -> Iterator[Send]:
    """Send by a session of requests, whose calls a server intercepts."""
    with requests.Session() as session:
        session.trust_env = False

        def send(method: str, url: str, headers: Headers, body: bytes) -> tuple[int, bytes]:
            answer = session.request(method, url, headers=headers, data=body, timeout=60)
            return answer.status_code, answer.content

        yield send


class Shared:
    """A client that all threads use, and one disables and enables: what a request may get depends on when it came."""

    def __init__(self, client: RegisteredClient) -> None:
        self.client = client
        # 200 or 401, or both while it changes.
        self._eras: list[set[int]] = [{200}]

    def toggle(self) -> None:
        self._eras.append({200, 401})
        if self.client.enabled:
            self.client.disable()
        else:
            self.client.enable()
        self._eras.append({200 if self.client.enabled else 401})

    def ask(self, user: "User") -> bool:
        """Ask for a token, check the answer by the eras it can be of, and tell whether there was only one answer."""
        since = len(self._eras) - 1
        status = user.ask(self.client.client_id, self.client.client_secret)
        allowed: set[int] = set().union(*self._eras[since:])
        assert status in allowed
        return len(allowed) == 1


class User:
    """One thread's work with clients of its own, whose state it knows, and so every answer; it keeps a diary."""

    def __init__(self, server: AuthorizationServer, credentials: Credentials, name: str, send: Send) -> None:
        self._server = server
        self._urls = credentials
        self._name = name
        self._send = send
        self._token = ""
        self.tokens: list[str] = []
        # By client id, endpoint and status of each answer.
        self.diary: dict[str, list[tuple[str, int]]] = defaultdict(list)

    def ask(self, client_id: str, client_secret: str) -> int:
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        form = urlencode({"grant_type": "client_credentials", "scope": self._urls.scope}).encode()
        status, body = self._send("POST", self._urls.token_url, headers, form)
        if status == 200:
            self._token = json.loads(body)["access_token"]
            self.tokens.append(self._token)
        self.diary[client_id].append(("token", status))
        return status

    def call(self, client_id: str, path: str = "/Tags") -> int:
        status, body = self._send("GET", self._urls.api_url + path, {"Authorization": f"Bearer {self._token}"}, b"")
        if status == 200:
            assert json.loads(body)["path"] == path
        self.diary[client_id].append(("api", status))
        return status

    def go_round(self, number: int) -> None:
        """Send nine requests for a client that is registered, rotates its secret, is disabled and enabled meanwhile."""
        if number % 5 == 0:
            self._client = self._server.register(f"{self._name}x{number}", f"secret{number}")
        client = self._client
        name, first = client.client_id, client.client_secret
        answers = [self.ask(name, first), self.ask(name, "wrong"), self.call(name)]
        client.rotate_secret()
        answers += [self.ask(name, first), self.ask(name, client.client_secret)]
        client.disable()
        answers += [self.ask(name, client.client_secret), self.call(name)]
        client.enable()
        answers += [self.call(name)]
        self._server.revoke(self._token)
        answers += [self.call(name)]
        assert answers == [200, 401, 200, 401, 200, 401, 401, 200, 401]

    def renew(self) -> None:
        """Lose a token, as its revocation shows, and renew it once."""
        client = self._server.register(self._name)
        answers = [self.ask(client.client_id, client.client_secret), self.call(client.client_id)]
        self._server.revoke(self._token)
        answers += [self.call(client.client_id), self.ask(client.client_id, client.client_secret)]
        answers += [self.call(client.client_id)]
        assert answers == [200, 200, 401, 200, 200]


def work(server: AuthorizationServer, credentials: Credentials, connect: Connect, rounds: int) -> list[User]:
    """Let every thread send ten requests a round; the tenth is for a client that all of them use."""
    shared = Shared(server.register("shared", "shared-secret"))

    def job(number: int) -> User:
        with connect() as send:
            user = User(server, credentials, f"user{number}", send)
            for round in range(rounds):
                user.go_round(round)
                if number == 0:
                    shared.toggle()
                is_unequivocal = shared.ask(user)
                assert is_unequivocal or number != 0
        return user

    return in_threads(job)


def check_journal(server: AuthorizationServer, users: list[User]) -> None:
    """Check that the journal has every request once, in order, and as its client saw it."""
    journal = list(server.journal)
    tokens = [token for user in users for token in user.tokens]
    asked = sum(len(answers) for user in users for answers in user.diary.values())
    assert len(journal) == server.journal.total == asked
    assert [exchange.number for exchange in journal] == list(range(1, asked + 1))
    assert [exchange.instant for exchange in journal] == sorted(exchange.instant for exchange in journal)
    by_client: dict[str | None, list[tuple[str, int]]] = defaultdict(list)
    for exchange in journal:
        by_client[exchange.client_id].append((exchange.endpoint, exchange.status))
    shared = [answer for user in users for answer in user.diary.pop("shared", ())]
    assert sorted(by_client.pop("shared", ())) == sorted(shared)
    assert by_client == {client_id: answers for user in users for client_id, answers in user.diary.items()}
    for log, endpoint in ((server.token_requests, "token"), (server.api_requests, "api")):
        assert list(log) == [exchange for exchange in journal if exchange.endpoint == endpoint]
    issued = [exchange.token_id for exchange in server.token_requests if exchange.status == 200]
    assert len(set(tokens)) == len(set(issued)) == len(issued) == len(tokens)
    server.assert_token_requests(len(server.token_requests))
    assert server.errors == []


def claims(token: str) -> Any:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


# Over loopback


@pytest.mark.parametrize(
    ("options", "rounds"),
    [({"token_format": "opaque"}, MANY), ({"dialect": "rfc6749", "signing_alg": "ES256"}, FEW), ({}, FEW)],
    ids=["opaque", "ES256", "RS256"],
)
def test_every_answer_over_loopback_is_right(listener: Listener, options: dict[str, Any], rounds: int) -> None:
    server = listener.serve(Options(journal_size=20_000, **options))
    credentials = server.credentials_of(server.register())

    users = work(server, credentials, lambda: over_a_socket(listener.url), rounds)

    assert server.journal.total == THREADS * rounds * 10
    check_journal(server, users)
    if "token_format" not in options:
        tokens = [claims(token) for user in users for token in user.tokens]
        assert len({token["jti"] for token in tokens}) == len(tokens)


def test_clients_that_renew_at_once_are_told_apart(listener: Listener) -> None:
    server = listener.serve()
    credentials = server.credentials_of(server.register())

    def job(number: int) -> User:
        with over_a_socket(listener.url) as send:
            user = User(server, credentials, f"user{number}", send)
            user.renew()
        return user

    users = in_threads(job)

    check_journal(server, users)
    server.assert_single_flight()
    server.assert_renewed_once()
    with over_a_socket(listener.url) as send:
        again = User(server, credentials, "", send)
        again.ask("user7", server.clients["user7"].client_secret)
    with pytest.raises(AssertionError, match="^one good token request was expected after the 401, 2 came:"):
        server.assert_renewed_once()
    with pytest.raises(
        AssertionError, match=r"^request 321 asked for a token though the token of request \d+ was fresh"
    ):
        server.assert_single_flight()


def test_clients_that_ask_at_once_are_seen_to_do_so(listener: Listener) -> None:
    moment = threading.Event()  # in which the others would get tokens of their own
    server = listener.serve(Options(sticky_tokens=60, claims=lambda grant: {"late": moment.wait(0.05)}))
    credentials = server.credentials_of(server.register("one", "one-secret"))
    server.hold(THREADS, 60)

    def job(number: int) -> str:
        with over_a_socket(listener.url) as send:
            user = User(server, credentials, "", send)
            assert user.ask("one", "one-secret") == 200
        return user.tokens[0]

    tokens = in_threads(job)

    assert len(set(tokens)) == 1
    assert sorted(request.overlapping for request in server.token_requests) == list(range(THREADS))
    assert {request.came_after for request in server.token_requests} == {0}
    with pytest.raises(AssertionError, match="^request 2 asked for a token while request 1 was under way:"):
        server.assert_single_flight()


def test_each_armed_fault_meets_one_request(listener: Listener) -> None:
    server = listener.serve()
    credentials = server.credentials_of(server.register("one", "one-secret"))
    server.fail(503, times=THREADS // 2)
    server.fail("invalid_client", times=THREADS // 4)

    def job(number: int) -> int:
        with over_a_socket(listener.url) as send:
            return User(server, credentials, "", send).ask("one", "one-secret")

    statuses = in_threads(job)

    assert sorted(statuses) == [200] * (THREADS // 4) + [401] * (THREADS // 4) + [503] * (THREADS // 2)
    assert server.unfired_faults == []


# By interception


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(MANY, marks=pytest.mark.sc_auth(token_format="opaque"), id="opaque"),
        pytest.param(FEW, marks=pytest.mark.sc_auth(token_format="jwt"), id="jwt"),
    ],
)
@pytest.mark.sc_auth(journal_size=20_000)
def test_every_intercepted_answer_is_right(
    sc_auth_server: AuthorizationServer, sc_auth_intercept: Callable[..., Credentials], rounds: int
) -> None:
    credentials = sc_auth_intercept(token_url=TOKEN_URL, api_url=API_URL)

    users = work(sc_auth_server, credentials, by_requests, rounds)

    assert sc_auth_server.journal.total == THREADS * rounds * 10
    check_journal(sc_auth_server, users)
    if sc_auth_server.options.token_format == "jwt":
        tokens = [claims(token) for user in users for token in user.tokens]
        assert len({token["jti"] for token in tokens}) == len(tokens)
        assert {token["iss"] for token in tokens} == {"https://idp.example.com/oauth2/aus1"}

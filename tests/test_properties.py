"""Whatever octets a request is made of: a documented answer, no token without the right secret, and no secret told.

`HYPOTHESIS_EXAMPLES=2000` looks at so many requests for each case, in place of 40, and at others in each run.
"""

import base64
import io
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_plus

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter

from fake_server import DIALECTS, AuthorizationServer, Listener, Options
from fake_server.api import CHALLENGES
from fake_server.form import FORM
from fake_server.key_source import KeySource
from pytest_sc_auth import TokenClient, TokenError

CLIENT_ID, CLIENT_SECRET = "smart-client", "s3cret+with/signs%41"
BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
# Headers that servers or their libraries may read, by their names in WSGI.
HEADERS = [
    f"HTTP_{name}"
    for name in (
        *("ACCEPT", "ACCEPT_ENCODING", "ACCEPT_LANGUAGE", "CONNECTION", "CONTENT_ENCODING", "COOKIE", "DATE", "DPOP"),
        *("EXPECT", "FORWARDED", "HOST", "IF_MATCH", "IF_MODIFIED_SINCE", "IF_NONE_MATCH", "ORIGIN", "PRAGMA"),
        *("PROXY_AUTHORIZATION", "RANGE", "REFERER", "TE", "TRAILER", "TRANSFER_ENCODING", "UPGRADE", "USER_AGENT"),
        *("X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_HTTP_METHOD_OVERRIDE"),
    )
]
PARTS = ("method", "path", "query", "authorization", "content_type", "body")
# The same requests in every run, so that a failure is one of the change that it comes with.
bounded = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "40")),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
)
few = settings(bounded, max_examples=max(bounded.max_examples // 3, 1))
noise = st.text(st.characters(max_codepoint=255), max_size=3)
texts = st.text(st.characters(max_codepoint=255), max_size=60)


@dataclass(frozen=True)
class Asked:
    """Hold the parts of a request, each as octets in latin-1, but for the body; None for no header.

    `others` are more headers, by their names in WSGI.
    """

    method: str
    path: str
    query: str
    authorization: str | None
    content_type: str
    body: bytes
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answered:
    """Hold an answer; `error` is the code of its body or of its challenge."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        return dict(json.loads(self.body)) if self.body else {}

    @property
    def error(self) -> str | None:
        challenge = re.search('error="(.*?)"', self.headers.get("www-authenticate", ""))
        told = self.members.get("error") or self.members.get("errorCode")
        return told or (challenge[1] if challenge else None)


@st.composite
def altered(draw: st.DrawFn, text: str, inserted: st.SearchStrategy[str] = noise) -> str:
    """Return a text in which a few characters are others, more, or fewer."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(start + 3, len(text))))
    return text[:start] + draw(inserted) + text[end:]


def basic(pair: str) -> str:
    """Return Basic credentials of a text in latin-1."""
    return "Basic " + base64.b64encode(pair.encode("latin-1")).decode()


@st.composite
def requests_like(draw: st.DrawFn, asked: Asked) -> Asked:
    """Return a request that is this one but for a part or two, which hold anything, or a secret in the wrong place."""
    secrets = st.sampled_from((CLIENT_SECRET, BASIC, quote_plus(CLIENT_SECRET), asked.authorization or ""))
    for name in draw(st.lists(st.sampled_from(PARTS), max_size=2)):
        value = getattr(asked, name)
        text = value.decode("latin-1") if name == "body" else value or ""
        others = [altered(text), texts, st.builds(str.__add__, st.just(text), altered("", secrets))]
        if name == "authorization":
            others += [altered(f"{CLIENT_ID}:{CLIENT_SECRET}").map(basic)] * 2
        other = draw(st.one_of(others))
        changed: Any = other.encode("latin-1") if name == "body" else other
        asked = replace(asked, **{name: changed})
    names = st.sampled_from(HEADERS) | st.text("ABCXYZ_0", min_size=1, max_size=8).map("HTTP_{}".format)
    more = draw(st.lists(st.tuples(names, noise | secrets), max_size=6))
    return replace(asked, others=tuple(other for other in more if other[0] != "HTTP_AUTHORIZATION"))


def send(server: AuthorizationServer, asked: Asked) -> Answered:
    """Send a request by WSGI, whose strings hold octets."""
    got: list[Any] = []
    environ = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": asked.path,
        "QUERY_STRING": asked.query,
        "SERVER_NAME": "idp.test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "idp.test",
        **({} if asked.authorization is None else {"HTTP_AUTHORIZATION": asked.authorization}),
        "CONTENT_TYPE": asked.content_type,
        "CONTENT_LENGTH": str(len(asked.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(asked.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **dict(asked.others),
    }
    body = b"".join(server(environ, lambda status, headers, _=None: got.extend([status, headers])))  # type: ignore[arg-type]
    return Answered(int(got[0][:3]), {name.lower(): value for name, value in got[1]}, body)


KEYS = KeySource()


@pytest.fixture(scope="module", params=[(name, form) for name in DIALECTS for form in ("jwt", "opaque")], ids="-".join)
def server(request: pytest.FixtureRequest) -> AuthorizationServer:
    """A server of each dialect and format, with one client."""
    dialect, token_format = request.param
    server = AuthorizationServer(
        Options(dialect=dialect, token_format=token_format), base_url="http://idp.test/as", keys=KEYS
    )
    server.register(CLIENT_ID, CLIENT_SECRET)
    return server


def right(server: AuthorizationServer, url: str, form: str, authorization: str | None = BASIC) -> Asked:
    """Return a request that is right."""
    return Asked("POST", url.removeprefix("http://idp.test"), "", authorization, FORM, form.encode())


def check_documented(server: AuthorizationServer, answer: Answered, *endpoints: str) -> None:
    """Check that an answer is the one that the tables have for the reason in the journal, at one of the endpoints."""
    latest = server.journal[-1] if server.journal.total else None
    if answer.status == 200:
        assert answer.error is None
        return
    assert latest is not None
    assert latest.reason is not None
    assert latest.endpoint in {*endpoints, "other"}
    table: Any = CHALLENGES[latest.reason] if latest.endpoint == "api" else None
    wanted = table or server.options.spoken().error(latest.reason, latest.endpoint)
    assert (answer.status, latest.status) == (wanted.status, wanted.status)
    assert (latest.error or None) == (wanted.error or None)
    if answer.body or latest.endpoint == "api":  # a HEAD has no body to look at
        assert answer.error == (wanted.error or None)


def proves_the_client(asked: Asked) -> bool:
    """Tell whether id and secret are in a request, by a reader of its own: any place and encoding will do."""
    encoded = (asked.authorization or "").strip().partition(" ")[2].strip()
    try:
        pair = base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode(errors="replace")
    except ValueError:
        pair = ""
    form = parse_qs(asked.body.decode("latin-1"), keep_blank_values=True)
    wanted = f"{CLIENT_ID}:{CLIENT_SECRET}"
    return wanted in (pair, unquote_plus(pair)) or (
        CLIENT_ID in form.get("client_id", []) and CLIENT_SECRET in form.get("client_secret", [])
    )


def check_journal(server: AuthorizationServer, *tokens: str) -> None:
    """Check that the latest entry tells no secret, in any shape that `requests_like` puts somewhere, and no token."""
    kept = "\n".join(f"{exchange} {exchange!r}" for exchange in server.journal[-1:])
    for hidden in (CLIENT_SECRET, quote_plus(CLIENT_SECRET), BASIC.removeprefix("Basic "), *tokens):
        assert hidden not in kept


def check_entries(server: AuthorizationServer, answer: Answered, before: int) -> None:
    """Check that the answer is in the journal; a document that anybody may read, the keys or the metadata, is not."""
    is_document = answer.status == 200 and not {"keys", "issuer"}.isdisjoint(answer.members)
    assert server.journal.total - before == (0 if is_document else 1)


def check(server: AuthorizationServer, endpoint: str, answer: Answered) -> None:
    """Check what is true of every answer, and of what the server keeps."""
    assert answer.status < 500
    check_documented(server, answer, endpoint)
    assert server.errors == []
    check_journal(server)


@bounded
@given(data=st.data())
def test_token_endpoint_gives_a_token_for_the_right_secret_and_scope_alone(
    server: AuthorizationServer, data: st.DataObject
) -> None:
    scope = server.credentials_of().scope
    form = f"grant_type=client_credentials&scope={scope}"
    in_body = f"{form}&client_id={CLIENT_ID}&client_secret=s3cret%2Bwith%2Fsigns%2541"
    asked = data.draw(
        requests_like(right(server, server.token_url, form))
        | requests_like(right(server, server.token_url, in_body, None))
    )
    before, entries = server.token_requests.total, server.journal.total

    answer = send(server, asked)

    check(server, "token", answer)
    check_entries(server, answer, entries)
    if "access_token" in answer.members:
        check_journal(server, answer.members["access_token"])
        asked_for = parse_qs(asked.body.decode("latin-1")).get("scope", [])
        assert set(" ".join(asked_for).split()) <= {*scope.split(), server.options.audience}
        assert proves_the_client(asked)
        assert b"client_credentials" in asked.body
        assert asked.method == "POST"
        assert server.token_requests.total == before + 1
        assert server.token_requests[-1].client_id == CLIENT_ID


@bounded
@given(secret=altered(CLIENT_SECRET) | texts)
def test_no_other_secret_is_taken(server: AuthorizationServer, secret: str) -> None:
    form = f"grant_type=client_credentials&scope={server.credentials_of().scope}"
    in_header = right(server, server.token_url, form, basic(f"{CLIENT_ID}:{secret}"))
    in_body = right(server, server.token_url, f"{form}&client_id={CLIENT_ID}&client_secret={quote_plus(secret)}", None)

    answers = []
    for asked in (in_header, in_body):
        answers.append(send(server, asked))
        check_documented(server, answers[-1], "token")

    is_right = [CLIENT_SECRET in (secret, unquote_plus(secret)), secret == CLIENT_SECRET]
    assert [answer.status == 200 for answer in answers] == is_right


@bounded
@given(data=st.data())
def test_api_lets_in_its_own_tokens_alone(server: AuthorizationServer, data: st.DataObject) -> None:
    token = str(server.mint())
    path = server.api.url.removeprefix("http://idp.test") + "/Tags"
    asked = data.draw(requests_like(Asked("GET", path, "", f"Bearer {token}", "", b"")))
    entries = server.journal.total

    answer = send(server, asked)

    check(server, "api", answer)
    check_journal(server, token)
    assert server.journal.total == entries + 1
    if answer.status == 200 and "claims" in answer.members:
        assert token in (asked.authorization or "")


@pytest.mark.parametrize("endpoint", ["introspection", "revocation"])
@bounded
@given(data=st.data())
def test_introspection_and_revocation_are_for_clients_alone(
    server: AuthorizationServer, endpoint: str, data: st.DataObject
) -> None:
    url = getattr(server, f"{endpoint}_url") or f"http://idp.test/as/{endpoint}"
    token = str(server.mint())
    asked = data.draw(requests_like(right(server, url, f"token={token}")))
    entries = server.journal.total

    answer = send(server, asked)

    check(server, endpoint, answer)
    check_journal(server, token)
    check_entries(server, answer, entries)
    if "active" in answer.members:
        assert proves_the_client(asked)
    if answer.members.get("active"):
        assert token.encode() in asked.body


# By the socket, where the octets are not yet a request


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """A listener with a server of each dialect, at a path of its name."""
    with Listener() as listener:
        for dialect in DIALECTS:
            server = listener.serve(Options(dialect=dialect, token_format="opaque"), path=f"/{dialect}")
            server.register(CLIENT_ID, CLIENT_SECRET)
        yield listener


def exchange(listener: Listener, sent: bytes) -> bytes:
    """Send octets, then nothing more, and return all that comes."""
    host, _, port = listener.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def wholes(server: AuthorizationServer) -> tuple[str, str]:
    """Return a request that is right, with a length and in chunks."""
    body = f"grant_type=client_credentials&scope={quote_plus(server.credentials_of().scope)}"
    path = server.token_url.partition("://")[2].partition("/")[2]
    head = f"POST /{path} HTTP/1.1\r\nHost: idp\r\nAuthorization: {BASIC}\r\nContent-Type: {FORM}\r\n"
    return (
        f"{head}Content-Length: {len(body)}\r\n\r\n{body}",
        f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n",
    )


@pytest.mark.parametrize("number", range(len(DIALECTS)), ids=list(DIALECTS))
@few
@given(data=st.data())
def test_octets_of_a_connection_get_answers_that_can_be_read(
    listener: Listener, number: int, data: st.DataObject
) -> None:
    whole, chunked = wholes(listener.servers[number])
    sent = data.draw(st.one_of(st.just(whole), *map(altered, (whole, chunked, whole + whole)), texts))

    received = exchange(listener, sent.encode("latin-1")).decode("latin-1")

    statuses = []
    while received:
        head, blank, rest = received.partition("\r\n\r\n")
        assert blank
        status = re.match(r"HTTP/1\.1 ([1-4][0-9]{2}) ", head)
        assert status, head
        statuses.append(int(status[1]))
        length = re.search(r"(?i)^content-length: ([0-9]+)\r?$", head, re.MULTILINE)
        size = int(length[1]) if length else 0
        body, received = rest[:size], rest[size:]
        if "json" in head and not sent.startswith("HEAD"):
            assert json.loads(body)
    assert all(server.errors == [] for server in listener.servers)
    if sent in (whole, chunked):
        assert statuses == [200]


# What a token client may be answered


class Canned(HTTPAdapter):
    """Answer every request with the same octets."""

    def __init__(self, status: int, content_type: str, body: bytes) -> None:
        super().__init__()
        self._answer = status, {"Content-Type": content_type}, body

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        status, headers, body = self._answer
        answer = urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return self.build_response(request, answer)


names = st.sampled_from(["access_token", "token_type", "expires_in", "scope", "error", "error_description", "x"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["Bearer", "eyJ.x.y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=7),
    max_leaves=12,
)
good = {"access_token": "eyJ.x.y", "token_type": "Bearer", "expires_in": 3600, "scope": "ingr.api"}
members = st.dictionaries(names, values, max_size=3).map(lambda other: {**good, **other})


@bounded
@given(
    status=st.sampled_from([200, 200, 200, 201, 302, 400, 401, 429, 500, 503]),
    content_type=st.sampled_from(["application/json", "application/json;charset=UTF-8", "text/html", "", "é"]),
    body=st.binary(max_size=60) | (members | values).map(lambda value: json.dumps(value).encode()),
)
def test_token_client_has_a_token_or_its_own_error(status: int, content_type: str, body: bytes) -> None:
    with requests.Session() as session:
        session.mount("http://", Canned(status, content_type, body))
        client = TokenClient("http://idp.test/v1/token", CLIENT_ID, CLIENT_SECRET, "ingr.api", session=session)
        token, told = None, ""
        try:
            token = client.fetch()
        except TokenError as error:
            told = f"{error} {error!r}"

    assert CLIENT_SECRET not in told
    if token is not None:
        assert (status, token.token_type.lower()) == (200, "bearer")
        assert token.value == json.loads(body)["access_token"] != ""

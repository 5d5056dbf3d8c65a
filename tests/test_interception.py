"""The responses door: production URLs that this test's server answers, beside whatever else the test mocks."""

import fnmatch
import functools
import gc
import io
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses
import urllib3
from requests.adapters import HTTPAdapter
from responses.registries import OrderedRegistry
from urllib3 import Retry

from fake_server import AuthorizationServer, Credentials, Listener
from pytest_sc_auth import ServerFactory, TokenClient
from pytest_sc_auth.interception import Interception
from pytest_sc_auth.servers import NeighbourError

TOKEN_URL = "https://idp.example.com/oauth2/aus1/v1/token"
ISSUER = "https://idp.example.com/oauth2/aus1"
API_URL = "https://sc.example.com/sc/datalake/v1"

Intercept = Callable[..., Credentials]
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def intercept(sc_auth_intercept: Intercept) -> Intercept:
    """The fixture, with production URLs."""

    def call(**settings: Any) -> Credentials:
        return sc_auth_intercept(token_url=TOKEN_URL, api_url=API_URL, **settings)

    return call


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch, sc_auth_server: AuthorizationServer) -> None:
    """Nothing can connect or look up a name, once the server is there."""

    def fail(*arguments: object, **settings: object) -> None:
        raise AssertionError(f"a socket was used: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, with these lines in its config file."""

    def run(source: str, *lines: str) -> pytest.RunResult:
        pytester.makeini("\n".join(["[pytest]", *lines]))
        pytester.makepyfile(source)
        return pytester.runpytest("-p", "no:randomly", "-W", "error")

    return run


def get_token(
    credentials: Credentials, post: Callable[..., requests.Response] = requests.post, **settings: Any
) -> requests.Response:
    return post(
        credentials.token_url,
        data={"grant_type": "client_credentials", "scope": credentials.scope},
        auth=(credentials.client_id, credentials.client_secret),
        **settings,
    )


def bearer(answer: requests.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


# Production URLs


@pytest.mark.usefixtures("no_socket")
def test_production_urls_are_answered_without_a_socket(intercept: Intercept) -> None:
    credentials = intercept()

    answer = requests.get(f"{API_URL}/Tags?top=1", headers=bearer(get_token(credentials)))

    assert (credentials.token_url, credentials.api_url) == (TOKEN_URL, API_URL)
    assert answer.json()["claims"]["iss"] == ISSUER
    assert answer.json()["path"] == "/Tags"


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize(
    "url",
    [
        f"{ISSUER}/.well-known/openid-configuration",
        f"{ISSUER}/.well-known/oauth-authorization-server",
        "https://idp.example.com/.well-known/oauth-authorization-server/oauth2/aus1",
    ],
    ids=["openid", "okta", "rfc8414"],
)
def test_metadata_names_the_production_urls(intercept: Intercept, url: str) -> None:
    intercept()

    metadata = requests.get(url).json()

    assert (metadata["issuer"], metadata["token_endpoint"]) == (ISSUER, TOKEN_URL)
    assert requests.get(metadata["jwks_uri"]).json()["keys"]
    assert "127.0.0.1" not in str(metadata)


@pytest.mark.usefixtures("no_socket")
def test_token_client_and_session_use_production_urls(intercept: Intercept) -> None:
    credentials = intercept()
    client = TokenClient(TOKEN_URL, credentials.client_id, credentials.client_secret, credentials.scope)

    with requests.Session() as session:
        session.auth = client.auth
        statuses = [session.get(f"{API_URL}/Tags").status_code for _ in range(2)]

    assert statuses == [200, 200]


def test_token_of_either_door_is_good_at_the_other(intercept: Intercept, sc_auth_server: AuthorizationServer) -> None:
    loopback = sc_auth_server.credentials_of()
    production = intercept()

    by_interception, by_socket = get_token(production), get_token(loopback)
    statuses = [
        requests.get(url, headers=bearer(answer)).status_code
        for answer in (by_interception, by_socket)
        for url in (production.api_url, loopback.api_url)
    ]

    assert statuses == [200, 200, 200, 200]
    assert len(sc_auth_server.token_requests) == 2
    assert len(sc_auth_server.api_requests) == 4


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize(
    ("token_url", "issuer"),
    [
        ("https://login.example.com/oauth/access", "https://login.example.com/oauth"),
        ("https://IDP.example.com:8443/v1/token", "https://IDP.example.com:8443"),
        ("https://idp.example.com", "https://idp.example.com"),
        ("http://idp.example.com/as/v1/token/", "http://idp.example.com/as"),
    ],
    ids=["other-name", "port", "root", "slash"],
)
def test_token_url_of_any_shape_is_answered(sc_auth_intercept: Intercept, token_url: str, issuer: str) -> None:
    credentials = sc_auth_intercept(token_url=token_url, api_url=API_URL)

    answer = requests.get(API_URL, headers=bearer(get_token(credentials)))

    assert answer.json()["claims"]["iss"] == issuer


# Requests and answers of every kind


FORM = "grant_type=client_credentials&scope=ingr.api"


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize(
    "body",
    [
        lambda: FORM,
        lambda: FORM.encode(),
        lambda: bytearray(FORM.encode()),
        lambda: iter([FORM[:9].encode(), FORM[9:].encode()]),
        lambda: iter([FORM[:9], FORM[9:]]),
        lambda: io.BytesIO(FORM.encode()),
        lambda: io.StringIO(FORM),
    ],
    ids=["str", "bytes", "bytearray", "iterable", "texts", "file", "text-file"],
)
def test_body_of_any_type_arrives(intercept: Intercept, body: Callable[[], Any]) -> None:
    credentials = intercept()

    answer = requests.post(
        TOKEN_URL,
        data=body(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=(credentials.client_id, credentials.client_secret),
    )

    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize("name", ["Host", "host"])
def test_callers_own_host_is_the_requests(intercept: Intercept, sc_auth_server: AuthorizationServer, name: str) -> None:
    intercept()
    sc_auth_server.api.get("/host", lambda request, claims: request.host)
    headers = {"Authorization": f"Bearer {sc_auth_server.mint()}", name: "other.example.com"}

    assert requests.get(f"{API_URL}/host", headers=headers, timeout=5).json() == "other.example.com"


@pytest.mark.usefixtures("no_socket")
def test_request_and_answer_are_as_on_the_wire(intercept: Intercept, sc_auth_server: AuthorizationServer) -> None:
    intercept()
    sc_auth_server.api.get("/Tags/<name>", lambda request, claims, name: {"name": name, "url": request.url})
    sc_auth_server.api.get("/cookie", headers={"Set-Cookie": "a=b"}, json={})
    headers: dict[str, str | bytes] = {"Authorization": f"Bearer {sc_auth_server.mint()}".encode(), "X_Odd": "1"}

    with requests.Session() as session:
        named = session.get(f"{API_URL}/Tags/P%20%C3%A9?q=%41", headers=headers)
        head = session.head(f"{API_URL}/Tags/P-1", headers=headers)
        streamed = session.get(f"{API_URL}/Tags/P-1", headers=headers, stream=True)
        session.get(f"{API_URL}/cookie", headers=headers)

    assert named.json()["name"] == "P é"
    assert named.json()["url"].startswith("https://sc.example.com/")
    assert (head.status_code, head.reason, head.content) == (200, "OK", b"")
    assert int(head.headers["Content-Length"]) > 0
    assert b"".join(streamed.iter_content(3)).startswith(b'{"name":')
    assert dict(session.cookies) == {"a": "b"}


# Faults


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize(
    "timeout", [3600, (1, 3600), urllib3.Timeout(read=3600), None], ids=["one", "pair", "urllib3", "none"]
)
@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("hang", requests.ReadTimeout, "idp.example.com: read timed out (*); the test armed the fault hang"),
        ("connection_reset", requests.ConnectionError, "idp.example.com: connection reset; the test armed *"),
        ("no_response", requests.ConnectionError, "idp.example.com: no response; the test armed *"),
        ("cut_off", requests.exceptions.ChunkedEncodingError, "*IncompleteRead*"),
    ],
    ids=["hang", "connection_reset", "no_response", "cut_off"],
)
def test_fault_is_the_error_that_requests_has_for_it(
    intercept: Intercept,
    sc_auth_server: AuthorizationServer,
    fault: str,
    error: type[Exception],
    text: str,
    timeout: Any,
) -> None:
    credentials = intercept()
    sc_auth_server.fail(fault)

    with pytest.raises(error) as raised:
        get_token(credentials, timeout=timeout)

    assert re.fullmatch(re.escape(text).replace(r"\*", ".*"), str(raised.value))
    assert get_token(credentials).status_code == 200


@pytest.mark.parametrize("timeout", [0.01, (5, 0.01), urllib3.Timeout(0.01)], ids=["one", "pair", "urllib3"])
def test_slow_answer_is_a_timeout_where_the_caller_is_not_so_patient(
    intercept: Intercept, sc_auth_server: AuthorizationServer, timeout: Any
) -> None:
    credentials = intercept()
    sc_auth_server.fail("slow", delay=60)

    with pytest.raises(requests.ReadTimeout, match=r"read timed out \(0\.0\d+ s\)"):
        get_token(credentials, timeout=timeout)


@pytest.mark.usefixtures("no_socket")
@pytest.mark.parametrize("timeout", [5, None])
@pytest.mark.parametrize("fault", ["slow", "dripping"])
def test_slow_answer_arrives_where_the_caller_waits(
    intercept: Intercept, sc_auth_server: AuthorizationServer, fault: str, timeout: float | None
) -> None:
    credentials = intercept()
    sc_auth_server.fail(fault, delay=0.001)

    assert get_token(credentials, timeout=timeout).json()["token_type"] == "Bearer"


@pytest.mark.usefixtures("no_socket")
def test_server_that_is_down_takes_no_connection(intercept: Intercept, sc_auth_server: AuthorizationServer) -> None:
    credentials = intercept()

    sc_auth_server.is_down = True
    with pytest.raises(requests.ConnectionError, match="down"):
        get_token(credentials)
    sc_auth_server.is_down = False

    assert get_token(credentials).status_code == 200


@pytest.mark.usefixtures("no_socket")
def test_redirect_leads_to_a_host_that_is_not_there(intercept: Intercept, sc_auth_server: AuthorizationServer) -> None:
    credentials = intercept()
    sc_auth_server.fail("redirect", times=2)

    answer = get_token(credentials, allow_redirects=False)
    with pytest.raises(requests.ConnectionError, match="https://elsewhere.invalid/oauth2/aus1/elsewhere/v1/token"):
        get_token(credentials)

    assert answer.headers["Location"] == "https://elsewhere.invalid/oauth2/aus1/elsewhere/v1/token"


@pytest.mark.parametrize(
    ("fault", "retries", "statuses"),
    [
        ("connection_reset", Retry(2, allowed_methods=None), [200]),
        ("hang", Retry(2, allowed_methods=None), [200]),
        ("connection_reset", Retry(1, allowed_methods=None), []),
        ("connection_reset", Retry(2), []),
        ("connection_reset", Retry(0, allowed_methods=None), []),
    ],
    ids=["enough", "timeout", "too-few", "not-for-post", "none"],
)
def test_retries_of_the_callers_adapter_are_counted(
    intercept: Intercept, sc_auth_server: AuthorizationServer, fault: str, retries: Retry, statuses: list[int]
) -> None:
    credentials = intercept()
    sc_auth_server.fail(fault, times=2, optional=True)

    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=retries))
        if statuses:
            assert [get_token(credentials, session.post).status_code] == statuses
        else:
            with pytest.raises(requests.ConnectionError, match="the test armed the fault connection_reset"):
                get_token(credentials, session.post)


@pytest.mark.parametrize(
    ("script", "retries", "asked", "error"),
    [
        (
            [503, *["connection_reset"] * 9],
            Retry(2, status_forcelist=[503], allowed_methods=None),
            3,
            "ConnectionError",
        ),
        (
            [503, *["hang"] * 9],
            Retry(9, status=1, read=2, status_forcelist=[503], allowed_methods=None),
            4,
            "Connection",
        ),
        (["connection_reset", 503] * 5, Retry(2, status_forcelist=[503], allowed_methods=None), 3, "ConnectionError"),
        (
            [503, "connection_reset", 503] * 3,
            Retry(4, status_forcelist=[503], allowed_methods=None),
            5,
            "ConnectionErr",
        ),
    ],
    ids=["status-then-reset", "status-then-hang", "reset-then-status", "in-turns"],
)
def test_retries_are_one_number_for_statuses_and_faults(
    intercept: Intercept,
    sc_auth_server: AuthorizationServer,
    script: list[Any],
    retries: Retry,
    asked: int,
    error: str,
) -> None:
    credentials = intercept()
    sc_auth_server.fail(script, optional=True)

    with requests.Session() as session:
        session.mount("https://", HTTPAdapter(max_retries=retries))
        with pytest.raises(requests.RequestException) as raised:
            get_token(credentials, session.post, timeout=5)

    assert len(sc_auth_server.token_requests) == asked
    assert type(raised.value).__name__.startswith(error)


# Beside other mocks


@responses.activate(assert_all_requests_are_fired=True)
def test_mock_of_a_decorator_is_joined(intercept: Intercept) -> None:
    responses.get("https://other.example/", json=["mine"])
    credentials = intercept()

    assert requests.get("https://other.example/").json() == ["mine"]
    assert get_token(credentials).status_code == 200


@pytest.fixture
def rsps() -> Iterator[responses.RequestsMock]:
    """A mock as users have it, which complains of what was not called."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.mark.parametrize("given", [True, False], ids=["given", "active"])
def test_mock_of_a_fixture_is_joined_and_left_as_it_was(
    rsps: responses.RequestsMock, request: pytest.FixtureRequest, given: bool
) -> None:
    rsps.add_passthru("https://passed.example/")
    server = request.getfixturevalue("sc_auth_server")
    own = rsps.get(f"{API_URL}/Tags", json=["mine"])

    interceptions = [Interception() for _ in range(2)]
    for interception in interceptions:
        interception.add(
            server, TOKEN_URL, API_URL, mock=rsps if given else None, passthrough=["https://passed.example/"]
        )
    answers = [requests.get(f"{API_URL}{path}").status_code for path in ("/Tags", "/Other", "/Tags", "/Other")]
    for interception in reversed(interceptions):
        interception.remove(server)

    assert answers == [200, 401, 200, 401]
    assert rsps.registered() == [own]
    assert rsps.passthru_prefixes == ("https://passed.example/",)


def test_mock_of_a_context_is_joined_and_the_server_answers_after_it(
    intercept: Intercept, sc_auth_server: AuthorizationServer, sc_auth_server_factory: ServerFactory
) -> None:
    before = HTTPAdapter.send

    with responses.RequestsMock() as rsps:
        rsps.get("https://other.example/", json=["mine"])
        credentials = intercept()
        assert requests.get("https://other.example/").json() == ["mine"]
        assert get_token(credentials).status_code == 200

    assert get_token(credentials).status_code == 200
    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
        requests.get("https://other.example/")
    sc_auth_server_factory.stop(sc_auth_server)
    assert HTTPAdapter.send is before


def test_mock_begun_later_is_joined(intercept: Intercept) -> None:
    credentials = intercept()

    with responses.RequestsMock() as rsps:
        rsps.get("https://other.example/", json=["mine"])
        assert requests.get("https://other.example/").json() == ["mine"]
        assert get_token(credentials).status_code == 200
        rsps.reset()
        assert get_token(credentials).status_code == 200
        with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
            requests.get("https://other.example/")

    assert get_token(credentials).status_code == 200


def test_mock_that_outlives_the_server_leaves_nothing_of_ours(
    intercept: Intercept, sc_auth_server: AuthorizationServer, sc_auth_server_factory: ServerFactory
) -> None:
    before = HTTPAdapter.send, responses.RequestsMock._find_match
    credentials = intercept()

    rsps = responses.RequestsMock()
    rsps.start()
    sc_auth_server_factory.stop(sc_auth_server)
    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
        get_token(credentials)
    rsps.stop()

    assert (HTTPAdapter.send, responses.RequestsMock._find_match) == before


def test_send_that_a_test_replaces_lets_nothing_of_ours_stay(
    intercept: Intercept, sc_auth_server: AuthorizationServer, sc_auth_server_factory: ServerFactory
) -> None:
    before, jwks_uri = HTTPAdapter.send, sc_auth_server_factory.make().jwks_uri
    intercept()
    ours = HTTPAdapter.send

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", lambda *arguments, **settings: ours(*arguments, **settings))
        sc_auth_server_factory.stop(sc_auth_server)
        assert requests.get(jwks_uri).ok  # by ours, below the test's
    assert requests.get(jwks_uri).ok
    again = sc_auth_server_factory.make()
    sc_auth_server_factory.intercept(again, TOKEN_URL)
    assert requests.post(TOKEN_URL).status_code == 400
    sc_auth_server_factory.stop(again)

    assert HTTPAdapter.send is before


def test_send_that_is_no_function_is_left_alone(
    sc_auth_server: AuthorizationServer, sc_auth_intercept: Intercept, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", functools.partial(HTTPAdapter.send))
        sc_auth_intercept(TOKEN_URL)

    assert sc_auth_server.token_url == TOKEN_URL


def number_of_calls() -> int:
    gc.collect()
    return sum(isinstance(thing, responses.Call) for thing in gc.get_objects())


def test_callers_matcher_is_asked_once_and_nothing_sent_is_kept(intercept: Intercept) -> None:
    asked = []

    def matcher(request: requests.PreparedRequest) -> tuple[bool, str]:
        asked.append(request.url)
        return True, ""

    credentials = intercept()
    with responses.RequestsMock() as rsps:
        rsps.get("https://other.example/", match=[matcher])
        requests.get("https://other.example/")
        assert get_token(credentials).ok
        assert [call.request.url for call in rsps.calls] == ["https://other.example/", TOKEN_URL]
    before = number_of_calls()
    for _ in range(9):
        get_token(credentials)

    assert asked == ["https://other.example/"]
    assert number_of_calls() - before < 4  # the last one of each at most


def test_error_of_a_url_that_passes_is_its_own(intercept: Intercept) -> None:
    intercept()

    with Listener() as listener:
        url = listener.url
    with pytest.raises(requests.ConnectionError) as error:
        requests.get(url)

    shown = "".join(traceback.format_exception(error.value))
    assert "pytest_sc_auth.interception._Passes" not in shown


def test_refused_interception_changes_nothing(sc_auth_server: AuthorizationServer, run: Run) -> None:
    interception, before = Interception(), sc_auth_server.token_url

    with pytest.raises(ValueError, match="cannot be used"):
        interception.add(sc_auth_server, TOKEN_URL, passthrough=["*"])
    with pytest.raises(ValueError, match="needs a URL to answer: token_url, api_url or both"):
        interception.add(sc_auth_server)

    assert sc_auth_server.token_url == before


def test_responses_of_another_make_is_told_so(
    sc_auth_server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(responses.RequestsMock, "_find_match")

    with pytest.raises(
        NeighbourError, match=r"the installed responses has no RequestsMock\._find_match, where sc_auth"
    ):
        Interception().add(sc_auth_server, TOKEN_URL)


def test_order_of_a_mock_that_keeps_one_is_not_lost(intercept: Intercept) -> None:
    credentials = intercept()

    with responses.RequestsMock(registry=OrderedRegistry) as rsps:
        rsps.get("https://other.example/1", json=1)
        rsps.get("https://other.example/2", json=2)
        one = requests.get("https://other.example/1").json()
        token = get_token(credentials).status_code
        two = requests.get("https://other.example/2").json()

    assert (one, token, two) == (1, 200, 2)


def test_second_interception_has_its_own_url(intercept: Intercept, sc_auth_intercept: Intercept) -> None:
    intercept()

    credentials = sc_auth_intercept("https://other.example/v1/token")

    assert (credentials.token_url, credentials.api_url) == ("https://other.example/v1/token", API_URL)
    assert get_token(credentials).status_code == 200


def test_callers_own_response_wins(intercept: Intercept, rsps: responses.RequestsMock) -> None:
    credentials = intercept(mock=rsps)

    rsps.post(TOKEN_URL, status=418)
    statuses = [get_token(credentials).status_code for _ in range(3)]
    rsps.remove(responses.POST, TOKEN_URL)
    statuses.append(get_token(credentials).status_code)

    assert statuses == [418, 418, 418, 200]


# Other URLs


def test_other_url_fails_and_is_named(intercept: Intercept) -> None:
    intercept()

    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses") as error:
        requests.get("https://other.example/x")

    assert "- GET https://other.example/x\n" in str(error.value)


@pytest.mark.parametrize(
    "passthrough",
    [
        "http://idp.test/",
        ["https://x.test/", "http://idp.test/"],
        ["idp.test"],
        "IDP.test:80",
        "HTTP://idp.test",
        "http://idp.test/not",
    ],
)
def test_loopback_and_what_is_listed_pass(intercept: Intercept, passthrough: Any) -> None:
    intercept(passthrough=passthrough)

    with Listener() as listener:
        assert requests.get(listener.url).status_code == 404
        # The proxy is the listener: the request for the listed host goes out to it.
        proxies = {"http": listener.url}
        url = "http://idp.test:80/nothing" if "80" in passthrough else "http://idp.test/nothing"
        assert requests.get(url, proxies=proxies).status_code == 404
    with pytest.raises(requests.ConnectionError, match="Responses"):
        requests.get("http://other.test/", proxies=proxies)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "token_url='idp.example.com/v1/token'",
            "token_url='idp.example.com/v1/token' cannot be used: "
            "it takes an http or https URL in ASCII, without user, query and fragment",
        ),
        (
            "token_url=5",
            "token_url=5 cannot be used: it takes an http or https URL in ASCII, without user, query and fragment",
        ),
        (
            "passthrough=['ftp://example.com']",
            "passthrough='ftp://example.com' cannot be used: it takes hosts and the beginnings of http or https URLs, "
            "such as 'login.example.com' or 'https://api.example.com/v2/'",
        ),
        (
            "passthrough=__import__('re').compile('x')",
            "passthrough=re.compile('x') cannot be used: it takes hosts and the beginnings of http or https URLs, "
            "such as 'login.example.com' or 'https://api.example.com/v2/'",
        ),
        ("passthrough=5", "passthrough=5 cannot be used: it takes hosts and *"),
        (
            "mock=5",
            "mock=5 cannot be used: it takes a responses.RequestsMock, or the module responses",
        ),
    ],
    ids=["url", "number", "passthrough", "pattern", "passthrough-number", "mock"],
)
def test_bad_url_is_one_sentence(run: Run, settings: str, message: str) -> None:
    result = run(f"def test_it(sc_auth_intercept): sc_auth_intercept({settings})")

    result.assert_outcomes(failed=1)
    shown = result.stdout.str().partition("_ test_it _")[2].splitlines()
    assert fnmatch.fnmatchcase(shown[1], message.replace("[", "[[]"))
    assert " sc_auth requests " in shown[2]


# A whole suite


def test_settings_intercept_for_every_test_and_everything_is_put_back(run: Run) -> None:
    result = run(
        f"""
        import pytest, requests
        from requests.adapters import HTTPAdapter

        send = HTTPAdapter.send

        @pytest.mark.parametrize("number", [1, 2])
        def test_suite(sc_auth_session, sc_auth_credentials, number):
            assert sc_auth_credentials.token_url == {TOKEN_URL!r}
            assert sc_auth_session.get({API_URL!r} + "/Tags").json()["claims"]["iss"] == {ISSUER!r}
            with pytest.raises(requests.ConnectionError, match="https://other.example/"):
                requests.get("https://other.example/")

        def test_without():
            assert HTTPAdapter.send is send
        """,
        f"sc_auth_token_url = {TOKEN_URL}",
        f"sc_auth_api_url = {API_URL}",
    )

    result.assert_outcomes(passed=3)


def test_settings_reach_every_server_beside_every_mock_of_the_suite(run: Run) -> None:
    result = run(
        f"""
        import unittest
        import pytest, requests, responses

        OTHER = "https://other.example/"

        @pytest.fixture(scope="session")
        def shared(sc_auth_server_factory):
            return sc_auth_server_factory.make()

        @pytest.fixture
        def rsps(shared):
            with responses.RequestsMock() as mock:
                yield mock

        def check(server):
            before = server.journal.total
            assert requests.post({TOKEN_URL!r}).status_code == 400
            assert requests.get(OTHER).text == "mine"
            assert server.journal.total == before + 1

        @responses.activate
        def test_decorator(sc_auth_server):
            responses.get(OTHER, body="mine")
            check(sc_auth_server)

        def test_fixture_and_a_shared_server(rsps, shared):
            rsps.get(OTHER, body="mine")
            check(shared)

        def test_own_server_answers_before_the_shared_one(rsps, shared, sc_auth_server):
            rsps.get(OTHER, body="mine")
            check(sc_auth_server)

        class TestIt(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def fixtures(self, shared):
                self.server = shared

            def setUp(self):
                self.mock = responses.RequestsMock()
                self.mock.start()
                self.addCleanup(self.mock.stop)
                self.addCleanup(self.mock.reset)

            def test_it(self):
                self.mock.get(OTHER, body="mine")
                check(self.server)
        """,
        f"sc_auth_token_url = {TOKEN_URL}",
    )

    result.assert_outcomes(passed=4)


def test_setting_of_a_bad_url_ends_the_run_at_once(run: Run) -> None:
    result = run("def test_it(sc_auth_server): pass", "sc_auth_api_url = sc.example.com")

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: sc_auth_api_url='sc.example.com' cannot be used: it takes an http or https URL"]
    )


def test_mock_that_is_not_active_is_refused(sc_auth_intercept: Intercept) -> None:
    idle = responses.RequestsMock()

    with pytest.raises(pytest.fail.Exception, match=r"^mock= is not active: start it before sc_auth_intercept, "):
        sc_auth_intercept(token_url=TOKEN_URL, mock=idle)


@responses.activate
def test_module_in_place_of_its_mock_is_joined(sc_auth_intercept: Intercept) -> None:
    sc_auth_intercept(token_url=TOKEN_URL, mock=responses)

    assert requests.post(TOKEN_URL, timeout=5).status_code == 400


def test_host_that_passes_lets_no_longer_one_pass(sc_auth_intercept: Intercept) -> None:
    sc_auth_intercept(token_url=TOKEN_URL, passthrough=["https://pass.example"])

    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
        requests.get("https://pass.example.org/", timeout=5)

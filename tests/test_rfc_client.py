"""The RFC requirements that bind the client, as tests of TokenClient and BearerAuth; the ids are test_rfc.py's rows."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fake_server import AuthorizationServer, Dialect, Grant
from pytest_sc_auth import ServerFactory, TokenClient, TokenError

NewServer = Callable[..., AuthorizationServer]
NewClient = Callable[..., TokenClient]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def new_server(sc_auth_server_factory: ServerFactory) -> NewServer:
    """Make a running server, in the dialect of the RFCs unless told otherwise."""

    def make(**options: Any) -> AuthorizationServer:
        return sc_auth_server_factory.make(**{"dialect": "rfc6749", **options})

    return make


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Make token clients of a server, closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def make(server: AuthorizationServer, client_id: str | None = None, *, query: str = "") -> TokenClient:
            known = server.credentials_of(client_id)
            return stack.enter_context(
                TokenClient(known.token_url + query, known.client_id, known.client_secret, known.scope)
            )

        yield make


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[requests.PreparedRequest]:
    """The requests that requests sends, in their order."""
    seen: list[requests.PreparedRequest] = []
    send = requests.adapters.HTTPAdapter.send

    def note(adapter: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen.append(request)
        return send(adapter, request, **options)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", note)
    return seen


def test_A02_client_encodes_id_and_secret_before_base64(
    new_server: NewServer, new_client: NewClient, sent: list[requests.PreparedRequest]
) -> None:
    server = new_server(basic_decoding="form")
    server.register(" %&+£€", "a+b%c:d &£€")

    new_client(server, " %&+£€").fetch()

    # RFC 6749, appendix B
    encoded = b"+%25%26%2B%C2%A3%E2%82%AC:a%2Bb%25c%3Ad+%26%C2%A3%E2%82%AC"
    assert sent[0].headers["Authorization"] == f"Basic {base64.b64encode(encoded).decode()}"


def test_A05_and_A10_client_posts_credentials_in_the_header_alone(
    new_server: NewServer, new_client: NewClient, sent: list[requests.PreparedRequest]
) -> None:
    new_client(new_server()).fetch()

    assert sent[0].method == "POST"
    assert sent[0].headers["Authorization"].startswith("Basic ")
    assert sent[0].body == "grant_type=client_credentials&scope=ingr.api"


def test_A14_client_refuses_a_token_url_with_a_fragment(new_server: NewServer, new_client: NewClient) -> None:
    server = new_server()

    with pytest.raises(ValueError, match="fragment"):
        new_client(server, query="#top")


def test_A14_client_keeps_the_query_of_the_token_url(
    new_server: NewServer, new_client: NewClient, sent: list[requests.PreparedRequest]
) -> None:
    server = new_server()

    new_client(server, query="?tenant=7").fetch()

    assert sent[0].url == server.token_url + "?tenant=7"


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
def test_B05_client_compares_the_token_type_without_case(
    new_server: NewServer, new_client: NewClient, token_type: str
) -> None:
    def token_response(grant: Grant, value: str) -> dict[str, Any]:
        return {"access_token": value, "token_type": token_type}

    server = new_server(dialect=Dialect(name="own", token_response=token_response))

    assert new_client(server).fetch().token_type == token_type


def test_B06_client_takes_other_members_in_any_order(new_server: NewServer, new_client: NewClient) -> None:
    def token_response(grant: Grant, value: str) -> dict[str, Any]:
        return {"example": {"a": [None]}, "expires_in": 60, "token_type": "Bearer", "access_token": value, "id": 7}

    server = new_server(dialect=Dialect(name="own", token_response=token_response))

    assert new_client(server).fetch().value


def test_B15_client_does_not_ask_again_after_429(new_server: NewServer, new_client: NewClient) -> None:
    server = new_server()
    server.fail("rate_limited", retry_after=60)

    with pytest.raises(TokenError) as refused:
        new_client(server).token()

    assert refused.value.status == 429
    assert len(server.token_requests) == 1


def test_C01_and_C02_client_sends_the_token_in_the_header_alone(
    new_server: NewServer, new_client: NewClient, sent: list[requests.PreparedRequest]
) -> None:
    server = new_server()
    client = new_client(server)

    response = requests.post(f"{server.api.url}/Tags?page=2", data={"tag": "7"}, auth=client.auth, timeout=10)

    assert response.status_code == 200
    assert sent[1].headers["Authorization"] == f"Bearer {client.token().value}"
    assert (sent[1].url, sent[1].body) == (f"{server.api.url}/Tags?page=2", "tag=7")


def test_C09_client_renews_a_token_that_the_api_calls_invalid(new_server: NewServer, new_client: NewClient) -> None:
    server = new_server()
    client = new_client(server)
    server.revoke(client.token().value)

    response = requests.get(f"{server.api.url}/Tags", auth=client.auth, timeout=10)

    assert response.status_code == 200
    assert [entry.status for entry in server.api_requests] == [401, 200]

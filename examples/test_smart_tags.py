"""The tests that a team would write for smart_tags.py: a token's whole life, and no real credentials."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from smart_tags import AccessError, LoginError, Settings, SmartApi, SmartApiError, main

from fake_server import AuthorizationServer, Credentials, ProtectedApi, Reason
from pytest_sc_auth import ProcessClock

TAGS = ["P-101", "P-102", "V-201", "V-202", "E-301"]
PAGE = 2


@pytest.fixture(autouse=True)
def project(sc_auth_api: ProtectedApi) -> None:
    """A project with five tags, of which the API gives two a page."""

    def page(request: Any, claims: Any) -> dict[str, Any]:
        skip = int(request.args.get("$skip", 0))
        answer: dict[str, Any] = {"value": [{"Name": name} for name in TAGS[skip : skip + PAGE]]}
        if skip + PAGE < len(TAGS):
            answer["@odata.nextLink"] = f"{sc_auth_api.url}/Tags?$skip={skip + PAGE}"
        return answer

    sc_auth_api.get("/Tags", page)


@pytest.fixture
def settings(sc_auth_credentials: Credentials) -> Settings:
    """The program's settings, with this test's credentials."""
    return Settings(
        token_url=sc_auth_credentials.token_url,
        api_url=sc_auth_credentials.api_url,
        client_id=sc_auth_credentials.client_id,
        client_secret=sc_auth_credentials.client_secret,
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[SmartApi]:
    """The program's own client of the API."""
    with contextlib.closing(SmartApi(settings)) as api:
        yield api


def test_all_pages_are_read(api: SmartApi) -> None:
    assert list(api.tags()) == TAGS


def test_token_is_fetched_once_for_all_pages(api: SmartApi, sc_auth_server: AuthorizationServer) -> None:
    list(api.tags())
    list(api.tags())

    assert len(sc_auth_server.token_requests) == 1
    assert len(sc_auth_server.api_requests) == 6


def test_token_is_renewed_after_its_hour(
    api: SmartApi, sc_auth_server: AuthorizationServer, sc_auth_clock: ProcessClock
) -> None:
    list(api.tags())
    sc_auth_clock.advance(hours=1)

    assert list(api.tags()) == TAGS
    assert len(sc_auth_server.token_requests) == 2
    assert all(exchange.status == 200 for exchange in sc_auth_server.api_requests)


@pytest.mark.parametrize(("seconds", "requests"), [(3539, 1), (3540, 2), (3541, 2)])
def test_token_is_renewed_a_minute_before_it_expires(
    seconds: int, requests: int, api: SmartApi, sc_auth_server: AuthorizationServer, sc_auth_clock: ProcessClock
) -> None:
    list(api.tags())
    sc_auth_clock.advance(seconds)
    list(api.tags())

    assert len(sc_auth_server.token_requests) == requests


def test_token_that_the_server_lets_die_early_is_renewed(api: SmartApi, sc_auth_server: AuthorizationServer) -> None:
    pages = api.tags()
    next(pages)
    sc_auth_server.clock.advance(hours=1)  # the server's clock alone: the program has no way to know

    assert list(pages) == TAGS[1:]
    assert [exchange.status for exchange in sc_auth_server.api_requests] == [200, 401, 200, 200]
    assert sc_auth_server.api_requests[1].reason is Reason.EXPIRED_TOKEN
    assert len(sc_auth_server.token_requests) == 2


def test_wrong_secret_is_a_login_error(settings: Settings, sc_auth_server: AuthorizationServer) -> None:
    with contextlib.closing(SmartApi(replace(settings, client_secret="not-the-secret"))) as api:
        with pytest.raises(LoginError, match="invalid_client"):
            list(api.tags())

    assert sc_auth_server.token_requests[0].reason is Reason.WRONG_SECRET
    assert not sc_auth_server.api_requests


def test_secret_rotated_meanwhile_is_a_login_error_at_the_next_renewal(
    api: SmartApi, settings: Settings, sc_auth_server: AuthorizationServer, sc_auth_clock: ProcessClock
) -> None:
    list(api.tags())
    sc_auth_server.clients[settings.client_id].rotate_secret()

    assert list(api.tags()) == TAGS
    sc_auth_clock.advance(hours=1)
    with pytest.raises(LoginError, match="invalid_client"):
        list(api.tags())


@pytest.mark.sc_auth(scopes=["ingr.api", "reports"])
def test_token_without_the_scope_is_an_access_error(settings: Settings, sc_auth_server: AuthorizationServer) -> None:
    with contextlib.closing(SmartApi(replace(settings, scope="reports"))) as api:
        with pytest.raises(AccessError, match="insufficient_scope"):
            list(api.tags())

    assert [exchange.status for exchange in sc_auth_server.api_requests] == [403]


def test_api_that_refuses_every_token_is_asked_twice_and_no_more(
    api: SmartApi, sc_auth_server: AuthorizationServer
) -> None:
    sc_auth_server.api.get("/Tags", status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    with pytest.raises(AccessError, match="invalid_token"):
        list(api.tags())

    assert len(sc_auth_server.api_requests) == 2


def test_api_that_is_out_of_order_is_an_error(api: SmartApi, sc_auth_server: AuthorizationServer) -> None:
    sc_auth_server.api.get("/Tags", status=503)

    with pytest.raises(SmartApiError, match="503"):
        list(api.tags())


def test_program_lists_the_tags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    monkeypatch.setenv("SMART_API_TOKEN_URL", settings.token_url)
    monkeypatch.setenv("SMART_API_URL", settings.api_url)
    monkeypatch.setenv("SMART_API_CLIENT_ID", settings.client_id)
    monkeypatch.setenv("SMART_API_CLIENT_SECRET", settings.client_secret)

    status = main([])

    assert status == 0
    assert capsys.readouterr().out.split() == TAGS


def test_program_says_which_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("TOKEN_URL", "URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"SMART_API_{name}", raising=False)

    status = main([])

    assert status == 1
    assert capsys.readouterr().err == "smart_tags: the environment variable SMART_API_TOKEN_URL is not set\n"

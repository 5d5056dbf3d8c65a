"""Authlib with requests and with httpx: it renews a token by itself, a minute before its end."""

import warnings

import authlib.deprecate  # noqa: F401  # sets a filter of its own when it is loaded: before ours
import pytest
from authlib.integrations.base_client import InvalidTokenError, MissingTokenError, OAuthError
from authlib.integrations.requests_client import OAuth2Session

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones would rather have httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client


def new_session(library, c, *, secret=None):
    return library(
        c.client_id,
        secret or c.client_secret,
        # What fetch_token alone is told is not remembered, and there are no renewals.
        grant_type="client_credentials",
        scope=c.scope,
        token_endpoint=c.token_url,
    )


@pytest.fixture(params=[OAuth2Session, OAuth2Client], ids=["requests", "httpx"])
def library(request):
    return request.param


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize(("seconds", "tokens"), [(3540, 1), (3541, 2), (3600, 2)])
def test_token_is_renewed_a_minute_early(
    library, seconds, tokens, sc_auth_credentials, sc_auth_api, sc_auth_server, sc_auth_clock
):
    with new_session(library, sc_auth_credentials) as session:
        session.fetch_token()
        sc_auth_clock.advance(seconds)
        assert session.get(sc_auth_api.url).status_code == 200
    sc_auth_server.assert_token_requests(tokens)


@pytest.mark.sc_auth(token_lifetime=60)
def test_trap_a_token_of_a_minute_is_renewed_for_each_call(
    library, sc_auth_credentials, sc_auth_api, sc_auth_server, sc_auth_clock
):
    with new_session(library, sc_auth_credentials) as session:
        session.fetch_token()
        for _ in range(2):
            sc_auth_clock.advance(1)
            session.get(sc_auth_api.url)
    sc_auth_server.assert_token_requests(3)


def test_trap_a_token_that_the_server_ended_is_not_renewed(library, sc_auth_credentials, sc_auth_api, sc_auth_server):
    with new_session(library, sc_auth_credentials) as session:
        session.fetch_token()
        sc_auth_server.expire_all()
        assert [session.get(sc_auth_api.url).status_code for _ in range(2)] == [401, 401]
        session.fetch_token()
        assert session.get(sc_auth_api.url).status_code == 200


def test_wrong_secret_is_an_error_with_the_servers_code(library, sc_auth_credentials):
    with new_session(library, sc_auth_credentials, secret="wrong") as session, pytest.raises(OAuthError) as error:
        session.fetch_token()
    assert error.value.error == "invalid_client"


def test_trap_a_grant_type_of_fetch_token_is_forgotten(sc_auth_credentials, sc_auth_api, sc_auth_clock):
    c = sc_auth_credentials
    with OAuth2Session(c.client_id, c.client_secret, scope=c.scope, token_endpoint=c.token_url) as session:
        session.fetch_token(grant_type="client_credentials")
        sc_auth_clock.advance(hours=1)
        with pytest.raises(InvalidTokenError):
            session.get(sc_auth_api.url)


def test_trap_the_first_token_is_not_fetched_by_itself(library, sc_auth_credentials, sc_auth_api):
    with new_session(library, sc_auth_credentials) as session, pytest.raises(MissingTokenError):
        session.get(sc_auth_api.url)


@pytest.mark.anyio
async def test_async_client_renews_too(sc_auth_credentials, sc_auth_api, sc_auth_server, sc_auth_clock):
    async with new_session(AsyncOAuth2Client, sc_auth_credentials) as session:
        await session.fetch_token()
        sc_auth_clock.advance(hours=1)
        assert (await session.get(sc_auth_api.url)).status_code == 200
    sc_auth_server.assert_token_requests(2)

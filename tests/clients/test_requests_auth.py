"""requests-auth with the production URLs of an Okta tenant: it renews half a minute before a token's end."""

import pytest
import requests
from requests_auth import InvalidGrantRequest, OAuth2, OktaClientCredentials


@pytest.fixture(autouse=True)
def empty_cache():  # all tests of a process share it, and so would their tokens be
    yield
    OAuth2.token_cache.clear()


@pytest.fixture
def api_url(sc_auth_intercept):
    c = sc_auth_intercept(
        token_url="https://idp.example.com/oauth2/aus1/v1/token", api_url="https://sc.example.com/sc/datalake/v1"
    )
    return c.api_url


@pytest.fixture
def auth(api_url, sc_auth_server):
    return login(sc_auth_server)


def login(server, *, secret=None, **settings):
    c = server.credentials_of()
    return OktaClientCredentials(
        "idp.example.com",
        c.client_id,
        secret or c.client_secret,
        scope=c.scope,
        authorization_server="aus1",
        **settings,
    )


@pytest.mark.parametrize(("seconds", "tokens"), [(3570, 1), (3571, 2), (3600, 2)])
def test_token_is_renewed_half_a_minute_early(seconds, tokens, auth, api_url, sc_auth_server, sc_auth_clock):
    requests.get(api_url, auth=auth)
    sc_auth_clock.advance(seconds)
    assert requests.get(api_url, auth=auth).ok
    sc_auth_server.assert_token_requests(tokens)


def test_trap_a_token_that_the_server_ended_is_not_renewed(auth, api_url, sc_auth_server):
    requests.get(api_url, auth=auth)
    sc_auth_server.expire_all()
    assert [requests.get(api_url, auth=auth).status_code for _ in range(2)] == [401, 401]
    OAuth2.token_cache.clear()
    assert requests.get(api_url, auth=auth).ok


def test_wrong_secret_is_an_error(api_url, sc_auth_server):
    with pytest.raises(InvalidGrantRequest, match="^invalid_client"):
        requests.get(api_url, auth=login(sc_auth_server, secret="wrong"))


def test_trap_another_client_gets_the_first_ones_token(auth, api_url, sc_auth_server):
    requests.get(api_url, auth=auth)
    assert requests.get(api_url, auth=login(sc_auth_server, secret="wrong")).ok
    sc_auth_server.assert_token_requests(1)


def test_trap_early_expiry_of_0_is_taken_for_its_default(api_url, sc_auth_server, sc_auth_clock):
    auth = login(sc_auth_server, early_expiry=0)
    requests.get(api_url, auth=auth)
    sc_auth_clock.advance(3571)
    requests.get(api_url, auth=auth)
    sc_auth_server.assert_token_requests(2)

"""requests-oauthlib over https, which it insists on: OAUTHLIB_INSECURE_TRANSPORT is not needed."""

import pytest
from oauthlib.oauth2 import (
    BackendApplicationClient,
    InsecureTransportError,
    InvalidClientError,
    TokenExpiredError,
)
from requests_oauthlib import OAuth2Session

pytestmark = pytest.mark.sc_auth(tls=True)


def login(c, secret=None):
    session = OAuth2Session(client=BackendApplicationClient(c.client_id, scope=c.scope))
    session.fetch_token(c.token_url, client_secret=secret or c.client_secret)
    return session


def test_trap_http_is_refused_before_anything_is_sent(sc_auth_credentials, sc_auth_server):
    session = OAuth2Session(client=BackendApplicationClient(sc_auth_credentials.client_id))
    with pytest.raises(InsecureTransportError):
        session.fetch_token(sc_auth_credentials.token_url.replace("https:", "http:"))
    sc_auth_server.assert_token_requests(0)


def test_trap_an_expired_token_is_an_error_and_is_not_renewed(
    sc_auth_credentials, sc_auth_api, sc_auth_server, sc_auth_clock
):
    session = login(sc_auth_credentials)
    assert session.get(sc_auth_api.url).ok
    sc_auth_clock.advance(3601)
    with pytest.raises(TokenExpiredError):
        session.get(sc_auth_api.url)
    sc_auth_server.assert_token_requests(1)
    assert login(sc_auth_credentials).get(sc_auth_api.url).ok


def test_trap_there_is_no_leeway(sc_auth_credentials, sc_auth_api, sc_auth_clock):
    session = login(sc_auth_credentials)
    sc_auth_clock.advance(3600)  # expired, and it is sent
    assert session.get(sc_auth_api.url).status_code == 401


def test_trap_a_token_that_the_server_ended_is_not_renewed(sc_auth_credentials, sc_auth_api, sc_auth_server):
    session = login(sc_auth_credentials)
    sc_auth_server.expire_all()
    assert [session.get(sc_auth_api.url).status_code for _ in range(2)] == [401, 401]
    assert login(sc_auth_credentials).get(sc_auth_api.url).ok


def test_wrong_secret_is_an_error_of_its_own(sc_auth_credentials):
    with pytest.raises(InvalidClientError):
        login(sc_auth_credentials, secret="wrong")

"""msal against the entra dialect, over https, which it insists on."""

import msal
import pytest
import requests

from fake_server import entra_tenant

TENANT = "0b7cf3a1-52d4-4c5e-9a68-3f1d7e2b8c90"
AUTHORITY = f"https://login.microsoftonline.com/{TENANT}"

pytestmark = pytest.mark.sc_auth(dialect="entra", tls=True)


def application(server, *, secret=None, authority=None):
    c = server.credentials_of()
    return msal.ConfidentialClientApplication(
        c.client_id,
        client_credential=secret or c.client_secret,
        authority=authority or server.issuer.removesuffix("/v2.0"),
        instance_discovery=False,  # else it asks login.microsoftonline.com whether it knows the host
    )


def ask(app, server):
    return app.acquire_token_for_client([server.credentials_of().scope])


def call(api, answer):
    return requests.get(api.url, headers={"Authorization": f"Bearer {answer['access_token']}"}, timeout=10).status_code


@pytest.mark.parametrize(("seconds", "tokens"), [(3299, 1), (3300, 2), (3600, 2)])
def test_token_is_renewed_five_minutes_early(seconds, tokens, sc_auth_server, sc_auth_api, sc_auth_clock):
    app = application(sc_auth_server)
    ask(app, sc_auth_server)
    sc_auth_clock.advance(seconds)
    assert call(sc_auth_api, ask(app, sc_auth_server)) == 200
    sc_auth_server.assert_token_requests(tokens)


@pytest.mark.sc_auth(dialect=entra_tenant(TENANT), tls=False)
def test_production_authority_of_a_tenant_is_answered(sc_auth_server, sc_auth_intercept, sc_auth_clock):
    sc_auth_intercept(token_url=f"{AUTHORITY}/oauth2/v2.0/token", api_url="https://sc.example.com/sc/datalake/v1")
    app = application(sc_auth_server, authority=AUTHORITY)
    assert call(sc_auth_server.api, ask(app, sc_auth_server)) == 200
    sc_auth_clock.advance(hours=1)
    assert call(sc_auth_server.api, ask(app, sc_auth_server)) == 200
    assert sc_auth_server.issuer == f"{AUTHORITY}/v2.0"
    sc_auth_server.assert_token_requests(2)


def test_trap_its_cache_gives_out_a_token_that_the_server_ended(sc_auth_server, sc_auth_api):
    app = application(sc_auth_server)
    ask(app, sc_auth_server)
    sc_auth_server.expire_all()
    assert call(sc_auth_api, ask(app, sc_auth_server)) == 401
    app.remove_tokens_for_client()
    assert call(sc_auth_api, ask(app, sc_auth_server)) == 200


def test_trap_a_wrong_secret_is_an_answer_and_no_exception(sc_auth_server):
    answer = ask(application(sc_auth_server, secret="wrong"), sc_auth_server)
    assert answer["error"] == "invalid_client"
    assert answer["error_codes"] == [7000215]


def test_trap_a_refusal_with_400_is_kept_for_a_minute(sc_auth_server, sc_auth_clock):
    app = application(sc_auth_server)
    for _ in range(2):
        assert app.acquire_token_for_client(["no-resource"])["error"] == "invalid_scope"
    sc_auth_server.assert_token_requests(1)
    sc_auth_clock.advance(minutes=2)
    app.acquire_token_for_client(["no-resource"])
    sc_auth_server.assert_token_requests(2)


def test_trap_http_is_refused(sc_auth_server):
    with pytest.raises(ValueError, match="https"):
        msal.ConfidentialClientApplication(
            "my-client", authority=sc_auth_server.issuer.replace("https:", "http:"), instance_discovery=False
        )

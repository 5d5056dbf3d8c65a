"""How to do what tests of a token's consumer need: the README shows these word for word."""

import contextlib
import dataclasses
import datetime
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import werkzeug.test
from joserfc import jwt
from joserfc.jwk import ECKey

from fake_server import DIALECTS, AuthorizationServer, Listener, Options, Reason
from pytest_sc_auth import TokenError


def test_hour_passes(sc_auth_client, sc_auth_clock):
    first = sc_auth_client.token()
    sc_auth_clock.advance(hours=1)
    assert sc_auth_client.token() != first


def test_moment_is_chosen(sc_auth_session, sc_auth_api, sc_auth_clock):
    sc_auth_clock.move_to("2027-01-01T00:00:00+00:00")
    claims = sc_auth_session.get(sc_auth_api.url).json()["claims"]
    assert datetime.datetime.now(datetime.timezone.utc).year == 2027
    assert claims["exp"] == sc_auth_clock.time() + 3600


@pytest.mark.parametrize(("seconds", "tokens"), [(-1, 1), (0, 2), (1, 2)])
def test_token_is_renewed_when_30_seconds_are_left(sc_auth_client, sc_auth_server, sc_auth_clock, seconds, tokens):
    sc_auth_client.token()
    sc_auth_clock.advance(3600 - 30 + seconds)  # its lifetime, less your client's leeway
    sc_auth_client.token()
    assert len(sc_auth_server.token_requests) == tokens


def test_server_alone_thinks_that_the_token_expired(sc_auth_session, sc_auth_api, sc_auth_server):
    sc_auth_session.get(sc_auth_api.url)
    sc_auth_server.clock.advance(hours=1)
    sc_auth_session.get(sc_auth_api.url)
    assert [exchange.status for exchange in sc_auth_server.api_requests] == [200, 401, 200]


def test_token_dies_early(sc_auth_session, sc_auth_api, sc_auth_server, sc_auth_client):
    sc_auth_server.expire(sc_auth_client.token().value)  # or revoke(token), expire_all(), rotate_keys(...)
    assert sc_auth_session.get(sc_auth_api.url).status_code == 200
    assert len(sc_auth_server.token_requests) == 2


def test_secret_is_wrong(sc_auth_client, sc_auth_server):
    sc_auth_server.clients[sc_auth_client.client_id].rotate_secret()
    with pytest.raises(TokenError) as error:
        sc_auth_client.token()
    assert (error.value.error, error.value.status) == ("invalid_client", 401)


def test_server_fails_twice(sc_auth_client, sc_auth_server):
    sc_auth_server.fail(["temporarily_unavailable", "connection_reset", "good"])
    for error in ("temporarily_unavailable", "connection_failed"):
        with pytest.raises(TokenError, match=error):
            sc_auth_client.token()
    assert sc_auth_client.token()


def test_client_meets_every_failure(sc_auth_client, sc_auth_failure):
    sc_auth_client.timeout = 0.5  # seconds: one of the failures is a server that never answers
    with contextlib.nullcontext() if sc_auth_failure.is_legal else pytest.raises(TokenError):
        sc_auth_client.token()


@pytest.mark.sc_auth(scopes=["ingr.api", "reports"], token_lifetime=60)
def test_scope_is_missing(sc_auth_server, sc_auth_api):
    token = sc_auth_server.mint(scope="reports")
    response = requests.get(sc_auth_api.url, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403


def test_request_is_looked_at(sc_auth_server, sc_auth_credentials):
    form = {"grant_type": "client_credentials", "scope": "INGR.API"}
    auth = (sc_auth_credentials.client_id, sc_auth_credentials.client_secret)
    requests.post(sc_auth_credentials.token_url, data=form, auth=auth)
    exchange = sc_auth_server.token_requests[-1]
    assert exchange.reason is Reason.UNKNOWN_SCOPE
    assert exchange.diagnosis.endswith("scopes are case-sensitive: send 'ingr.api'")


def test_api_answers_what_the_test_says(sc_auth_session, sc_auth_api):
    sc_auth_api.get("/Tags/<name>", lambda request, claims, name: {"Name": name, "By": claims["sub"]})
    sc_auth_api.post("/Tags", status=201, headers={"Location": "/Tags/P-103"})
    assert sc_auth_session.get(f"{sc_auth_api.url}/Tags/P-101").json()["Name"] == "P-101"
    assert sc_auth_session.post(f"{sc_auth_api.url}/Tags", json={}).status_code == 201


def test_token_is_renewed_once(sc_auth_session, sc_auth_api, sc_auth_server, sc_auth_client):
    sc_auth_session.get(f"{sc_auth_api.url}/Tags")
    sc_auth_server.expire_all()
    sc_auth_session.get(f"{sc_auth_api.url}/Tags")
    sc_auth_server.assert_renewed_once()


def test_eight_threads_ask_for_one_token(sc_auth_client, sc_auth_server):
    sc_auth_server.hold(8)
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: sc_auth_client.token().value, range(8)))
    sc_auth_server.assert_single_flight()
    assert len(tokens) == 1


def test_production_urls_are_kept(sc_auth_intercept):
    c = sc_auth_intercept(
        token_url="https://idp.example.com/oauth2/aus1/v1/token", api_url="https://sc.example.com/sc/datalake/v1"
    )
    form = {"grant_type": "client_credentials", "scope": c.scope}
    token = requests.post(c.token_url, data=form, auth=(c.client_id, c.client_secret)).json()["access_token"]
    answer = requests.get("https://sc.example.com/sc/datalake/v1", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["claims"]["iss"] == "https://idp.example.com/oauth2/aus1"


@pytest.mark.sc_auth(tls=True)
def test_https_is_trusted(sc_auth_server, sc_auth_api):
    assert sc_auth_api.url.startswith("https://127.0.0.1:")
    assert requests.get(sc_auth_server.jwks_uri).ok  # by REQUESTS_CA_BUNDLE, set for this test
    assert requests.get(sc_auth_server.jwks_uri, verify=sc_auth_server.ca_file).ok


def test_token_is_introspected_and_revoked(sc_auth_server, sc_auth_credentials, sc_auth_token):
    form = {"token": sc_auth_token}
    auth = (sc_auth_credentials.client_id, sc_auth_credentials.client_secret)
    assert requests.post(sc_auth_server.introspection_url, data=form, auth=auth).json()["active"] is True
    assert requests.post(sc_auth_server.revocation_url, data=form, auth=auth).ok
    assert requests.post(sc_auth_server.introspection_url, data=form, auth=auth).json() == {"active": False}


def test_client_signs_who_it_is(sc_auth_server):
    key = ECKey.generate_key("P-256")
    client = sc_auth_server.register(public_key=key.as_dict(private=False))  # a JWK, a JWK Set or PEM
    now = time.time()
    claims = {"iss": client.client_id, "sub": client.client_id, "aud": sc_auth_server.token_url, "exp": now + 60}
    form = {
        "grant_type": "client_credentials",
        "scope": "ingr.api",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES256"}, claims, key),
    }
    assert requests.post(sc_auth_server.token_url, data=form).ok


@pytest.fixture(scope="session")
def shared_server(sc_auth_server_factory):
    return sc_auth_server_factory.make(token_lifetime=86400)


def test_server_lives_for_the_session(shared_server):
    credentials = shared_server.credentials_of()
    assert credentials.token_url.endswith("/v1/token")


def test_server_runs_without_pytest():
    with Listener() as listener:
        server = listener.serve(Options(token_lifetime=60))
        client = server.register("my-client", "my-secret")
        form = {"grant_type": "client_credentials", "scope": "ingr.api"}
        answer = requests.post(server.token_url, data=form, auth=(client.client_id, client.client_secret))
        assert answer.json()["expires_in"] == 60


def test_server_runs_without_a_socket():
    server = AuthorizationServer(base_url="https://idp.example.com/oauth2/aus1")
    client = server.register()
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    http = werkzeug.test.Client(server)
    answer = http.post("/oauth2/aus1/v1/token", data=form, auth=(client.client_id, client.client_secret))
    assert answer.status_code == 200


def test_dialect_is_your_own():
    okta = DIALECTS["okta"]
    wrong_secret = dataclasses.replace(okta.errors[Reason.WRONG_SECRET], status=400)
    mine = dataclasses.replace(okta, name="mine", errors={**okta.errors, Reason.WRONG_SECRET: wrong_secret})
    server = AuthorizationServer(Options(dialect=mine))
    server.register("my-client", "my-secret")
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    answer = werkzeug.test.Client(server).post("/v1/token", data=form, auth=("my-client", "wrong"))
    assert answer.status_code == 400

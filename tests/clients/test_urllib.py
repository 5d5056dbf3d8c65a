"""urllib over http and http.client over https: the header of RFC 6749 is made by hand."""

import base64
import contextlib
import dataclasses
import http.client
import json
import ssl
import urllib.error
import urllib.request
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest


def basic(c):
    return base64.b64encode(f"{quote_plus(c.client_id)}:{quote_plus(c.client_secret)}".encode()).decode()


def form(c):
    return urlencode({"grant_type": "client_credentials", "scope": c.scope})


def fetch_token(c):
    request = urllib.request.Request(c.token_url, form(c).encode(), {"Authorization": f"Basic {basic(c)}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["access_token"]


def call(c, token):
    request = urllib.request.Request(f"{c.api_url}/Tags", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:  # it is the answer, too, and open
            return error.status


def exchange(connection, method, url, *message):
    connection.request(method, urlsplit(url).path, *message)
    answer = connection.getresponse()
    return answer.status, answer.read()  # unread, it would be ResponseNotReady for the next one


def test_urllib_gets_a_token_for_an_hour(sc_auth_credentials, sc_auth_clock):
    token = fetch_token(sc_auth_credentials)
    assert call(sc_auth_credentials, token) == 200
    sc_auth_clock.advance(hours=1)
    assert call(sc_auth_credentials, token) == 401
    assert call(sc_auth_credentials, fetch_token(sc_auth_credentials)) == 200


def test_urllib_is_told_that_the_token_died_early(sc_auth_credentials, sc_auth_server):
    token = fetch_token(sc_auth_credentials)
    sc_auth_server.expire_all()
    assert call(sc_auth_credentials, token) == 401
    assert call(sc_auth_credentials, fetch_token(sc_auth_credentials)) == 200


def test_urllib_raises_for_a_wrong_secret(sc_auth_credentials):
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch_token(dataclasses.replace(sc_auth_credentials, client_secret="wrong"))
    with error.value as answer:
        assert json.load(answer)["error"] == "invalid_client"


@pytest.mark.sc_auth(dialect="rfc6749")
def test_trap_urllibs_own_basic_handler_waits_to_be_refused(sc_auth_credentials, sc_auth_server):
    c = sc_auth_credentials
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, c.token_url, c.client_id, c.client_secret)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    with opener.open(c.token_url, form(c).encode(), timeout=10) as answer:
        assert answer.status == 200
    assert [exchange.status for exchange in sc_auth_server.token_requests] == [401, 200]


@pytest.mark.sc_auth(tls=True)
def test_http_client_lives_through_expiry_and_meets_a_wrong_secret(sc_auth_credentials, sc_auth_server, sc_auth_clock):
    c = sc_auth_credentials
    trust = ssl.create_default_context()  # reads SSL_CERT_FILE, set for this test
    connection = http.client.HTTPSConnection(urlsplit(c.token_url).netloc, context=trust, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic(c)}"}
    with contextlib.closing(connection):
        _, body = exchange(connection, "POST", c.token_url, form(c), headers)
        bearer = {"Authorization": f"Bearer {json.loads(body)['access_token']}"}
        before, _ = exchange(connection, "GET", f"{c.api_url}/Tags", None, bearer)
        sc_auth_clock.advance(hours=1)
        after, _ = exchange(connection, "GET", f"{c.api_url}/Tags", None, bearer)
        sc_auth_server.clients[c.client_id].rotate_secret()
        refused, _ = exchange(connection, "POST", c.token_url, form(c), headers)
    assert (before, after, refused) == (200, 401, 401)

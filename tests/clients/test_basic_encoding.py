"""RFC 6749, section 2.3.1 has ids and secrets form-encoded before they are joined by a colon: none of these does."""

import contextlib
import subprocess

import httpx
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient
from requests_auth import OAuth2ClientCredentials
from requests_oauthlib import OAuth2Session

from fake_server import Reason

FORM = {"grant_type": "client_credentials", "scope": "ingr.api"}


def by_requests(url, *client):
    requests.post(url, data=FORM, auth=client, timeout=10)


def by_httpx(url, *client):
    httpx.post(url, data=FORM, auth=client)


def by_curl(url, *client):
    form = ["--data", "grant_type=client_credentials", "--data", "scope=ingr.api"]
    subprocess.run(["curl", "--silent", "--noproxy", "*", "--user", ":".join(client), *form, url], capture_output=True)


def by_requests_oauthlib(url, client_id, client_secret):
    client = BackendApplicationClient(client_id, scope="ingr.api")
    with OAuth2Session(client=client) as session:
        session.fetch_token(url, client_secret=client_secret)


def by_authlib(url, *client):
    with AuthlibSession(*client, scope="ingr.api") as session:
        session.fetch_token(url, grant_type="client_credentials")


def by_requests_auth(url, *client):
    OAuth2ClientCredentials(url, *client, scope="ingr.api").request_new_token()


SENDERS = [by_requests, by_httpx, by_curl, by_requests_oauthlib, by_authlib, by_requests_auth]
each_sender = pytest.mark.parametrize("send", SENDERS, ids=[send.__name__[3:] for send in SENDERS])


@each_sender
@pytest.mark.sc_auth(tls=True)
def test_raw_secret_is_taken(send, sc_auth_server):
    client = sc_auth_server.register("my-client", "a+b%41")
    send(sc_auth_server.token_url, client.client_id, client.client_secret)
    assert [exchange.status for exchange in sc_auth_server.token_requests] == [200]


@each_sender
@pytest.mark.sc_auth(tls=True, basic_decoding="form")
def test_trap_raw_secret_is_refused_by_a_server_that_decodes_it(send, sc_auth_server):
    client = sc_auth_server.register("my-client", "a+b%41")
    with contextlib.suppress(Exception):
        send(sc_auth_server.token_url, client.client_id, client.client_secret)
    assert [exchange.reason for exchange in sc_auth_server.token_requests] == [Reason.WRONG_SECRET]

"""httpx with a hand-written auth flow: sync and async, by socket and as a call of the WSGI application."""

import asyncio
import dataclasses
import time
from typing import Any, cast

import httpx
import pytest
from a2wsgi import WSGIMiddleware

from fake_server import Reason, TransportFault


class ClientCredentials(httpx.Auth):
    requires_response_body = True  # without it the flow cannot read the token's answer

    def __init__(self, credentials):
        self.credentials, self.token, self.expires_at = credentials, None, 0

    def auth_flow(self, request):
        if time.time() >= self.expires_at:
            self.keep((yield self.token_request()))
        request.headers["Authorization"] = f"Bearer {self.token}"
        if (yield request).status_code == 401:
            self.keep((yield self.token_request()))
            request.headers["Authorization"] = f"Bearer {self.token}"
            yield request

    def token_request(self):
        c = self.credentials
        form = {"grant_type": "client_credentials", "scope": c.scope}
        request = httpx.Request("POST", c.token_url, data=form)
        return next(httpx.BasicAuth(c.client_id, c.client_secret).auth_flow(request))

    def keep(self, answer):
        answer.raise_for_status()
        self.token, self.expires_at = answer.json()["access_token"], time.time() + answer.json()["expires_in"]


class InProcess(httpx.AsyncBaseTransport):
    """Call a WSGI application from async code, without a socket."""

    def __init__(self, app):
        self.wsgi = httpx.WSGITransport(app)

    async def handle_async_request(self, request):
        await request.aread()
        answer = self.wsgi.handle_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.read())


@pytest.fixture(params=["socket", "wsgi"])
def http(request, sc_auth_server, sc_auth_credentials):
    transport = httpx.WSGITransport(sc_auth_server) if request.param == "wsgi" else None
    with httpx.Client(auth=ClientCredentials(sc_auth_credentials), transport=transport) as client:
        yield client


@pytest.fixture(params=["socket", "wsgi", "asgi"])
def async_http(request, sc_auth_server, sc_auth_credentials):
    transport = {
        "socket": lambda: None,
        "wsgi": lambda: InProcess(sc_auth_server),
        "asgi": lambda: httpx.ASGITransport(cast(Any, WSGIMiddleware(sc_auth_server))),
    }[request.param]()
    return httpx.AsyncClient(auth=ClientCredentials(sc_auth_credentials), transport=transport)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_token_is_renewed_after_its_hour(http, sc_auth_api, sc_auth_server, sc_auth_clock):
    assert http.get(sc_auth_api.url).status_code == 200
    sc_auth_clock.advance(hours=1)
    assert http.get(sc_auth_api.url).status_code == 200
    assert [exchange.status for exchange in sc_auth_server.api_requests] == [200, 200]
    sc_auth_server.assert_token_requests(2)


def test_token_that_the_server_ended_is_renewed_once(http, sc_auth_api, sc_auth_server):
    http.get(sc_auth_api.url)
    sc_auth_server.clock.advance(hours=1)
    assert http.post(sc_auth_api.url, json={"Name": "P-101"}).status_code == 200
    sc_auth_server.assert_renewed_once()


def test_wrong_secret_is_a_status_error(http, sc_auth_api, sc_auth_server):
    http.auth = ClientCredentials(dataclasses.replace(http.auth.credentials, client_secret="wrong"))
    with pytest.raises(httpx.HTTPStatusError):
        http.get(sc_auth_api.url)
    assert sc_auth_server.token_requests[-1].reason is Reason.WRONG_SECRET


@pytest.mark.sc_auth(tls=True)
def test_https_is_trusted_by_ssl_cert_file(sc_auth_api, sc_auth_credentials):
    with httpx.Client(auth=ClientCredentials(sc_auth_credentials)) as http:
        assert http.get(sc_auth_api.url).status_code == 200


@pytest.mark.anyio
async def test_async_client_lives_through_expiry(async_http, sc_auth_api, sc_auth_server, sc_auth_clock):
    async with async_http as http:
        assert (await http.get(sc_auth_api.url)).status_code == 200
        sc_auth_clock.advance(hours=1)
        assert (await http.get(sc_auth_api.url)).status_code == 200
        sc_auth_server.expire_all()
        assert (await http.get(sc_auth_api.url)).status_code == 200
    assert [exchange.status for exchange in sc_auth_server.api_requests] == [200, 200, 401, 200]


def test_fault_of_the_connection_is_no_httpx_error_without_a_socket(http, sc_auth_api, sc_auth_server):
    sc_auth_server.fail("connection_reset")
    with pytest.raises((httpx.TransportError, TransportFault)) as error:
        http.get(sc_auth_api.url)
    assert isinstance(error.value, httpx.TransportError) == (http._transport.__class__ is httpx.HTTPTransport)


@pytest.mark.anyio
async def test_trap_each_of_three_calls_at_once_asks_for_a_token(sc_auth_credentials, sc_auth_api, sc_auth_server):
    sc_auth_server.hold(3)
    async with httpx.AsyncClient(auth=ClientCredentials(sc_auth_credentials)) as http:
        await asyncio.gather(*(http.get(sc_auth_api.url) for _ in range(3)))
    with pytest.raises(AssertionError):
        sc_auth_server.assert_single_flight()
    sc_auth_server.assert_token_requests(3)

"""aiohttp by hand, by socket, the only door that aiohttp has."""

import base64
import dataclasses
import ssl

import aiohttp
import pytest

from fake_server import Reason


async def fetch_token(http, c):
    form = {"grant_type": "client_credentials", "scope": c.scope}
    basic = base64.b64encode(f"{c.client_id}:{c.client_secret}".encode()).decode()
    async with http.post(c.token_url, data=form, headers={"Authorization": f"Basic {basic}"}) as answer:
        answer.raise_for_status()
        return (await answer.json())["access_token"]


async def call(http, c, token):
    async with http.get(f"{c.api_url}/Tags", headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_token_is_good_for_an_hour_or_until_the_server_ends_it(
    sc_auth_credentials, sc_auth_server, sc_auth_clock
):
    c = sc_auth_credentials
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http:
        first = await fetch_token(http, c)
        assert await call(http, c, first) == 200
        sc_auth_clock.advance(hours=1)
        assert await call(http, c, first) == 401
        second = await fetch_token(http, c)
        assert await call(http, c, second) == 200
        sc_auth_server.expire_all()
        assert await call(http, c, second) == 401


@pytest.mark.anyio
async def test_wrong_secret_is_a_response_error(sc_auth_credentials, sc_auth_server):
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientResponseError) as error:
            await fetch_token(http, dataclasses.replace(sc_auth_credentials, client_secret="wrong"))
    assert error.value.status == 401
    assert sc_auth_server.token_requests[-1].reason is Reason.WRONG_SECRET


@pytest.mark.anyio
@pytest.mark.sc_auth(tls=True)
async def test_trap_the_trust_of_https_is_read_when_aiohttp_is_imported(sc_auth_credentials, sc_auth_server):
    c = sc_auth_credentials
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await fetch_token(http, c)
    trust = ssl.create_default_context(cafile=sc_auth_server.ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
        assert await call(http, c, await fetch_token(http, c)) == 200

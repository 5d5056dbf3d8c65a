"""Async tests with sc_auth_clock: each plugin that runs them, with each engine of the clock."""

import pytest

TEST = """
    import asyncio
    import time

    import aiohttp
    import httpx
    import pytest

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.mark.MARKER
    async def test_it(sc_auth_credentials, sc_auth_api, sc_auth_token, sc_auth_clock):
        headers = {"Authorization": f"Bearer {sc_auth_token}"}
        async with httpx.AsyncClient() as http, aiohttp.ClientSession() as session:
            assert (await http.get(sc_auth_api.url, headers=headers)).status_code == 200
            before = time.time()
            sc_auth_clock.advance(hours=1)
            assert time.time() == before + 3600
            async with session.get(sc_auth_api.url, headers=headers) as answer:
                assert answer.status == 401
        await asyncio.wait_for(asyncio.sleep(0.001), timeout=5)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), timeout=0.001)
"""
ASYNCIO = ["-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.mark.parametrize("engine", ["freezegun", "time-machine"])
@pytest.mark.parametrize(("marker", "options"), [("asyncio", ASYNCIO), ("anyio", [])], ids=["asyncio", "anyio"])
def test_async_test_holds_the_time_and_does_not_hang(marker, options, engine, pytester):
    pytester.makepyfile(TEST.replace("MARKER", marker))
    result = pytester.runpytest_subprocess(*options, "-o", f"sc_auth_clock_engine={engine}", timeout=30)
    result.assert_outcomes(passed=1)

"""What a test does without a socket: tokens by interception, and clocks that are moved."""

import sys
import time
import types

import freezegun
import requests
import responses
from rounds import Figure, take_turns

from fake_server import Clock
from pytest_sc_auth import ServerFactory
from pytest_sc_auth.time_control import ProcessClock

__all__ = ["clocks", "interception"]

_URL = "https://idp.example.com/oauth2/aus1/v1/token"
_MODULES = 3000


def _ask(session: requests.Session, times: int, auth: tuple[str, str]) -> float:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    session.post(_URL, data=form, auth=auth)
    begin = time.perf_counter()
    for _ in range(times):
        assert session.post(_URL, data=form, auth=auth).json()["access_token"]
    return (time.perf_counter() - begin) / times


def interception(short: bool) -> list[Figure]:
    """Measure a token by sc_auth_intercept against a canned answer of responses."""
    times = 20 if short else 200
    factory = ServerFactory({"token_format": "opaque"}, urls={"token_url": _URL, "api_url": None})
    answer = {"token_type": "Bearer", "expires_in": 3600, "access_token": "x" * 43, "scope": "ingr.api"}
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}

    def canned() -> float:
        with responses.RequestsMock() as mock, requests.Session() as session:
            mock.post(_URL, json=answer, headers=headers)
            return _ask(session, times, ("my-client", "my-secret"))

    def ours() -> float:
        server = factory.make(client_id="my-client", client_secret="my-secret")
        with requests.Session() as session:
            seconds = _ask(session, times, ("my-client", "my-secret"))
        factory.stop(server)
        return seconds

    medians = take_turns(3 if short else 25, {"canned": canned, "ours": ours})
    factory.close()
    return [
        Figure.of_times(
            "an opaque token by interception, against a canned answer of `responses`",
            medians["ours"],
            medians["canned"],
            1.25,
        )
    ]


def _load_modules() -> None:
    """Load as many modules as a large project has, with names that freezegun looks at."""
    for number in range(_MODULES - len(sys.modules)):
        module = types.ModuleType(f"_benchmark_{number}")
        module.__dict__.update({f"name_{index}": index for index in range(30)})
        sys.modules[module.__name__] = module


def clocks(short: bool) -> list[Figure]:
    """Measure a step of the server's clock, and what sc_auth_clock costs a test."""
    _load_modules()
    clock, steps = Clock(), 2_000 if short else 100_000

    def advance() -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            clock.advance(1e-6)
        return (time.perf_counter() - begin) / steps

    def hold(engine: str) -> float:
        begin = time.perf_counter()
        with ProcessClock(lambda: (), engine=engine):
            pass
        return time.perf_counter() - begin

    def freeze() -> float:
        begin = time.perf_counter()
        with freezegun.freeze_time(ignore=["_pytest.timing"], real_asyncio=True):
            pass
        return time.perf_counter() - begin

    hold("freezegun")  # its first start looks at more
    medians = take_turns(
        3 if short else 31,
        {
            "advance": advance,
            "time-machine": lambda: hold("time-machine"),
            "freezegun": lambda: hold("freezegun"),
            "its own": freeze,
        },
    )
    return [
        Figure(what="`server.clock.advance`", measured=medians["advance"] * 1e6, limit=5, unit=" µs"),
        Figure(
            what=f"`sc_auth_clock` by time-machine, {_MODULES:,} modules loaded",
            measured=medians["time-machine"] * 1e3,
            limit=0.3,
            unit=" ms",
        ),
        Figure.of_times(
            "`sc_auth_clock` by freezegun, against its own start and stop",
            medians["freezegun"],
            medians["its own"],
            1.1,
        ),
    ]

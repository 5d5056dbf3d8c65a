"""Flights: how many token requests are under way at once, and the gate that holds them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer
from fake_server.flight import Flight
from fake_server.waiting import Waiting


def ask(server: AuthorizationServer) -> int:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    return Client(server).post(server.token_url, data=form, auth=("smart-client", "smart-secret")).status_code


@pytest.mark.usefixtures("client", "eager_threads")
def test_held_requests_are_seen_to_be_under_way_at_once(server: AuthorizationServer) -> None:
    server.hold(8, moment=5)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, [server] * 8))

    assert statuses == [200] * 8
    assert sorted(exchange.overlapping for exchange in server.token_requests) == list(range(8))


@pytest.mark.usefixtures("client")
def test_one_request_waits_a_moment_for_the_others_and_the_next_does_not(server: AuthorizationServer) -> None:
    server.hold(2, moment=0.1)

    begun = time.monotonic()
    ask(server)
    held = time.monotonic()
    for _ in range(3):
        ask(server)

    assert held - begun >= 0.1
    assert time.monotonic() - held < 0.1
    assert [exchange.overlapping for exchange in server.token_requests] == [0, 0, 0, 0]


def test_request_that_comes_after_those_held_finds_the_gate_open() -> None:
    flight = Flight(Waiting())
    flight.hold(1, moment=5)

    with flight as first, flight as second:
        assert (first, second) == (0, 1)
    with flight as third:
        assert third == 0


def test_hold_ends_when_the_server_lets_go() -> None:
    waiting = Waiting()
    flight = Flight(waiting)
    flight.hold(2, moment=60)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(lambda: flight.__enter__())
        while not held.done():
            waiting.release()

    assert held.result() == 0


@pytest.mark.usefixtures("client")
def test_slow_answer_is_under_way_until_it_leaves(server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, answered = threading.Event(), threading.Event()

    def wait(waiting: Waiting, seconds: float) -> None:
        arrived.set()
        assert answered.wait(5)

    monkeypatch.setattr(Waiting, "wait", wait)
    server.fail("slow")

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, server)
        assert arrived.wait(5)
        ask(server)
        answered.set()

    assert slow.result() == 200
    assert [exchange.overlapping for exchange in server.token_requests] == [0, 1]


@pytest.mark.parametrize("number", [0, -1, "x", None, True, 1.5])
def test_hold_for_nobody_is_an_error(server: AuthorizationServer, number: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"^hold\({number!r}\) cannot be used: it takes how many requests are to come"
    ):
        server.hold(number)

"""What only a lock keeps apart: threads take turns between any two steps of the flights and the fault queue."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Options, fault_queue, flight
from fake_server.flight import Flight
from fake_server.key_source import KeySource
from fake_server.waiting import Waiting

pytestmark = pytest.mark.usefixtures("eager_threads")

THREADS = 8
ROUNDS = 12


@pytest.fixture
def server(keys: KeySource) -> AuthorizationServer:
    """A server that is quick to answer, with a client."""
    server = AuthorizationServer(Options(token_format="opaque"), base_url="http://idp.test", keys=keys)
    server.register("one", "one-secret")
    return server


def ask(server: AuthorizationServer, secret: str = "one-secret") -> int:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    return Client(server).post(server.token_url, data=form, auth=("one", secret)).status_code


def give_way(frame: FrameType, event: str, _: Any) -> Any:
    """Let another thread come before each step of flights and fault queues, as a trace function."""
    if frame.f_code.co_filename not in (flight.__file__, fault_queue.__file__):
        return None
    frame.f_trace_opcodes = True
    if event == "opcode":
        time.sleep(0)
    return give_way


def step_by_step(job: Callable[[], Any]) -> list[Any]:
    """Run a job in all threads, between any two steps of which another may come.

    Python itself lets others come at calls and loops alone, where the lack of a lock would seldom show.
    """
    start = threading.Barrier(THREADS, timeout=20)

    def run(_: int) -> Any:
        tracing = sys.gettrace()
        start.wait()
        sys.settrace(give_way)
        try:
            return job()
        finally:
            sys.settrace(tracing)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_requests_that_come_and_leave_at_once_are_counted() -> None:
    flight = Flight(Waiting())
    together = threading.Barrier(THREADS, timeout=20)

    def job() -> list[int]:
        counts = []
        for _ in range(ROUNDS):
            with flight as others:
                together.wait()
            together.wait()
            counts.append(others)
        return counts

    counts = step_by_step(job)

    assert [sorted(others) for others in zip(*counts, strict=True)] == [list(range(THREADS))] * ROUNDS


def test_each_step_of_a_script_meets_one_request(server: AuthorizationServer) -> None:
    script = [503, 429, 500] * 16
    armed = server.fail(script) + server.fail("invalid_client", times=THREADS)
    asked = len(script) + 2 * THREADS

    statuses = step_by_step(lambda: [ask(server) for _ in range(asked // THREADS)])

    wanted = Counter(script) + Counter({401: THREADS, 200: THREADS})
    assert Counter(status for some in statuses for status in some) == wanted
    assert [fault.fired for fault in armed] == [1] * len(script) + [THREADS]
    assert server.unfired_faults == []
    assert [exchange.fault for exchange in server.token_requests].count(None) == THREADS


def test_fault_that_waits_for_a_good_answer_is_kept_for_as_many(server: AuthorizationServer) -> None:
    armed = [*server.fail("no_access_token", times=2 * THREADS), *server.fail(["html_body"] * THREADS)]

    step_by_step(lambda: [ask(server, secret) for secret in ("wrong", "one-secret", "wrong", "one-secret", "wrong")])
    for _ in range(2 * THREADS):  # some came while another request had the fault that was for them
        ask(server)

    met = Counter(exchange.fault for exchange in server.token_requests if exchange.fault)
    assert met == {"no_access_token": 2 * THREADS, "html_body": THREADS}
    assert [fault.fired for fault in armed] == [2 * THREADS] + [1] * THREADS
    assert server.unfired_faults == []

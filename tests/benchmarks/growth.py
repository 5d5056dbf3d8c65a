"""What a long session costs at its end: the fixture, the memory, and a look into the journal."""

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rounds import Figure, Missing, take_turns
from werkzeug.test import Client, EnvironBuilder

from fake_server import AuthorizationServer, Options
from pytest_sc_auth import ServerFactory

__all__ = ["fixture_growth", "journal_growth", "memory_growth"]

_FORM = {"grant_type": "client_credentials", "scope": "ingr.api"}
_LOOKS = 1000
_STATM = Path("/proc/self/statm")


def fixture_growth(short: bool) -> list[Figure]:
    """Measure a server's making and stopping early and late in a session."""
    total, window = (600, 200) if short else (10_000, 500)
    factory = ServerFactory({})
    factory.make()
    seconds = []
    for _ in range(total):
        begin = time.perf_counter()
        factory.stop(factory.make())
        seconds.append(time.perf_counter() - begin)
    factory.close()
    early, late = statistics.median(seconds[100 : 100 + window]), statistics.median(seconds[-window:])
    return [
        Figure.of_times(
            f"the fixture's cost at the {total:,}th test, against the 100th", late, early, 1.1, shown_in="µs"
        )
    ]


def _resident() -> float:
    gc.collect()
    return int(_STATM.read_text().split()[1]) * 4096 / 2**20


def _asking(server: AuthorizationServer) -> Callable[[int], None]:
    server.register("my-client", "my-secret")
    builder = EnvironBuilder(path="/v1/token", method="POST", data=_FORM, auth=("my-client", "my-secret"))
    http = Client(server)

    def ask(times: int) -> None:
        for _ in range(times):
            assert http.open(builder.get_request()).status_code == 200

    return ask


def memory_growth(short: bool) -> list[Figure]:
    """Measure the memory that tokens leave behind."""
    if not _STATM.exists():
        raise Missing("/proc, where a process finds its size")
    first, last = (500, 2_000) if short else (10_000, 100_000)
    figures = []
    for token_format, alg in (("jwt", "ES256"), ("opaque", "RS256")):
        ask = _asking(AuthorizationServer(Options(dialect="rfc6749", token_format=token_format, signing_alg=alg)))
        ask(first)
        before = _resident()
        ask(last - first)
        figures.append(
            Figure(
                what=f"memory after {last:,} {token_format} tokens, less that after {first:,}",
                measured=_resident() - before,
                limit=30,
                unit=" MB",
            )
        )
    return figures


def journal_growth(short: bool) -> list[Figure]:
    """Measure a look at the last exchange in a short journal and a long one."""
    sizes = (100, 1_000 if short else 10_000)
    servers = {}
    for size in sizes:
        servers[size] = AuthorizationServer(Options(dialect="rfc6749", signing_alg="ES256"))
        _asking(servers[size])(size)

    def looking(size: int) -> Callable[[], float]:
        server = servers[size]

        def look() -> float:
            begin = time.perf_counter()
            for _ in range(_LOOKS):
                assert server.token_requests[-1].number == len(server.token_requests)
            return time.perf_counter() - begin

        return look

    medians = take_turns(3 if short else 31, {str(size): looking(size) for size in sizes})
    short_one, long_one = (medians[str(size)] / _LOOKS for size in sizes)
    what = f"a look at the last of {sizes[1]:,} exchanges, against {sizes[0]}"
    return [Figure.of_times(what, long_one, short_one, 1.25, shown_in="µs")]

"""The process's clock: held still for all who tell the time, moved for all of them, and given back."""

import asyncio
import contextlib
import datetime
import functools
import os
import threading
import time
import warnings
import xml.etree.ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import freezegun
import pytest
import requests
import time_machine

from fake_server import AuthorizationServer, ProtectedApi, Reason
from pytest_sc_auth import ProcessClock, ServerFactory, TokenClient
from pytest_sc_auth.settings import CLOCK_ENGINES

UTC = datetime.timezone.utc
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR_LATER = NOON + timedelta(hours=1)
NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"
HOLDS: dict[str, Callable[..., Any]] = {
    "freezegun": freezegun.freeze_time,
    "time-machine": functools.partial(time_machine.travel, tick=False),
}


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process in a time zone that is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", NEW_YORK)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(params=CLOCK_ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each of the engines."""
    return str(request.param)


@pytest.fixture
def sc_auth_clock(engine: str, sc_auth_server_factory: ServerFactory) -> Iterator[ProcessClock]:
    """The clock as the plugin makes it, with each of the engines."""
    with ProcessClock(lambda: sc_auth_server_factory.servers, engine=engine) as clock:
        yield clock


@pytest.fixture
def hold(engine: str) -> Callable[..., Any]:
    """What a user of that engine would hold the time with."""
    return HOLDS[engine]


@pytest.fixture
def noon(sc_auth_clock: ProcessClock) -> ProcessClock:
    """The clock, at noon."""
    sc_auth_clock.move_to(NOON)
    return sc_auth_clock


def seen_by_code() -> set[datetime.datetime]:
    """Return the time that the code under test sees, by whatever it asks."""
    return {
        datetime.datetime.now(UTC),
        datetime.datetime.fromtimestamp(time.time(), UTC),
        datetime.datetime(*time.gmtime()[:6], tzinfo=UTC),
    }


# What is seen


def test_clock_begins_at_the_present_cut_to_the_second(engine: str) -> None:
    before = time.time()

    with ProcessClock(lambda: (), engine=engine) as clock:
        seconds = clock.time()

    assert int(before) <= seconds <= time.time()
    assert seconds.is_integer()


def test_time_stands_still(noon: ProcessClock) -> None:
    first, second = time.time(), time.time()

    assert first == second == noon.time() == NOON.timestamp()
    assert noon.now() == NOON
    assert repr(noon) == "<ProcessClock 2026-03-01T12:00:00+00:00>"


@pytest.mark.parametrize(
    "names",
    [("sc_auth_clock", "sc_auth_server"), ("sc_auth_server", "sc_auth_clock")],
    ids=["clock-first", "server-first"],
)
@pytest.mark.usefixtures("engine")
def test_all_see_the_same_instant(request: pytest.FixtureRequest, names: tuple[str, str]) -> None:
    fixtures = {name: request.getfixturevalue(name) for name in names}
    clock, server = fixtures["sc_auth_clock"], fixtures["sc_auth_server"]
    client: TokenClient = request.getfixturevalue("sc_auth_client")

    clock.move_to(NOON)
    token = client.token()
    answer = requests.get(server.api.url, headers={"Authorization": f"Bearer {token.value}"})

    assert seen_by_code() == {NOON}
    assert server.clock.now() == NOON
    assert token.expires_at == HOUR_LATER
    assert answer.json()["claims"]["exp"] == HOUR_LATER.timestamp()
    assert answer.headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"
    assert server.token_requests[0].instant == NOON


def test_pool_thread_sees_the_same_instant(
    noon: ProcessClock, sc_auth_client: TokenClient, sc_auth_server: AuthorizationServer
) -> None:
    def read() -> list[Any]:
        return [noon.now(), datetime.datetime.now(UTC), sc_auth_server.clock.now(), sc_auth_client.fetch().expires_at]

    with ThreadPoolExecutor(1) as pool:
        at_noon = pool.submit(read).result()
        noon.advance(hours=1)
        later = pool.submit(read).result()

    assert at_noon == [NOON, NOON, NOON, HOUR_LATER]
    assert later == [HOUR_LATER, HOUR_LATER, HOUR_LATER, HOUR_LATER + timedelta(hours=1)]


@pytest.mark.parametrize(("seconds", "status"), [(3599, 200), (3600, 401)])
def test_token_lives_for_its_lifetime(
    noon: ProcessClock, sc_auth_token: str, sc_auth_server: AuthorizationServer, seconds: int, status: int
) -> None:
    noon.advance(seconds)

    answer = requests.get(sc_auth_server.api.url, headers={"Authorization": f"Bearer {sc_auth_token}"})

    assert answer.status_code == status
    assert sc_auth_server.api_requests[0].reason is (Reason.EXPIRED_TOKEN if status == 401 else None)


def test_client_renews_its_token_when_time_has_passed(
    noon: ProcessClock,
    sc_auth_session: requests.Session,
    sc_auth_api: ProtectedApi,
    sc_auth_server: AuthorizationServer,
) -> None:
    first = sc_auth_session.get(sc_auth_api.url).json()["claims"]
    noon.advance(hours=1)
    second = sc_auth_session.get(sc_auth_api.url).json()["claims"]

    assert second["iat"] - first["iat"] == 3600
    assert [exchange.status for exchange in sc_auth_server.journal] == [200, 200, 200, 200]


# How it is moved


@pytest.mark.parametrize(
    ("move", "moment"),
    [
        (lambda clock: clock.advance(90), NOON + timedelta(seconds=90)),
        (lambda clock: clock.advance(0.25), NOON + timedelta(milliseconds=250)),
        (lambda clock: clock.advance(timedelta(days=2)), NOON + timedelta(days=2)),
        (
            lambda clock: clock.advance(1, days=1, hours=2, minutes=3, seconds=4),
            NOON + timedelta(1, 5, hours=2, minutes=3),
        ),
        (lambda clock: clock.advance(hours=-1), NOON - timedelta(hours=1)),
        (lambda clock: clock.move_to(HOUR_LATER), HOUR_LATER),
        (lambda clock: clock.move_to(HOUR_LATER.timestamp()), HOUR_LATER),
        (lambda clock: clock.move_to("2026-03-01T14:00:00+01:00"), HOUR_LATER),
        (lambda clock: clock.move_to("1969-12-31T23:59:59Z"), datetime.datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
    ids=["seconds", "fraction", "timedelta", "sum", "back", "datetime", "unix", "text", "before-1970"],
)
def test_clock_moves_process_and_servers(
    noon: ProcessClock,
    sc_auth_server: AuthorizationServer,
    move: Callable[[ProcessClock], None],
    moment: datetime.datetime,
) -> None:
    move(noon)

    assert noon.now() == moment
    assert datetime.datetime.now(UTC) == moment
    assert sc_auth_server.clock.now() == moment


@pytest.mark.parametrize(
    ("move", "error"),
    [
        (lambda clock: clock.advance(), TypeError),
        (lambda clock: clock.advance("60"), TypeError),
        (lambda clock: clock.advance(float("nan")), ValueError),
        (lambda clock: clock.advance(days=4_000_000), ValueError),
        (lambda clock: clock.move_to(None), TypeError),
        (lambda clock: clock.move_to("noon"), ValueError),
        (lambda clock: clock.move_to(datetime.datetime(2026, 3, 1)), ValueError),
    ],
    ids=["nothing", "text", "nan", "beyond-9999", "none", "no-instant", "naive"],
)
def test_wrong_amount_moves_nothing(
    noon: ProcessClock,
    sc_auth_server: AuthorizationServer,
    move: Callable[[ProcessClock], None],
    error: type[Exception],
) -> None:
    sc_auth_server.clock.freeze()

    with pytest.raises(error):
        move(noon)

    assert noon.now() == datetime.datetime.now(UTC) == sc_auth_server.clock.now() == NOON


# The servers' own clocks


def test_clock_of_the_server_moves_the_server_alone(noon: ProcessClock, sc_auth_server: AuthorizationServer) -> None:
    sc_auth_server.clock.advance(hours=1)

    assert sc_auth_server.clock.now() == HOUR_LATER
    assert noon.now() == datetime.datetime.now(UTC) == NOON


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_server_keeps_its_skew(
    noon: ProcessClock, sc_auth_server_factory: Any, sc_auth_server: AuthorizationServer, frozen: bool
) -> None:
    other: AuthorizationServer = sc_auth_server_factory.make()
    sc_auth_server.clock.advance(60)
    if frozen:
        sc_auth_server.clock.freeze()

    noon.advance(hours=1)
    noon.move_to(noon.now() + timedelta(hours=1))

    assert sc_auth_server.clock.now() == NOON + timedelta(hours=2, seconds=60)
    assert other.clock.now() == NOON + timedelta(hours=2)
    sc_auth_server_factory.stop(other)


# Beside a user's own freeze_time or travel


def test_clock_begins_where_an_outer_hold_stands_and_gives_it_back(
    engine: str, hold: Callable[..., Any], sc_auth_server: AuthorizationServer
) -> None:
    with hold(NOON):
        with ProcessClock(lambda: (sc_auth_server,), engine=engine) as clock:
            at_first = clock.now()
            clock.advance(hours=1)
            moved = seen_by_code() | {clock.now(), sc_auth_server.clock.now()}
        left = seen_by_code() | {sc_auth_server.clock.now()}

    assert at_first == NOON
    assert moved == {HOUR_LATER}
    assert left == {NOON}


@pytest.mark.parametrize("offset", [-8, 5])
def test_offset_of_an_outer_freeze_time_does_not_move_the_clock(offset: int) -> None:
    with freezegun.freeze_time(NOON, tz_offset=offset), ProcessClock(lambda: ()) as clock:
        clock.advance(hours=1)
        now = clock.now()

    assert now == HOUR_LATER


def test_inner_hold_is_seen_by_all_and_ends(
    noon: ProcessClock, hold: Callable[..., Any], sc_auth_server: AuthorizationServer
) -> None:
    with hold(HOUR_LATER):
        inside = seen_by_code() | {noon.now(), sc_auth_server.clock.now()}
    after = seen_by_code() | {noon.now(), sc_auth_server.clock.now()}

    assert inside == {HOUR_LATER}
    assert after == {NOON}


@pytest.mark.parametrize("moment", [HOUR_LATER, NOON], ids=["other-time", "same-time"])
@pytest.mark.parametrize(
    "move",
    [lambda clock: clock.advance(60), lambda clock: clock.move_to("2030-01-01T00:00:00Z")],
    ids=["advance", "move"],
)
def test_clock_cannot_be_moved_inside_an_inner_hold(
    noon: ProcessClock,
    hold: Callable[..., Any],
    sc_auth_server: AuthorizationServer,
    move: Callable[[ProcessClock], None],
    moment: datetime.datetime,
) -> None:
    sc_auth_server.clock.freeze()

    with hold(moment), pytest.raises(RuntimeError) as raised:
        move(noon)

    assert str(raised.value) == (
        f"a freeze_time or travel that began after sc_auth_clock holds the time at {moment.isoformat()}; "
        "move that one, or use sc_auth_clock.move_to in its place"
    )
    assert noon.now() == sc_auth_server.clock.now() == NOON


# Where the engines differ


@pytest.mark.parametrize(("engine", "is_held"), [("freezegun", False), ("time-machine", True)], indirect=["engine"])
def test_time_time_in_a_pool_thread_is_held_by_time_machine_alone(noon: ProcessClock, is_held: bool) -> None:
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(time.time).result()

    assert (seen == NOON.timestamp()) is is_held


def test_asyncio_waits_by_the_real_clock(noon: ProcessClock) -> None:
    # A thread, so that a loop which waits for ever fails this test instead of holding the run.
    thread = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(0.001)), daemon=True)

    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert noon.now() == NOON


@pytest.mark.parametrize(
    ("engine", "timer", "is_moved"),
    [
        ("freezegun", time.monotonic, False),  # as cachetools.TTLCache has it, from before the clock began
        ("freezegun", time.time, False),
        ("freezegun", lambda: time.monotonic(), True),
        ("freezegun", lambda: time.time(), True),
        ("time-machine", time.monotonic, False),
        ("time-machine", time.time, True),
        ("time-machine", lambda: time.monotonic(), False),
        ("time-machine", lambda: time.time(), True),
    ],
    ids=[f"{engine}-{timer}" for engine in HOLDS for timer in ("monotonic", "time", "late-monotonic", "late-time")],
    indirect=["engine"],
)
def test_minute_passes_for_a_cache_by_its_timer(noon: ProcessClock, timer: Callable[[], float], is_moved: bool) -> None:
    end = timer() + 60

    noon.advance(60)

    assert (timer() >= end) is is_moved


@pytest.mark.parametrize(("scheme", "names"), [("http", []), ("https", ["SystemTimeWarning"])])
def test_urllib3_warns_of_a_time_before_2025_over_https_alone(
    noon: ProcessClock, sc_auth_api: ProtectedApi, scheme: str, names: list[str]
) -> None:
    noon.move_to("2020-01-01T00:00:00Z")

    with warnings.catch_warnings(record=True) as caught, contextlib.suppress(requests.exceptions.SSLError):
        warnings.simplefilter("always")
        requests.get(sc_auth_api.url.replace("http:", f"{scheme}:"))

    assert [warning.category.__name__ for warning in caught] == names


@pytest.mark.parametrize(("engine", "hour"), [("freezegun", 12), ("time-machine", 7)], indirect=["engine"])
def test_time_without_a_zone_is_local_with_time_machine_alone(new_york: None, noon: ProcessClock, hour: int) -> None:
    assert datetime.datetime.now().hour == hour
    assert os.environ["TZ"] == NEW_YORK


# Its end


@pytest.mark.parametrize("fails", [False, True], ids=["passes", "fails"])
def test_time_is_given_back_at_the_end(engine: str, fails: bool) -> None:
    before = time.time()

    with contextlib.suppress(AssertionError), ProcessClock(lambda: (), engine=engine) as clock:
        clock.advance(days=365)
        assert not fails

    assert before <= time.time() < before + 3600


def test_pytest_measures_how_long_the_test_really_took(pytester: pytest.Pytester, engine: str) -> None:
    pytester.makepyfile("def test_it(sc_auth_clock): sc_auth_clock.advance(days=365)")

    run = pytester.inline_run("-W", "error", "-o", f"sc_auth_clock_engine={engine}", "--junitxml=junit.xml")

    reports = run.getreports("pytest_runtest_logreport")
    junit = xml.etree.ElementTree.parse(pytester.path / "junit.xml").iter()
    assert [(report.when, report.outcome) for report in reports] == [
        ("setup", "passed"),
        ("call", "passed"),
        ("teardown", "passed"),
    ]
    shown = [float(element.attrib["time"]) for element in junit if "time" in element.attrib]
    assert len(shown) == 2
    assert all(0 <= seconds < 60 for seconds in [*shown, *(report.duration for report in reports)])


# The suite's choice


@pytest.mark.parametrize(
    ("setting", "engine"),
    [("", "freezegun"), ("sc_auth_clock_engine = freezegun", "freezegun")]
    + [("sc_auth_clock_engine = time-machine", "time-machine")],
    ids=["default", "freezegun", "time-machine"],
)
def test_suite_chooses_the_engine_and_no_other_is_loaded(pytester: pytest.Pytester, setting: str, engine: str) -> None:
    pytester.makeini(f"[pytest]\n{setting}")
    pytester.makepyfile(
        f"""
        import sys
        import time_machine

        def test_it(sc_auth_clock):
            assert time_machine.escape_hatch.is_travelling() is {engine == "time-machine"}
            assert ("freezegun" in sys.modules) is {engine == "freezegun"}
        """
    )

    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("sundial", "it takes freezegun or time-machine"),
        ("time-machine", "it is not installed; pip install 'pytest-sc-auth[time-machine]'"),
    ],
    ids=["unknown", "not-installed"],
)
def test_engine_that_is_not_there_ends_the_run_at_once(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, engine: str, reason: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)

    result = pytester.runpytest("-o", f"sc_auth_clock_engine={engine}")

    assert result.ret is pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        f"ERROR: sc_auth_clock_engine={engine!r} cannot be used: {reason}"
    ]

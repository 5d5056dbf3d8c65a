"""The process's clock: held still for all who tell the time, moved for all of them, and given back."""

import contextlib
import datetime
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import freezegun
import freezegun.api
import pytest
import requests

from fake_server import AuthorizationServer, ProtectedApi, Reason
from pytest_sc_auth import ProcessClock, TokenClient

UTC = datetime.timezone.utc
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR_LATER = NOON + timedelta(hours=1)


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


def test_clock_begins_at_the_present_cut_to_the_second(request: pytest.FixtureRequest) -> None:
    before = time.time()

    seconds = request.getfixturevalue("sc_auth_clock").time()

    assert int(before) <= seconds <= freezegun.api.real_time()
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


# Beside a user's own freezegun


def test_clock_begins_where_an_outer_freeze_time_stands_and_gives_it_back(sc_auth_server: AuthorizationServer) -> None:
    with freezegun.freeze_time(NOON):
        with ProcessClock(lambda: (sc_auth_server,)) as clock:
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


def test_inner_freeze_time_is_seen_by_all_and_ends(noon: ProcessClock, sc_auth_server: AuthorizationServer) -> None:
    with freezegun.freeze_time(HOUR_LATER):
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
def test_clock_that_an_inner_freeze_time_holds_cannot_be_moved(
    noon: ProcessClock,
    sc_auth_server: AuthorizationServer,
    move: Callable[[ProcessClock], None],
    moment: datetime.datetime,
) -> None:
    sc_auth_server.clock.freeze()

    with freezegun.freeze_time(moment), pytest.raises(RuntimeError) as raised:
        move(noon)

    assert str(raised.value) == (
        f"a freeze_time that began after sc_auth_clock holds the time at {moment.isoformat()}; "
        "move that one, or use sc_auth_clock.move_to in its place"
    )
    assert noon.now() == sc_auth_server.clock.now() == NOON


# Its end


@pytest.mark.parametrize("fails", [False, True], ids=["passes", "fails"])
def test_time_is_given_back_at_the_end(fails: bool) -> None:
    before = time.time()

    with contextlib.suppress(AssertionError), ProcessClock(lambda: ()) as clock:
        clock.advance(days=365)
        assert not fails

    assert before <= time.time() < before + 3600


def test_pytest_measures_how_long_the_test_really_took(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(sc_auth_clock): sc_auth_clock.advance(days=365)")

    reports = pytester.inline_run("-W", "error").getreports("pytest_runtest_logreport")

    assert [(report.when, report.outcome) for report in reports] == [
        ("setup", "passed"),
        ("call", "passed"),
        ("teardown", "passed"),
    ]
    assert all(0 <= report.duration < 60 for report in reports)

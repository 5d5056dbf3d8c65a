"""The clock: whom it follows, how it is moved, and that a move which fails moves nothing."""

import datetime
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from typing import Any

import freezegun
import pytest

from fake_server import AuthorizationServer, Clock
from fake_server.clock import instant

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
NOON_SECONDS = 1772366400.0
# By rule, so that no time zone database is needed: Central Europe.
CENTRAL_EUROPE = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at noon."""
    clock = Clock()
    clock.freeze()
    clock.move_to(NOON)
    return clock


@pytest.fixture
def central_europe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process in a time zone with summer time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", CENTRAL_EUROPE)
        time.tzset()
        yield
    time.tzset()


def read_below(clock: Clock, frames: int) -> float:
    return clock.time() if frames == 0 else read_below(clock, frames - 1)


# Whom it follows


def test_clock_follows_freezegun() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        at_first = clock.time()
        process.tick(90)
        later = clock.time()

    assert at_first == NOON_SECONDS
    assert later == NOON_SECONDS + 90


@pytest.mark.parametrize("name", ["decorator", "context"])
def test_clock_follows_freezegun_however_it_was_started(name: str) -> None:
    clock = Clock()

    if name == "decorator":
        seen = freezegun.freeze_time(NOON)(clock.now)()
    else:
        with freezegun.freeze_time(NOON):
            seen = clock.now()

    assert seen == NOON


@pytest.mark.parametrize("offset", [-8, 5.5, timedelta(hours=14)], ids=str)
def test_clock_is_not_moved_by_the_tz_offset_of_freezegun(offset: Any) -> None:
    with freezegun.freeze_time(NOON, tz_offset=offset):
        seconds, now = Clock().time(), Clock().now()

    assert seconds == NOON_SECONDS
    assert now == NOON


@pytest.mark.parametrize("frames", [0, 3, 4, 5, 6, 100])
def test_clock_is_the_same_however_deep_the_stack(frames: int) -> None:
    with freezegun.freeze_time(NOON):
        seen = read_below(Clock(), frames)

    assert seen == NOON_SECONDS


def test_clock_is_the_same_in_a_pool_thread() -> None:
    clock = Clock()

    with ThreadPoolExecutor(1) as pool, freezegun.freeze_time(NOON):
        seen = pool.submit(clock.time).result()

    assert seen == NOON_SECONDS


def test_clock_is_the_same_in_a_thread_of_its_own() -> None:
    clock, seen = Clock(), []

    with freezegun.freeze_time(NOON):
        thread = threading.Thread(target=lambda: seen.append(clock.now()))
        thread.start()
        thread.join()

    assert seen == [NOON]


def test_clock_is_the_same_for_a_module_that_freezegun_ignores() -> None:
    with freezegun.freeze_time(NOON, ignore=["fake_server", "test_clock"]):
        seen = Clock().time()

    assert seen == NOON_SECONDS


def test_clock_follows_time_machine() -> None:
    time_machine: Any = pytest.importorskip("time_machine")
    clock = Clock()

    with time_machine.travel(NOON, tick=False) as process, ThreadPoolExecutor(1) as pool:
        at_first = clock.time()
        process.shift(90)
        later, in_pool = clock.time(), pool.submit(clock.time).result()

    assert at_first == NOON_SECONDS
    assert later == in_pool == NOON_SECONDS + 90


@pytest.mark.usefixtures("central_europe")
@pytest.mark.parametrize("seconds", [1792888200.0, 1792891800.0], ids=["summer", "winter"])
def test_clock_is_right_in_the_hour_that_summer_time_repeats(seconds: float) -> None:
    time_machine: Any = pytest.importorskip("time_machine")

    with time_machine.travel(seconds, tick=False):
        seen = Clock().time()
        wall = datetime.datetime.now()

    assert seen == seconds
    assert (wall.hour, wall.minute) == (2, 30)


def test_now_is_an_aware_datetime_in_utc(clock: Clock) -> None:
    now = clock.now()

    assert now == NOON
    assert now.tzinfo is timezone.utc


def test_servers_have_clocks_of_their_own() -> None:
    one, other = AuthorizationServer(), AuthorizationServer()

    with freezegun.freeze_time(NOON):
        one.clock.advance(3600)
        seen = one.clock.time(), other.clock.time()

    assert seen == (NOON_SECONDS + 3600, NOON_SECONDS)


# Moving it


@pytest.mark.parametrize(
    ("amount", "units", "seconds"),
    [
        (90, {}, 90),
        (0, {}, 0),
        (0.25, {}, 0.25),
        (-90, {}, -90),
        (timedelta(hours=1, seconds=1), {}, 3601),
        (timedelta(hours=-1), {}, -3600),
        (None, {"days": 2}, 172800),
        (None, {"hours": 1}, 3600),
        (None, {"minutes": 1.5}, 90),
        (None, {"seconds": 59}, 59),
        (None, {"days": 1, "hours": 1, "minutes": 1, "seconds": 1}, 90061),
        (10, {"minutes": 1}, 70),
        (timedelta(seconds=10), {"hours": -1}, -3590),
    ],
)
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "running"])
def test_advance_adds_up_what_it_is_given(
    amount: float | timedelta | None, units: dict[str, float], seconds: float, frozen: bool
) -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON):
        if frozen:
            clock.freeze()
        clock.advance(amount, **units)
        seen = clock.time()

    assert seen == NOON_SECONDS + seconds


@pytest.mark.parametrize(
    "moment",
    [
        datetime.datetime(2030, 6, 1, 10, tzinfo=timezone.utc),
        datetime.datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        1906538400,
        1906538400.0,
        "2030-06-01T10:00:00Z",
        "2030-06-01T10:00:00+00:00",
        "2030-06-01 12:00:00.000+02:00",
        "2030-06-01T05:00-05:00",
    ],
    ids=str,
)
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "running"])
def test_move_to_takes_a_moment_in_every_form(moment: Any, frozen: bool) -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON):
        if frozen:
            clock.freeze()
        clock.move_to(moment)
        seen = clock.time()

    assert seen == 1906538400.0


def test_move_to_takes_a_datetime_made_under_freezegun(clock: Clock) -> None:
    with freezegun.freeze_time("2030-06-01T10:00:00Z"):
        moment = datetime.datetime.now(timezone.utc)

    clock.move_to(moment)

    assert clock.time() == 1906538400.0


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_clock_reaches_the_first_and_the_last_year(clock: Clock, moment: str) -> None:
    clock.move_to(moment)

    assert clock.now() == datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))


def test_moved_clock_runs_on_with_the_process() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.move_to("2030-06-01T10:00:00Z")
        clock.advance(5)
        process.tick(90)
        seen = clock.time()

    assert seen == 1906538495.0


# Standing still


def test_clock_runs_until_it_is_frozen(clock: Clock) -> None:
    assert not Clock().is_frozen
    assert clock.is_frozen


def test_frozen_clock_stands_while_the_process_goes_on() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.advance(5)
        clock.freeze()
        process.tick(90)
        seen = clock.time()

    assert seen == NOON_SECONDS + 5


def test_freezing_twice_keeps_the_first_instant() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.freeze()
        process.tick(90)
        clock.freeze()
        seen = clock.time()

    assert seen == NOON_SECONDS


def test_unfrozen_clock_runs_on_from_where_it_stood() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.freeze()
        clock.advance(hours=1)
        process.tick(90)
        clock.unfreeze()
        at_first = clock.time()
        process.tick(7)
        later = clock.time()

    assert not clock.is_frozen
    assert at_first == NOON_SECONDS + 3600
    assert later == NOON_SECONDS + 3607


def test_unfreezing_a_running_clock_changes_nothing() -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON):
        clock.advance(5)
        clock.unfreeze()
        seen = clock.time()

    assert seen == NOON_SECONDS + 5


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_advance_at_once_all_count(clock: Clock) -> None:
    def advance() -> None:
        for _ in range(200):
            clock.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clock.time() == NOON_SECONDS + 1600


def test_repr_shows_the_time_and_whether_it_stands(clock: Clock) -> None:
    frozen = repr(clock)

    with freezegun.freeze_time(NOON):
        running = repr(Clock())

    assert frozen == "<Clock 2026-03-01T12:00:00+00:00 frozen>"
    assert running == "<Clock 2026-03-01T12:00:00+00:00>"


# What it does not take

NOT_FINITE = "is not finite; a clock moves by a number of seconds"
NO_NUMBER = "is no number of seconds; pass an int, a float or a timedelta"
NO_MOMENT = "is no moment; pass an aware datetime, Unix seconds or ISO 8601 text"
NO_ZONE = "has no time zone; write it with +00:00 or tzinfo=timezone.utc"
NOT_ISO = "is not an instant in ISO 8601; write 2026-01-31T12:00:00+00:00"
OUTSIDE = "lies outside the years 1 to 9999 that a datetime can hold"
NO_LENGTH = "no length of time given: pass seconds, a timedelta, or days=, hours=, minutes=, seconds="

BAD_ADVANCES: list[Any] = [
    pytest.param((), {}, TypeError, NO_LENGTH, id="nothing"),
    pytest.param((None,), {}, TypeError, NO_LENGTH, id="none"),
    pytest.param(("3600",), {}, TypeError, f"'3600' {NO_NUMBER}", id="text"),
    pytest.param((True,), {}, TypeError, f"True {NO_NUMBER}", id="bool"),
    pytest.param((NOON.date(),), {}, TypeError, f"datetime.date(2026, 3, 1) {NO_NUMBER}", id="date"),
    pytest.param((), {"hours": "1"}, TypeError, f"'1' {NO_NUMBER}", id="text-hours"),
    pytest.param((5,), {"minutes": True}, TypeError, f"True {NO_NUMBER}", id="bool-minutes"),
    pytest.param((5,), {"days": None}, TypeError, f"None {NO_NUMBER}", id="none-days"),
    pytest.param((float("nan"),), {}, ValueError, f"nan {NOT_FINITE}", id="nan"),
    pytest.param((float("inf"),), {}, ValueError, f"inf {NOT_FINITE}", id="inf"),
    pytest.param((float("-inf"),), {}, ValueError, f"-inf {NOT_FINITE}", id="minus-inf"),
    pytest.param((), {"days": float("nan")}, ValueError, f"nan {NOT_FINITE}", id="nan-days"),
    pytest.param((5,), {"seconds": float("inf")}, ValueError, f"inf {NOT_FINITE}", id="inf-seconds"),
    pytest.param((10**400,), {}, ValueError, f"1{'0' * 59} {NOT_FINITE}", id="int-no-float-can-hold"),
    pytest.param((), {"hours": 1e308}, ValueError, f"inf {OUTSIDE}", id="hours-that-overflow"),
    pytest.param((1e300,), {}, ValueError, f"1e+300 {OUTSIDE}", id="beyond-all-years"),
    pytest.param((timedelta.max,), {}, ValueError, f"86401772366400.0 {OUTSIDE}", id="longest-timedelta"),
    pytest.param((), {"days": -800_000}, ValueError, f"-67347633600.0 {OUTSIDE}", id="before-year-1"),
]

BAD_MOMENTS: list[Any] = [
    pytest.param(NOON.replace(tzinfo=None), ValueError, f"'2026-03-01T12:00:00' {NO_ZONE}", id="naive"),
    pytest.param("2026-03-01T12:00:00", ValueError, f"'2026-03-01T12:00:00' {NO_ZONE}", id="naive-text"),
    pytest.param("2026-03-01", ValueError, f"'2026-03-01T00:00:00' {NO_ZONE}", id="date-text"),
    pytest.param("", ValueError, f"'' {NOT_ISO}", id="empty"),
    pytest.param("Z", ValueError, f"'Z' {NOT_ISO}", id="only-z"),
    pytest.param("noon", ValueError, f"'noon' {NOT_ISO}", id="word"),
    pytest.param("1772366400", ValueError, f"'1772366400' {NOT_ISO}", id="seconds-in-text"),
    pytest.param("2026-02-29T12:00:00Z", ValueError, f"'2026-02-29T12:00:00Z' {NOT_ISO}", id="no-such-day"),
    pytest.param("2026-03-01T12:00:00+00:00Z", ValueError, f"'2026-03-01T12:00:00+00:00Z' {NOT_ISO}", id="two-zones"),
    pytest.param(None, TypeError, f"None {NO_MOMENT}", id="none"),
    pytest.param(True, TypeError, f"True {NO_MOMENT}", id="bool"),
    pytest.param(NOON.date(), TypeError, f"datetime.date(2026, 3, 1) {NO_MOMENT}", id="date"),
    pytest.param(timedelta(1), TypeError, f"datetime.timedelta(days=1) {NO_MOMENT}", id="timedelta"),
    pytest.param(float("nan"), ValueError, f"nan {NOT_FINITE}", id="nan"),
    pytest.param(float("inf"), ValueError, f"inf {NOT_FINITE}", id="inf"),
    pytest.param(10**400, ValueError, f"1{'0' * 59} {NOT_FINITE}", id="int-no-float-can-hold"),
    pytest.param(1e18, ValueError, f"1e+18 {OUTSIDE}", id="beyond-all-years"),
    pytest.param(-62135596801, ValueError, f"-62135596801.0 {OUTSIDE}", id="before-year-1"),
    pytest.param("0001-01-01T00:00:00+01:00", ValueError, f"-62135600400.0 {OUTSIDE}", id="before-year-1-in-utc"),
    pytest.param("9999-12-31T23:59:59-01:00", ValueError, f"253402304399.0 {OUTSIDE}", id="after-year-9999-in-utc"),
]


@pytest.mark.parametrize(("arguments", "units", "error", "message"), BAD_ADVANCES)
def test_advance_by_no_length_of_time_is_an_error_that_says_so(
    clock: Clock, arguments: tuple[Any, ...], units: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        clock.advance(*arguments, **units)

    assert str(raised.value) == message


@pytest.mark.parametrize(("moment", "error", "message"), BAD_MOMENTS)
def test_move_to_no_moment_is_an_error_that_says_so(
    clock: Clock, moment: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        clock.move_to(moment)

    assert str(raised.value) == message


@pytest.mark.parametrize(("moment", "error", "message"), BAD_MOMENTS)
def test_reading_an_instant_is_as_strict(moment: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        instant(moment)

    assert str(raised.value) == message


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "running"])
@pytest.mark.parametrize(("arguments", "units", "error", "_message"), BAD_ADVANCES)
def test_clock_stays_after_a_failed_advance(
    arguments: tuple[Any, ...], units: dict[str, Any], error: type[Exception], _message: str, frozen: bool
) -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.advance(5)
        if frozen:
            clock.freeze()
        with pytest.raises(error):
            clock.advance(*arguments, **units)
        process.tick(1)
        seen = clock.time()

    assert clock.is_frozen is frozen
    assert seen == NOON_SECONDS + (5 if frozen else 6)


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "running"])
@pytest.mark.parametrize(("moment", "error", "_message"), BAD_MOMENTS)
def test_clock_stays_after_a_failed_move(moment: Any, error: type[Exception], _message: str, frozen: bool) -> None:
    clock = Clock()

    with freezegun.freeze_time(NOON) as process:
        clock.advance(5)
        if frozen:
            clock.freeze()
        with pytest.raises(error):
            clock.move_to(moment)
        process.tick(1)
        seen = clock.time()

    assert clock.is_frozen is frozen
    assert seen == NOON_SECONDS + (5 if frozen else 6)

"""What can be proved of a client: how often it asked, that it asked once, renewed once, and did not hammer."""

import datetime
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from fake_server import AuthorizationServer, Clock, Credentials
from fake_server.journal import Journal
from fake_server.proof import check_no_hammering, check_renewed_once, check_single_flight, check_token_requests
from pytest_sc_auth import TokenClient

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)

Entry = tuple[str, dict[str, Any]]


# Journals, written down: `ask` and `call` are one exchange each


def ask(token: str | None, client: str | None = "one", *, at: float = 0, life: int = 3600, **facts: Any) -> Entry:
    ends = NOON + datetime.timedelta(seconds=at + life) if token else None
    facts = {"status": 200 if token else 503, "scope": "ingr.api", **facts}
    return "token", {
        "at": at,
        "method": "POST",
        "path": "/v1/token",
        "client_id": client,
        "token_id": token,
        "token_expires_at": ends,
        **facts,
    }


def call(token: str | None, status: int = 200, path: str = "/Tags", *, client: str | None = "one") -> Entry:
    return "api", {"method": "GET", "path": path, "status": status, "token_id": token, "client_id": client}


def journal_of(*entries: Entry, size: int = 200) -> Journal:
    """Return a journal of these; a token request came after all those before it, unless it says otherwise."""
    journal, clock = Journal(size), Clock()
    clock.freeze()
    for endpoint, facts in entries:
        known = {"came_after": journal.total, "at": 0, **facts}
        clock.move_to(NOON + datetime.timedelta(seconds=known.pop("at")))
        journal.record(clock=clock, endpoint=endpoint, **known)
    return journal


def failure(check: Callable[..., None], *arguments: Any) -> list[str]:
    """Return the lines of a check's message."""
    with pytest.raises(AssertionError) as caught:
        check(*arguments)
    return str(caught.value).split("\n")


# The number of token requests


@pytest.mark.parametrize("number", [0, 1, 3])
def test_number_of_token_requests_is_checked(number: int) -> None:
    check_token_requests(journal_of(call("T"), *[ask("T")] * number), number)


def test_wrong_number_of_token_requests_is_shown_with_them() -> None:
    journal = journal_of(ask("abc", grant_type="client_credentials"), call("abc"), ask(None, error="server_error"))

    assert failure(check_token_requests, journal, 1) == [
        "1 token request was expected, 2 came:",
        "    1  12:00:00  POST /v1/token  client one  grant_type=client_credentials  scope=ingr.api  token T1  → 200",
        "    3  12:00:00  POST /v1/token  client one  scope=ingr.api  → 503 server_error",
    ]


def test_token_requests_that_the_journal_dropped_count() -> None:
    journal = journal_of(*[ask("T")] * 5, size=2)

    assert failure(check_token_requests, journal, 2)[0] == "2 token requests were expected, 5 came:"


def test_no_token_request_is_shown_as_such() -> None:
    assert failure(check_token_requests, journal_of(call("T")), 1) == [
        "1 token request was expected, 0 came:",
        "  no request came",
    ]


def test_long_list_is_cut() -> None:
    lines = failure(check_token_requests, journal_of(*[ask("T")] * 100), 1)

    assert (len(lines), lines[-1]) == (42, "  and 60 more")


# Single flight


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([ask("T1")], id="one"),
        pytest.param([ask("T1"), ask("T2", at=3600)], id="next-when-the-first-has-ended"),
        pytest.param([ask("T1"), ask("T2", at=1800)], id="next-at-half-its-life"),
        pytest.param([ask(None), ask(None), ask("T1")], id="failed-before"),
        pytest.param([ask("T1"), call("T1", 401), ask("T2")], id="next-after-a-401"),
        pytest.param([ask("T1", "one"), ask("T2", "two", came_after=0)], id="two-clients-at-once"),
        pytest.param([ask("T1"), ask("T2", scope="reports", came_after=0)], id="two-scopes-at-once"),
        pytest.param([ask("T1", fault="truncated_json"), ask("T2")], id="unreadable-answer-before"),
        pytest.param([ask("T1", fault="a fault of the test's own"), ask("T2")], id="unknown-fault-before"),
    ],
)
def test_single_flight_is_proved(entries: list[Entry]) -> None:
    check_single_flight(journal_of(*entries))


@pytest.mark.parametrize(
    ("entries", "claim"),
    [
        pytest.param([], "one token request at a time was expected, none came:", id="none"),
        pytest.param(
            [ask("T1"), ask("T2", came_after=0)],
            "request 2 asked for a token while request 1 was under way:",
            id="at-once",
        ),
        pytest.param(
            [ask(None), ask(None, "two"), ask(None, came_after=0)],
            "request 3 asked for a token while request 1 was under way:",
            id="failing-at-once",
        ),
        pytest.param(
            [ask("T1"), call("T1"), ask("T2", at=1799)],
            "request 3 asked for a token though the token of request 1 was fresh:",
            id="fresh",
        ),
        pytest.param(
            [ask("T1"), call("T0", 401), ask("T2")],
            "request 3 asked for a token though the token of request 1 was fresh:",
            id="another-token-refused",
        ),
        pytest.param(
            [ask("T1", fault="slow"), ask("T2")],
            "request 2 asked for a token though the token of request 1 was fresh:",
            id="slow-answer-before",
        ),
        pytest.param(
            [ask("T1", fault="wrong_content_type"), call("T1"), ask("T2")],
            "request 3 asked for a token though the token of request 1 was fresh:",
            id="malformed-answer-that-was-read",
        ),
    ],
)
def test_single_flight_is_disproved(entries: list[Entry], claim: str) -> None:
    assert failure(check_single_flight, journal_of(*entries))[0] == claim


def test_single_flight_shows_the_requests_for_the_same_token() -> None:
    journal = journal_of(ask("a"), ask("b", "two"), call("a"), ask("c"))

    assert failure(check_single_flight, journal) == [
        "request 4 asked for a token though the token of request 1 was fresh:",
        "    1  12:00:00  POST /v1/token  client one  scope=ingr.api  token T1  → 200",
        "    4  12:00:00  POST /v1/token  client one  scope=ingr.api  token T3  → 200",
    ]


# One renewal


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="renewed"),
        pytest.param([call("T2"), call("T2", path="/Other")], id="calls-after-it"),
        pytest.param([ask("T9", "two"), call("T9", client="two")], id="another-client-asks-too"),
        pytest.param([call("T9", 403)], id="another-refusal"),
        pytest.param([call(None, 401, client=None)], id="call-without-a-token"),
    ],
)
def test_one_renewal_is_proved(entries: list[Entry]) -> None:
    before = [ask("T1"), call("T1"), call("T1", path="/Other")]

    check_renewed_once(journal_of(*before, call("T1", 401), ask("T2"), call("T2"), *entries))


REFUSED = call("T1", 401)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([REFUSED, REFUSED, ask("T2"), REFUSED, *[call("T2")] * 3], id="three-threads"),
        pytest.param([REFUSED, ask(None), ask("T2"), call("T2")], id="failed-token-request-before"),
        pytest.param([REFUSED, ask("T0", fault="connection_reset"), ask("T2"), call("T2")], id="lost-answer-before"),
        pytest.param([REFUSED, ask("T2", fault="slow"), call("T2")], id="slow-answer"),
        pytest.param([REFUSED, ask("T2"), call("T2", 401)], id="new-token-refused-and-no-more"),
        pytest.param([REFUSED, ask("T2"), call("T2"), call("T2", 401, "/Other")], id="new-token-refused-elsewhere"),
        pytest.param([call("T1", 401, client=None), ask("T2"), call("T2")], id="minted-token-of-nobody"),
        pytest.param(
            [ask("T1"), call("T1", 401, client=None), ask("T2"), call("T2"), ask("T3", "two")],
            id="owner-known-from-the-issue",
        ),
        pytest.param(
            [REFUSED, call("U1", 401, client="two"), ask("U2", "two"), ask("T2"), call("T2"), call("U2", client="two")],
            id="two-clients-renew-once-each",
        ),
    ],
)
def test_one_renewal_is_proved_in_other_ways(entries: list[Entry]) -> None:
    check_renewed_once(journal_of(*entries))


NONE_REFUSED = (
    "a call whose token is refused with 401 was expected, none came; of a client that renews before that, "
    "assert_token_requests(2) tells:"
)


@pytest.mark.parametrize(
    ("entries", "claim"),
    [
        pytest.param(
            [call("T1")],
            NONE_REFUSED,
            id="no-401",
        ),
        pytest.param(
            [call(None, 401)],
            NONE_REFUSED,
            id="401-no-token",
        ),
        pytest.param([REFUSED], "one good token request was expected after the 401, 0 came:", id="no-token-request"),
        pytest.param(
            [REFUSED, ask(None)], "one good token request was expected after the 401, 0 came:", id="failed-renewal"
        ),
        pytest.param(
            [REFUSED, ask("T2"), ask("T3"), call("T3")],
            "one good token request was expected after the 401, 2 came:",
            id="renewed-twice",
        ),
        pytest.param(
            [REFUSED, ask("T2"), call("T2", 401), ask("T3"), call("T3")],
            "one good token request was expected after the 401, 2 came:",
            id="renewed-again-for-a-second-401",
        ),
        pytest.param(
            [REFUSED, ask("T2", fault="wrong_content_type"), call("T2"), ask("T3"), call("T3")],
            "one good token request was expected after the 401, 2 came:",
            id="malformed-answer-that-was-read",
        ),
        pytest.param(
            [REFUSED, ask("T2")],
            "GET /Tags, refused once, was expected as often with the new token, it never came:",
            id="not-sent-again",
        ),
        pytest.param(
            [REFUSED, ask("T2"), call("T2", path="/Other")],
            "GET /Tags, refused once, was expected as often with the new token, it never came:",
            id="another-call",
        ),
        pytest.param(
            [REFUSED, ask("T2"), REFUSED],
            "GET /Tags, refused twice, was expected as often with the new token, it never came:",
            id="old-token-sent-again",
        ),
        pytest.param(
            [REFUSED, REFUSED, REFUSED, ask("T2"), call("T2")],
            "GET /Tags, refused 3 times, was expected as often with the new token, it came once:",
            id="old-token-tried-thrice",
        ),
        pytest.param(
            [REFUSED, ask("T1"), call("T1")],
            "another token was expected after the 401, the refused one was given again:",
            id="sticky-token",
        ),
        pytest.param(
            [REFUSED, ask("T2"), *[call("T2", 401)] * 3],
            "no loop was expected, GET /Tags was refused 3 times with the new token, too:",
            id="loop-with-the-new-token",
        ),
        pytest.param(
            [REFUSED, ask("T2"), call("T2"), *[call("T2", 401, "/Other")] * 2],
            "no loop was expected, GET /Other was refused twice with the new token, too:",
            id="loop-elsewhere",
        ),
        pytest.param(
            [REFUSED, ask("T2"), call("T2"), call("U1", 401, client="two")],
            "one good token request was expected after the 401, 0 came:",
            id="another-client-does-not-renew",
        ),
    ],
)
def test_one_renewal_is_disproved(entries: list[Entry], claim: str) -> None:
    assert failure(check_renewed_once, journal_of(*entries))[0] == claim


def test_renewal_shows_what_the_client_did_from_the_401_on() -> None:
    journal = journal_of(ask("a"), call("a"), call("a", 401), ask("x", "two"), ask("b"), ask("c"))

    assert failure(check_renewed_once, journal)[1:] == [
        "    3  12:00:00  GET /Tags  client one  token T1  → 401",
        "    5  12:00:00  POST /v1/token  client one  scope=ingr.api  token T3  → 200",
        "    6  12:00:00  POST /v1/token  client one  scope=ingr.api  token T4  → 200",
    ]


# The time between token requests


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="none"),
        pytest.param([ask(None), ask(None, at=5)], id="apart"),
        pytest.param([ask(None), ask(None, "two"), ask(None, scope="reports")], id="others"),
    ],
)
def test_pause_between_token_requests_is_proved(entries: list[Entry]) -> None:
    check_no_hammering(journal_of(*entries), 5)


@pytest.mark.parametrize("pause", ["5", None, float("nan")])
def test_pause_that_is_none_proves_nothing(pause: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="seconds"):
        check_no_hammering(journal_of(), pause)


def test_hammering_is_shown_with_the_requests() -> None:
    journal = journal_of(ask(None), ask(None, "two", at=3), call(None, 401), ask(None, at=4.5))

    assert failure(check_no_hammering, journal, 5) == [
        "5 s between token requests were expected, 4.5 s passed between 1 and 4:",
        "    1  12:00:00  POST /v1/token  client one  scope=ingr.api  → 503",
        "    4  12:00:04  POST /v1/token  client one  scope=ingr.api  → 503",
    ]


# Clients


@pytest.mark.parametrize(
    ("locks", "claim"),
    [
        pytest.param(False, r"request \d asked for a token while request \d was under way:", id="naive"),
        pytest.param(True, "request 2 asked for a token though the token of request 1 was fresh:", id="locks-only"),
    ],
)
def test_client_that_asks_for_each_thread_is_found_out(
    sc_auth_server: AuthorizationServer, sc_auth_credentials: Credentials, locks: bool, claim: str
) -> None:
    turn, known = threading.Semaphore(1 if locks else 8), sc_auth_credentials
    sc_auth_server.hold(8, 0.01 if locks else 5)

    def ask_at_once(_: int) -> None:
        with turn, TokenClient(known.token_url, known.client_id, known.client_secret, known.scope) as client:
            client.fetch()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask_at_once, range(8)))

    sc_auth_server.assert_token_requests(8)
    assert re.fullmatch(claim, failure(sc_auth_server.assert_single_flight)[0])


def test_client_that_asks_once_for_all_threads_is_proved_right(
    sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient
) -> None:
    sc_auth_server.hold(8, 0.05)

    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: sc_auth_client.token(), range(8)))

    assert len(tokens) == 1
    sc_auth_server.assert_token_requests(1)
    sc_auth_server.assert_single_flight()
    sc_auth_server.assert_no_hammering(min_interval=3600)


@pytest.mark.parametrize("threads", [1, 8])
def test_token_client_renews_once(
    sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient, threads: int
) -> None:
    url, auth = sc_auth_server.api.url, sc_auth_client.auth
    sc_auth_client.token()
    sc_auth_server.expire_all()

    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(lambda _: requests.get(url, auth=auth), range(threads)))

    assert {answer.status_code for answer in answers} == {200}
    sc_auth_server.assert_token_requests(2)
    sc_auth_server.assert_renewed_once()
    sc_auth_server.assert_single_flight()


def test_token_client_makes_no_loop_when_the_api_refuses_the_new_token(
    sc_auth_server: AuthorizationServer, sc_auth_client: TokenClient
) -> None:
    sc_auth_server.fail("invalid_token", on="api", times=None)

    answer = requests.get(sc_auth_server.api.url, auth=sc_auth_client.auth)

    assert answer.status_code == 401
    sc_auth_server.assert_renewed_once()

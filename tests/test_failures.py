"""The failure matrix: a test runs once for each failure, and says of each what it expects."""

from collections.abc import Callable

import pytest

from fake_server import FAULTS, AuthorizationServer
from pytest_sc_auth import TokenClient, TokenError
from pytest_sc_auth.failures import FAILURES, Failure, select_failures

Run = Callable[..., pytest.RunResult]

# What TokenClient says of a failure: its own name where nothing else stands here, or for those that are malformed.
ERRORS = {
    "rate_limited": "E0000047",  # Okta's own
    "hang": "timeout",
    "connection_reset": "connection_failed",
    "no_response": "connection_failed",
    "cut_off": "connection_failed",
}
MATRIX = """
    import os
    import pytest
    import requests

    def ask(server):
        timeout = 0.2 if "[hang]" in os.environ["PYTEST_CURRENT_TEST"] else 5
        form = {"grant_type": "client_credentials", "scope": "ingr.api"}
        credentials = server.credentials_of()
        auth = (credentials.client_id, credentials.client_secret)
        return requests.post(server.token_url, data=form, auth=auth, allow_redirects=False, timeout=timeout)
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file that has a function `ask`, in its order; a warning is an error."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(MATRIX + source)
        return pytester.runpytest("-p", "no:randomly", "-W", "error", *arguments)

    return run


def ids(result: pytest.RunResult) -> list[str]:
    return [line.partition("[")[2].rstrip("]") for line in result.outlines if "::" in line and "[" in line]


# The matrix itself


def test_failures_are_the_token_endpoints_part_of_the_catalogue() -> None:
    faults = [fault for fault in FAULTS.values() if "token" in fault.endpoints]

    assert list(FAILURES.values()) == [Failure(fault.name, fault.kind, fault.is_legal) for fault in faults]
    assert [str(failure) for failure in FAILURES.values()] == list(FAILURES)


def test_token_client_gets_a_token_or_says_why_not(sc_auth_failure: Failure, sc_auth_client: TokenClient) -> None:
    sc_auth_client.timeout = 0.2 if sc_auth_failure.name == "hang" else 5
    by_kind = "invalid_response" if sc_auth_failure.kind == "malformed" else sc_auth_failure.name

    try:
        error = None
        sc_auth_client.token()
    except TokenError as caught:
        error = caught.error

    assert error == (None if sc_auth_failure.is_legal else ERRORS.get(sc_auth_failure.name, by_kind))


@pytest.mark.sc_auth_failures("rejected")
def test_failure_stays_armed_and_is_in_the_journal(
    sc_auth_failure: Failure, sc_auth_client: TokenClient, sc_auth_server: AuthorizationServer
) -> None:
    for _ in range(2):
        with pytest.raises(TokenError):
            sc_auth_client.token()

    assert [exchange.fault for exchange in sc_auth_server.token_requests] == [sc_auth_failure.name] * 2


# How a test asks for it


def test_ids_are_the_failures_names(run: Run) -> None:
    source = """
    def test_it(sc_auth_failure): pass
    """

    every, chosen = run(source, "--collect-only", "-q"), run(source, "--collect-only", "-q", "-k", "truncated_json")

    assert ids(every) == list(FAILURES)
    assert ids(chosen) == ["truncated_json"]


REJECTED = "invalid_request invalid_client unauthorized_client unsupported_grant_type invalid_scope access_denied"


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("'rejected'", REJECTED),
        ("'hang', 'server_error'", "server_error hang"),
        (
            "'rejected', 'slow', exclude=['access_denied', 'invalid_client']",
            "invalid_request unauthorized_client unsupported_grant_type invalid_scope slow",
        ),
        ("exclude=['transient', 'malformed']", REJECTED),
        (
            "'transient', exclude=['hang', 'malformed']",
            "server_error temporarily_unavailable rate_limited slow connection_reset no_response cut_off dripping",
        ),
    ],
    ids=["kind", "names", "kind-and-name", "exclude-kinds", "exclude-both"],
)
def test_marker_selects(run: Run, marker: str, expected: str) -> None:
    result = run(
        f"""
    @pytest.mark.sc_auth_failures({marker})
    def test_it(sc_auth_failure): pass
    """,
        "--collect-only",
        "-q",
    )

    assert ids(result) == expected.split()


@pytest.mark.parametrize(
    ("wanted", "exclude", "message"),
    [
        (["tansient"], [], "'tansient' is no failure and no kind of them; did you mean transient?"),
        (["truncated"], [], "'truncated' is no failure and no kind of them; did you mean truncated_json?"),
        ([], ["hung"], "'hung' is no failure and no kind of them; did you mean hang?"),
        (["xyz"], [], "'xyz' is no failure and no kind of them; there are the kinds rejected, transient, malformed"),
        (["invalid_token"], [], "'invalid_token' is no failure and no kind of them; did you mean invalid_"),
        ([], "malformd", "'malformd' is no failure and no kind of them; did you mean malformed?"),
        (["rejected"], ["rejected"], "exclude leaves no failure to run the test with; exclude fewer"),
    ],
    ids=["kind", "name", "exclude", "nothing-like-it", "of-the-api", "text", "nothing-left"],
)
def test_selection_that_cannot_be_is_an_error(wanted: list[str], exclude: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message.replace('?', '[?]')}"):
        select_failures(wanted, exclude)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("'tansient'", "'tansient' is no failure and no kind of them; did you mean transient?"),
        ("exclud=['hang']", "@pytest.mark.sc_auth_failures takes kinds, names and exclude=[...], not ['exclud']"),
    ],
    ids=["name", "argument"],
)
def test_misspelt_marker_is_one_sentence_at_collection(run: Run, marker: str, message: str) -> None:
    result = run(
        f"""
    @pytest.mark.sc_auth_failures({marker})
    def test_it(sc_auth_failure): pass
    """
    )

    result.assert_outcomes(errors=1)
    assert message in result.outlines
    result.stdout.no_fnmatch_line("*failures.py*")


def test_test_that_meets_no_failure_is_told_which(run: Run) -> None:
    result = run(
        """
    @pytest.mark.sc_auth_failures("hang", "html_body")
    def test_it(sc_auth_failure, sc_auth_server):
        if sc_auth_failure.name == "html_body":
            assert ask(sc_auth_server).headers["Content-Type"].startswith("text/html")
    """
    )

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_it[[]hang]*",
            "the fault hang was armed on the token endpoint and never fired: no request met it; "
            "arm it with optional=True where that may be",
        ],
        consecutive=True,
    )


# A fault that a test arms itself


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("pass", {"passed": 1, "errors": 1}),
        ("ask(sc_auth_server)", {"passed": 1}),
        ("sc_auth_server.clear_faults()", {"passed": 1}),
        ("assert False", {"failed": 1}),
    ],
    ids=["never-met", "met", "cleared", "failed"],
)
def test_fault_that_never_fired_fails_a_test_that_passed(run: Run, ending: str, outcome: dict[str, int]) -> None:
    result = run(
        f"""
    def test_it(sc_auth_server):
        sc_auth_server.fail("server_error")
        sc_auth_server.fail("invalid_token", on="api", optional=True)
        {ending}
    """
    )

    result.assert_outcomes(**outcome)
    if "errors" in outcome:
        result.stdout.fnmatch_lines(["the fault server_error was armed on the token endpoint and never fired: *"])
        result.stdout.no_fnmatch_line("*invalid_token*never fired*")


def test_hung_request_ends_with_its_test(run: Run) -> None:
    result = run(
        """
    import threading
    import time

    threads = []

    def test_it(sc_auth_server):
        sc_auth_server.fail("hang")
        threads.append(threading.Thread(target=hang, args=(sc_auth_server.token_url,), daemon=True))
        threads[0].start()
        begun = time.monotonic()
        while not sc_auth_server.token_requests and time.monotonic() < begun + 5:
            pass

    def hang(token_url):
        with pytest.raises(requests.ConnectionError):
            requests.post(token_url, timeout=60)

    def test_other():
        threads[0].join(5)
        assert not threads[0].is_alive()
    """
    )

    result.assert_outcomes(passed=2)

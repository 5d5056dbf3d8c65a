"""What a failed test shows of its servers: the whole report, when there is one, where, and what is never in it."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree

import pytest
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Fault, Options, RegisteredClient
from fake_server.key_source import KeySource
from fake_server.refusals import Reason
from pytest_sc_auth.report import render_server

GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
BASIC = ("smart-client", "smart-secret")

CallApi = Callable[..., TestResponse]
Run = Callable[..., pytest.RunResult]


def ask(server: AuthorizationServer, scope: str = "ingr.api") -> str:
    """Return the token that the smart client gets, or an empty text."""
    answer = Client(server).post(server.token_url, data={**GRANT, "scope": scope}, auth=BASIC)
    return str((answer.json or {}).get("access_token", ""))


def rows_of(report: str) -> list[str]:
    """Return the lines of the first table, each without its padding."""
    return [re.sub(" {2,}", "  ", line.strip()) for line in report.split("\n\n")[1].split("\n")[1:]]


def lanes_of(report: str) -> list[str]:
    return report.split("\n\n")[2].split("\n")


# The text


REPORT = """\
http://idp.test/as (okta), +0 is 2026-03-01 12:00:00 UTC

      when  request                     client        asked for                    token  answer
        +0  POST /v1/token              smart-client  client_credentials INGR.API         400 invalid_scope
            why: 'INGR.API' is not a scope of this server, which has ingr.api; scopes are
                 case-sensitive: send 'ingr.api'
    +20 ms  POST /v1/token              smart-client  client_credentials ingr.api  T1     200
    +22 ms  GET /sc/datalake/v1/Tags    smart-client                               T1     200
    +22 ms  GET /sc/datalake/v1/Tags/7  smart-client                               T1     200                ×3
      +1 h  GET /sc/datalake/v1/Tags    smart-client                               T1     401 invalid_token
            why: the token expired 0 s ago by the server's clock
  +1 h 1 s  POST /v1/token              smart-client  client_credentials ingr.api  T2     200
            fault: slow
  +1 h 1 s  GET /sc/datalake/v1/Tags    smart-client                               T2     200

      +20 ms  +22 ms  +22 ms  +1 h  +1 h  +1 h 1 s  +1 h 1 s  +2 h 1 s
  T1  issued──200─────200 ×3──ends··401
  T2                                      issued────200───────ends"""


def test_report_tells_the_whole_story(server: AuthorizationServer, call_api: CallApi) -> None:
    server.register(*BASIC)
    ask(server, "INGR.API")
    server.clock.advance(0.02)
    old = ask(server)
    server.clock.advance(0.002)
    for path in ("/Tags", "/Tags/7", "/Tags/7", "/Tags/7"):
        call_api(old, path)
    server.clock.advance(hours=1)
    call_api(old)
    server.clock.advance(1.5)
    server.fail("slow", delay=0)
    call_api(ask(server))

    assert render_server(server) == REPORT


def test_report_of_a_server_that_nobody_asked_says_so(server: AuthorizationServer) -> None:
    assert render_server(server) == "http://idp.test/as (okta): no request came"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "+0"),
        (0.0005, "+0 ms"),
        (0.002, "+2 ms"),
        (0.9999, "+999 ms"),
        (1, "+1 s"),
        (1.59, "+1.5 s"),
        (9.99, "+9.9 s"),
        (59.999, "+59 s"),
        (60, "+1 min"),
        (3599.999, "+59 min 59 s"),
        (3600, "+1 h"),
        (5400, "+1 h 30 min"),
        (90061, "+1 d 1 h 1 min 1 s"),
        (-5, "-5 s"),
    ],
)
def test_time_is_told_in_units_and_rounded_down(
    server: AuthorizationServer, call_api: CallApi, seconds: float, text: str
) -> None:
    call_api(None)
    server.clock.advance(seconds)
    call_api(None, "/Other")

    assert rows_of(render_server(server))[2].partition("  ")[0] == text


def test_token_that_is_given_again_is_shown_as_such(keys: KeySource, client: RegisteredClient) -> None:
    server = AuthorizationServer(Options(sticky_tokens=60), keys=keys)
    server.register(*BASIC)
    server.clock.freeze()

    ask(server)
    server.clock.advance(minutes=10)
    ask(server)

    report = render_server(server)
    assert [row.split("  ")[-2] for row in rows_of(report)] == ["T1", "T1 again"]
    assert lanes_of(report)[1].split("──")[:2] == ["  T1  issued", "given again"]


def test_tokens_of_one_instant_end_together(server: AuthorizationServer, client: RegisteredClient) -> None:
    ask(server)
    ask(server)

    assert lanes_of(render_server(server)) == [
        "      +0      +0      +1 h",
        "  T1  issued──────────ends",
        "  T2          issued──ends",
    ]


def test_lane_shows_what_else_became_of_a_token(
    server: AuthorizationServer, client: RegisteredClient, http: Client, call_api: CallApi
) -> None:
    token = server.mint()

    for url in (server.introspection_url, server.revocation_url):
        http.post(str(url), data={"token": token}, auth=BASIC)
    call_api(token)

    assert lanes_of(render_server(server))[1] == "  T1  looked up──revoked──401"


def test_bent_rules_and_faults_of_the_tests_own_are_shown(
    server: AuthorizationServer, client: RegisteredClient, http: Client
) -> None:
    server.fail(Fault(name="moon", kind="rejected", reasons={"token": Reason.UNAVAILABLE}))

    http.post(server.token_url, data=GRANT | {"client_secret": "smart-secret"}, auth=BASIC)

    assert rows_of(render_server(server))[1:] == [
        "why: the test armed the fault moon",
        "fault: moon",
        "bends: A05 (RFC 6749, section 2.3: a request authenticates by one method only)",
    ]


def test_long_words_are_cut_and_strange_ones_escaped(server: AuthorizationServer, call_api: CallApi) -> None:
    call_api(None, f"/{'a' * 50}/%0A{'b' * 5}")

    assert rows_of(render_server(server))[0] == "+0  GET /sc/datalake/v…aaaaaaaaa/\\nbbbbb  401"


def test_loop_is_shown_by_its_beginning_and_its_end(server: AuthorizationServer, client: RegisteredClient) -> None:
    for second in range(100):
        ask(server)
        server.clock.advance(second)

    report = render_server(server)
    rows = rows_of(report)
    assert len(rows) == 41
    assert rows[10] == "…  60 exchanges are left out here"
    assert lanes_of(report)[0] == "  of 40 tokens, the lives of the last 10:"
    assert max(map(len, lanes_of(report))) <= 100


def test_repetition_is_shown_with_its_end(server: AuthorizationServer, call_api: CallApi) -> None:
    for _ in range(3):
        call_api(None)
        server.clock.advance(60)

    assert rows_of(render_server(server))[0].endswith("401  ×3, until +2 min")


def test_exchanges_that_were_dropped_are_counted(keys: KeySource) -> None:
    server = AuthorizationServer(Options(journal_size=2), keys=keys)
    server.register(*BASIC)
    for _ in range(5):
        ask(server)

    assert render_server(server, since=1).split("\n")[1] == "2 earlier exchanges are not kept (journal_size)"


# Where it stands


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file, in its order."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        start = pytester.runpytest_subprocess if "-n" in arguments else pytester.runpytest
        return start("-p", "no:randomly", *arguments)

    return run


CALL = """
    import pytest
    import requests

    def test_it(sc_auth_server, sc_auth_api):
        requests.get(sc_auth_api.url + "/first")
        {end}
"""
IN_SETUP = """
    import pytest
    import requests

    @pytest.fixture
    def broken(sc_auth_api):
        requests.get(sc_auth_api.url + "/first")
        raise RuntimeError

    def test_it(broken):
        pass
"""
IN_TEARDOWN = """
    import pytest
    import requests

    @pytest.fixture
    def broken(sc_auth_api):
        yield
        requests.get(sc_auth_api.url + "/first")
        raise RuntimeError

    def test_it(broken):
        pass
"""
UNFIRED = """
    import requests

    def test_it(sc_auth_server, sc_auth_api):
        sc_auth_server.fail("slow")
        requests.get(sc_auth_api.url + "/first")
"""
UNITTEST = """
    import unittest

    import pytest
    import requests

    class TestIt(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def take(self, sc_auth_api):
            self.url = sc_auth_api.url

        def setUp(self):
            requests.get(self.url + "/first")
            self.fail("set-up")

        def test_it(self):
            pass
"""
SESSION_SERVER = """
    import pytest
    import requests

    @pytest.fixture(scope="module")
    def shared(sc_auth_server_factory):
        return sc_auth_server_factory.make()

    @pytest.fixture(scope="module")
    def unused(sc_auth_server_factory):
        return sc_auth_server_factory.make()

    def test_one(shared, unused):
        requests.get(shared.api.url + "/earlier")

    def test_two(shared, unused):
        requests.get(shared.api.url + "/first")
        assert 0
"""
HEADING = "*- sc_auth requests -*"
ROW = "* GET /sc/datalake/v1/first * 401"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(CALL.format(end="assert 0"), id="call"),
        pytest.param(CALL.format(end="pytest.fail('no', pytrace=False)"), id="without-traceback"),
        pytest.param(
            CALL.replace("def", "@pytest.mark.xfail(strict=True)\n    def").format(end="pass"), id="strict-xfail"
        ),
        pytest.param(IN_SETUP, id="setup"),
        pytest.param(IN_TEARDOWN, id="teardown"),
        pytest.param(UNFIRED, id="complaint"),
        pytest.param(UNITTEST, id="unittest"),
        pytest.param(SESSION_SERVER, id="session-server"),
    ],
)
def test_failure_of_every_kind_has_a_report_in_the_terminal_and_in_junit_xml(
    run: Run, pytester: pytest.Pytester, source: str
) -> None:
    result = run(source, "--junitxml=out.xml")

    text = result.stdout.str()
    assert (text.count(" sc_auth requests "), text.count("/first ")) == (1, 1)
    result.stdout.fnmatch_lines([HEADING, "http://127.0.0.1:* (okta), +0 is * UTC", "", "  when *", ROW])
    assert "earlier" not in text
    problems = [
        problem.text or ""
        for case in ElementTree.parse(pytester.path / "out.xml").iter("testcase")
        for problem in case
        if problem.tag in ("failure", "error")
    ]
    assert [problem.count("/first ") for problem in problems] == [1]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        pytest.param(["--tb=short"], 1, id="short"),
        pytest.param(["--tb=native"], 1, id="native"),
        pytest.param(["--show-capture=no"], 1, id="no-captured-output"),
        pytest.param(["-rA"], 1, id="all"),
        pytest.param(["--tb=no"], 0, id="no"),
        pytest.param(["--sc-auth-report=failed"], 1, id="failed"),
        pytest.param(["--sc-auth-report=always"], 1, id="always"),
        pytest.param(["--sc-auth-report=never"], 0, id="never"),
        pytest.param(["-n", "2"], 1, id="xdist"),
        pytest.param(["-p", "no:terminal"], 0, id="no-terminal"),
    ],
)
def test_report_of_a_failed_test_goes_with_the_tests_traceback(run: Run, arguments: list[str], count: int) -> None:
    result = run(CALL.format(end="assert 0"), *arguments)

    assert result.ret is pytest.ExitCode.TESTS_FAILED
    assert result.stdout.str().count("/first ") == count


def test_report_leaves_a_line_for_each_failure_as_it_is(run: Run) -> None:
    result = run(CALL.format(end="assert 0"), "--tb=line")

    # Whether more than this line is shown differs between versions of pytest.
    result.stdout.fnmatch_lines(["*.py:6: assert 0"])


def test_skipped_test_has_no_report(run: Run) -> None:
    result = run(CALL.format(end="pytest.skip('not here')"), "-rs", "--sc-auth-report=always")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * not here"])
    result.stdout.no_fnmatch_line(HEADING)


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        pytest.param([], 0, id="default"),
        pytest.param(["--sc-auth-report=always"], 1, id="always"),
        pytest.param(["--sc-auth-report=always", "-rA"], 1, id="always-and-all"),
        pytest.param(["--sc-auth-report=always", "-n", "2"], 1, id="always-and-xdist"),
        pytest.param(["--sc-auth-report=never"], 0, id="never"),
    ],
)
def test_report_of_a_test_that_passes_is_shown_on_demand(run: Run, arguments: list[str], count: int) -> None:
    result = run(CALL.format(end=""), *arguments)

    assert result.ret is pytest.ExitCode.OK
    assert result.stdout.str().count("/first ") == count


def test_report_is_shown_once_for_a_test_that_fails_twice(run: Run) -> None:
    result = run(IN_TEARDOWN.replace("yield\n        requests", "yield requests").replace("pass", "assert 0"))

    result.assert_outcomes(failed=1, errors=1)
    assert result.stdout.str().count("/first ") == 1


def test_test_without_a_server_has_no_report(run: Run) -> None:
    result = run("def test_it():\n    assert 0", "--sc-auth-report=always")

    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line(HEADING)


# What is never in it


LEAKS = """
    import base64
    import http.client
    import json
    from urllib.parse import quote, urlencode, urlsplit

    import pytest

    GRANT = {{"grant_type": "client_credentials", "scope": "ingr.api"}}
    FORM = {{"Content-Type": "application/x-www-form-urlencoded"}}
    PLACES = {{
        "scope": lambda word: ("token", "POST", "", {{}}, {{**GRANT, "scope": word}}),
        "middle-of-scope": lambda word: ("token", "POST", "", {{}}, {{**GRANT, "scope": f"x-{{word}}-y"}}),
        "grant-type": lambda word: ("token", "POST", "", {{}}, {{"grant_type": word}}),
        "client-id": lambda word: ("token", "POST", "", {{}}, {{**GRANT, "client_id": word, "client_secret": "x"}}),
        "secret": lambda word: ("token", "POST", "", {{}}, {{**GRANT, "client_id": "one", "client_secret": word}}),
        "parameter-name": lambda word: ("token", "POST", "", {{}}, [(word, "a"), (word, "b")]),
        "assertion": lambda word: ("token", "POST", "", {{}}, {{"client_assertion": word}}),
        "basic": lambda word: ("token", "POST", "", basic(f"one:{{word}}"), GRANT),
        "basic-id": lambda word: ("token", "POST", "", basic(f"{{word}}:x"), GRANT),
        "raw-basic": lambda word: ("token", "POST", "", {{"Authorization": f"Basic {{word}}"}}, GRANT),
        "scheme": lambda word: ("token", "POST", "", {{"Authorization": f"{{word}} x"}}, GRANT),
        "no-scheme": lambda word: ("token", "POST", "", {{"Authorization": word}}, GRANT),
        "content-type": lambda word: ("token", "POST", "", {{"Content-Type": word}}, GRANT),
        "query": lambda word: ("token", "POST", f"?client_secret={{quote(word)}}", {{}}, GRANT),
        "path": lambda word: ("token", "POST", f"/{{quote(word, safe='')}}", {{}}, GRANT),
        "path-encoded-twice": lambda word: ("token", "POST", f"/{{quote(quote(word, safe=''))}}", {{}}, GRANT),
        "method": lambda word: ("token", quote(word, safe=""), "", {{}}, GRANT),
        "introspected": lambda word: ("introspection", "POST", "", {{}}, {{"token": word}}),
        "bearer": lambda word: ("api", "GET", "", {{"Authorization": f"Bearer {{word}}"}}, {{}}),
        "two-bearers": lambda word: ("api", "GET", "", {{"Authorization": f"Bearer {{word}},Bearer {{word}}"}}, {{}}),
        "no-bearer": lambda word: ("api", "GET", "", {{"Authorization": word}}, {{}}),
        "other-bearer": lambda word: ("api", "GET", "", {{"Authorization": f"{{word}} x"}}, {{}}),
        "api-query": lambda word: ("api", "GET", f"?access_token={{quote(word)}}", {{}}, {{}}),
        "api-body": lambda word: ("api", "POST", "", {{}}, {{"access_token": word}}),
        "api-path": lambda word: ("api", "GET", f"/Tags/{{quote(word, safe='')}}/x", {{}}, {{}}),
        "api-path-end": lambda word: ("api", "GET", "/" + "x" * 190 + quote(word, safe=""), {{}}, {{}}),
        "nowhere": lambda word: ("nowhere", "GET", f"/{{quote(word, safe='')}}", {{}}, {{}}),
    }}

    def in_base64(text):
        return base64.b64encode(text.encode()).decode()

    def basic(text):
        return {{"Authorization": f"Basic {{in_base64(text)}}"}}

    def send(server, endpoint, method, tail, headers, form):
        urls = {{"token": server.token_url, "api": server.api.url, "introspection": server.introspection_url}}
        parts = urlsplit(urls.get(endpoint, server.token_url))
        # Of the standard library: others would log the URL themselves.
        connection = http.client.HTTPConnection(parts.netloc)
        path = "" if endpoint == "nowhere" else parts.path
        headers = {{name: text.encode() for name, text in (FORM | headers).items()}}
        connection.request(method, path + tail, urlencode(form), headers)
        connection.getresponse().read()
        connection.close()

    def words_of(server):
        one = server.register("one", "first +/&%'\\"\\\\s\\u00e9cret", token_lifetime=60)
        other = server.register("other")
        secrets = [one.client_secret, one.rotate_secret("second:sec~ret"), one.rotate_secret(), other.client_secret]
        tokens = [server.mint(one), server.mint(other)]
        send(server, "token", "POST", "", {{}}, {{**GRANT, "client_id": "one", "client_secret": one.client_secret}})
        server.revoke(tokens[1])
        return secrets + tokens + [in_base64(f"one:{{secret}}") for secret in secrets]

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.sc_auth(token_format="{token_format}")
    def test_it(sc_auth_server, place):
        words = words_of(sc_auth_server)
        for word in words:
            send(sc_auth_server, *PLACES[place](word))
        with open("words.json", "a") as file:
            print(json.dumps(words), file=file)
        print(sc_auth_server, sc_auth_server.clients, sc_auth_server.credentials_of("one"), sc_auth_server.journal)
        print(list(sc_auth_server.clients.values()), list(sc_auth_server.journal))
        sc_auth_server.assert_token_requests(99)
"""


def shapes(word: str) -> set[str]:
    """Return a word as it may be written, in lower case; of a JWT, the part that would not be cut off."""
    in_base64 = base64.b64encode(word.encode()).decode().rstrip("=")
    as_header = word.encode().decode("latin-1")
    written = {word, as_header, quote(word), quote(word, safe=""), quote_plus(word), in_base64}
    return {text.lower()[:50] for text in written | {repr(text)[1:-1] for text in (word, as_header)}}


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_no_secret_and_no_token_is_in_anything_that_a_failing_run_prints(
    run: Run, pytester: pytest.Pytester, token_format: str
) -> None:
    result = run(LEAKS.format(token_format=token_format), "-rA", "-vv", "--log-level=DEBUG", "--junitxml=out.xml")

    printed = [result.stdout.str(), result.stderr.str(), (pytester.path / "out.xml").read_text("utf-8")]
    lines = {line.lower() for text in printed for line in text.split("\n")}
    words = {word for line in Path("words.json").read_text("utf-8").splitlines() for word in json.loads(line)}
    leaks = [(shape, line) for word in words for shape in shapes(word) for line in lines if shape in line]
    assert result.parseoutcomes() == {"failed": 27}
    assert len(words) > 100
    assert leaks == []

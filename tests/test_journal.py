"""The journal: what it keeps of every request, in which order, how much of it, and what it never shows."""

import base64
import dataclasses
import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder, TestResponse

from fake_server import AuthorizationServer, Clock, Exchange, Options, Reason, RegisteredClient
from fake_server.journal import Journal
from fake_server.key_source import KeySource
from fake_server.tokens import fingerprint

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
BASIC = ("smart-client", "smart-secret")

CallApi = Callable[..., TestResponse]
Send = Callable[[AuthorizationServer, Client, str], object]


@pytest.fixture
def token(server: AuthorizationServer, client: RegisteredClient) -> str:
    """A good token."""
    return server.mint(client)


def noon() -> Clock:
    clock = Clock()
    clock.freeze()
    clock.move_to(NOON)
    return clock


def filled(count: int, size: int = 10) -> Journal:
    journal, clock = Journal(size), noon()
    for number in range(1, count + 1):
        endpoint = "api" if number % 3 == 0 else "token"
        journal.record(clock=clock, endpoint=endpoint, method="GET", path=f"/{number}", status=200)
    return journal


# What an entry says


@pytest.mark.usefixtures("client")
def test_issued_token_has_an_entry(server: AuthorizationServer, http: Client) -> None:
    response = http.post(server.token_url, data=GRANT, auth=BASIC)

    assert response.json is not None
    assert list(server.journal) == [
        Exchange(
            number=1,
            instant=NOON,
            endpoint="token",
            method="POST",
            path="/v1/token",
            status=200,
            client_id="smart-client",
            grant_type="client_credentials",
            scope="ingr.api",
            token_id=fingerprint(response.json["access_token"]),
            token_expires_at=NOON + datetime.timedelta(hours=1),
        )
    ]


def test_api_call_has_an_entry(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    call_api(token, "/Tags/7?page=2", method="PATCH")

    assert list(server.journal) == [
        Exchange(
            number=1,
            instant=NOON,
            endpoint="api",
            method="PATCH",
            path="/sc/datalake/v1/Tags/7",
            status=200,
            client_id="smart-client",
            token_id=fingerprint(token),
        )
    ]


def test_refused_api_call_has_an_entry_with_why(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    server.clock.advance(hours=1)
    call_api(token)

    assert list(server.journal) == [
        Exchange(
            number=1,
            instant=NOON + datetime.timedelta(hours=1),
            endpoint="api",
            method="GET",
            path="/sc/datalake/v1/Tags",
            status=401,
            client_id="smart-client",
            token_id=fingerprint(token),
            error="invalid_token",
            reason=Reason.EXPIRED_TOKEN,
            diagnosis="the token expired 0 s ago by the server's clock",
        )
    ]


def test_call_without_a_token_has_an_entry_that_names_no_client(server: AuthorizationServer, call_api: CallApi) -> None:
    call_api(None)

    (entry,) = server.journal
    assert (entry.client_id, entry.token_id, entry.error) == (None, None, None)
    assert entry.reason is Reason.NO_TOKEN


def test_open_description_has_an_entry(server: AuthorizationServer, call_api: CallApi) -> None:
    call_api(None, "/description")

    (entry,) = server.api_requests
    assert (entry.path, entry.status, entry.client_id) == ("/sc/datalake/v1/description", 200, None)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("form", "auth", "expected"),
    [
        pytest.param(
            GRANT,
            ("smart-client", "wrong"),
            {"client_id": "smart-client", **GRANT, "error": "invalid_client", "reason": Reason.WRONG_SECRET},
            id="wrong-secret",
        ),
        pytest.param(
            GRANT,
            ("stranger", "secret"),
            {"client_id": None, **GRANT, "error": "invalid_client", "reason": Reason.UNKNOWN_CLIENT},
            id="unknown-client",
        ),
        pytest.param(
            GRANT,
            None,
            {"client_id": None, **GRANT, "error": "invalid_client", "reason": Reason.NO_CREDENTIALS},
            id="no-credentials",
        ),
        pytest.param(
            {"grant_type": "password"},
            BASIC,
            {
                "client_id": "smart-client",
                "grant_type": "password",
                "scope": None,
                "error": "unsupported_grant_type",
                "reason": Reason.UNSUPPORTED_GRANT_TYPE,
            },
            id="other-grant-type",
        ),
        pytest.param(
            {"grant_type": "client_credentials", "scope": "a b"},
            BASIC,
            {
                "client_id": "smart-client",
                "grant_type": "client_credentials",
                "scope": "a b",
                "error": "invalid_scope",
                "reason": Reason.UNKNOWN_SCOPE,
            },
            id="unknown-scope",
        ),
        pytest.param(
            {},
            BASIC,
            {"client_id": None, "grant_type": None, "scope": None, "error": "E0000021"},
            id="unreadable-form",
        ),
    ],
)
def test_refused_token_request_has_an_entry_with_what_is_known(
    server: AuthorizationServer,
    http: Client,
    form: dict[str, str],
    auth: tuple[str, str] | None,
    expected: dict[str, Any],
) -> None:
    response = http.post(server.token_url, data=form, auth=auth)

    (entry,) = server.token_requests
    assert entry.status == response.status_code
    assert {name: getattr(entry, name) for name in expected} == expected
    assert entry.diagnosis
    assert entry.diagnosis not in response.text
    assert entry.token_id is None


def test_clients_own_words_are_kept_in_part_only(server: AuthorizationServer, http: Client) -> None:
    http.post(server.token_url, data={"grant_type": "g" * 5000, "scope": "s" * 5000})
    http.open(server.api.url + "/" + "p" * 5000, method="M" * 5000)

    first, second = server.journal
    assert (first.grant_type, first.scope) == ("g" * 200, "s" * 200)
    assert len(second.path) == len(second.method) == 200


@pytest.mark.parametrize("mount", ["", "/as"], ids=["whole-path", "mounted"])
def test_path_is_below_the_issuer_wherever_the_server_is_mounted(
    server: AuthorizationServer, http: Client, mount: str
) -> None:
    http.post("/as/v1/token".removeprefix(mount), base_url=f"http://idp.test{mount}")

    assert server.journal[0].path == "/v1/token"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_method_has_an_entry(server: AuthorizationServer, http: Client, method: str) -> None:
    response = http.open(server.token_url, method=method)

    (entry,) = server.token_requests
    assert (entry.method, entry.status, entry.reason) == (method, 405, Reason.METHOD_NOT_ALLOWED)
    assert response.status_code == 405


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/tokens", "POST", 404),
        ("/v1/keys", "POST", 405),
        ("/.well-known/oauth-authorization-server", "POST", 405),
    ],
)
def test_refused_request_to_another_path_is_in_the_journal_and_in_no_view(
    server: AuthorizationServer, http: Client, path: str, method: str, status: int
) -> None:
    response = http.open(server.issuer + path, method=method)

    (entry,) = server.journal
    assert response.status_code == entry.status == status
    assert (entry.endpoint, entry.path) == ("other", path)
    assert (len(server.token_requests), len(server.api_requests)) == (0, 0)


def test_reading_keys_and_metadata_is_not_recorded(server: AuthorizationServer, http: Client) -> None:
    http.get(server.jwks_uri)
    http.get(server.issuer + "/.well-known/openid-configuration")

    assert len(server.journal) == 0


@pytest.mark.parametrize("path", ["/v1/token", "/sc/datalake/v1/Tags", "/elsewhere"])
def test_entry_is_there_before_the_answer_leaves(server: AuthorizationServer, path: str) -> None:
    seen: list[int] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        seen.append(len(server.journal))
        return lambda octets: None

    server.wsgi_app(EnvironBuilder("/as" + path, method="POST").get_environ(), start_response)

    assert seen == [1]


# Order, bound and views


def test_entries_are_in_the_order_of_the_answers(server: AuthorizationServer, http: Client, call_api: CallApi) -> None:
    http.post(server.token_url)
    server.clock.advance(1)
    call_api(None)
    server.clock.advance(1)
    http.post(server.token_url)

    assert [entry.number for entry in server.journal] == [1, 2, 3]
    assert [entry.endpoint for entry in server.journal] == ["token", "api", "token"]
    assert [(entry.instant - NOON).seconds for entry in server.journal] == [0, 1, 2]


def test_views_are_of_the_same_entries(server: AuthorizationServer, http: Client, call_api: CallApi) -> None:
    http.post(server.token_url)
    call_api(None)
    http.post(server.token_url)

    first, second, third = server.journal
    assert list(server.token_requests) == [first, third]
    assert list(server.api_requests) == [second]
    assert server.token_requests is server.journal.token_requests
    assert server.api_requests is server.journal.api_requests


def test_journal_keeps_the_latest_of_each_endpoint_and_counts_all(keys: KeySource) -> None:
    server = AuthorizationServer(Options(journal_size=2), keys=keys)
    http = Client(server)

    for path in ["/a", "/b", "/c"]:
        http.get(server.api.url + path)
    for _ in range(4):
        http.post(server.token_url)

    assert [entry.number for entry in server.journal] == [6, 7]
    assert [entry.number for entry in server.token_requests] == [6, 7]
    assert [entry.path[-2:] for entry in server.api_requests] == ["/b", "/c"]
    assert (server.journal.total, server.token_requests.total, server.api_requests.total) == (7, 4, 3)


def test_journal_is_a_sequence() -> None:
    journal = filled(5)
    first, *_, last = journal

    assert len(journal) == 5
    assert journal
    assert (journal[0], journal[-1]) == (first, last)
    assert [entry.number for entry in journal[1:4]] == [2, 3, 4]
    assert [entry.number for entry in journal[::-2]] == [5, 3, 1]
    assert [entry.number for entry in reversed(journal)] == [5, 4, 3, 2, 1]
    assert last in journal
    assert journal.index(last) == 4
    with pytest.raises(IndexError):
        journal[5]


def test_empty_journal_is_false() -> None:
    journal = Journal(10)

    assert not journal
    assert list(journal) == list(journal[:]) == []


@pytest.mark.parametrize(("read", "numbers"), [(iter, [1, 2, 3]), (reversed, [3, 2, 1])], ids=["forwards", "backwards"])
def test_reading_goes_on_undisturbed_while_entries_come(read: Callable[[Journal], Any], numbers: list[int]) -> None:
    journal = filled(3, size=3)

    reading = read(journal)
    seen = [next(reading).number]
    for _ in range(2):
        journal.record(clock=noon(), endpoint="token", method="GET", path="/", status=200)
    seen += [entry.number for entry in reading]

    assert seen == numbers
    assert [entry.number for entry in journal] == [3, 4, 5]


def test_slice_stays_as_it_was_taken() -> None:
    journal = filled(3, size=3)

    taken = journal[:]
    journal.record(clock=noon(), endpoint="token", method="GET", path="/", status=200)

    assert [entry.number for entry in taken] == [1, 2, 3]


def test_entry_cannot_be_changed() -> None:
    entry = filled(1)[0]

    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.status = 500  # type: ignore[misc]


@pytest.mark.usefixtures("eager_threads")
def test_readers_and_writers_at_once_see_an_unbroken_order() -> None:
    journal, clock = Journal(50), noon()
    snapshots: list[list[int]] = []
    done = threading.Event()

    def write(endpoint: str) -> None:
        for _ in range(500):
            journal.record(clock=clock, endpoint=endpoint, method="GET", path="/", status=200)

    def read() -> None:
        while True:
            was_done = done.is_set()
            snapshots.extend([[entry.number for entry in journal], [entry.number for entry in journal[-5:]]])
            if was_done:
                return

    writers = [threading.Thread(target=write, args=(endpoint,)) for endpoint in ["token", "api"] * 3]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()

    assert (journal.total, journal.token_requests.total, journal.api_requests.total) == (3000, 1500, 1500)
    assert all(numbers == list(range(numbers[0], numbers[0] + len(numbers))) for numbers in snapshots if numbers)
    assert snapshots[-2] == list(range(2951, 3001))


@pytest.mark.usefixtures("eager_threads")
def test_requests_at_once_each_have_an_entry(server: AuthorizationServer) -> None:
    def ask(endpoint: str) -> None:
        http = Client(server)
        for _ in range(25):
            http.post(endpoint)

    threads = [threading.Thread(target=ask, args=(url,)) for url in [server.token_url, server.api.url] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [entry.number for entry in server.journal] == list(range(1, 201))
    assert (len(server.token_requests), len(server.api_requests)) == (100, 100)
    assert [entry.number for entry in server.token_requests] == sorted(entry.number for entry in server.token_requests)


# For people


@pytest.mark.usefixtures("client")
def test_entry_of_a_token_request_reads_as_one_line(server: AuthorizationServer, http: Client) -> None:
    http.post(server.token_url, data={**GRANT, "scope": "other"}, auth=BASIC)

    assert str(server.journal[0]) == (
        "12:00:00  POST /v1/token  client smart-client  grant_type=client_credentials  scope=other  "
        "→ 400 invalid_scope  why: 'other' is not a scope of this server, which has ingr.api"
    )


def test_entry_of_an_api_call_reads_as_one_line(server: AuthorizationServer, call_api: CallApi, token: str) -> None:
    call_api(token)

    assert str(server.journal[0]) == (
        f"12:00:00  GET /sc/datalake/v1/Tags  client smart-client  token {fingerprint(token)}  → 200"
    )


def test_line_stays_one_line_whatever_the_client_sends(
    server: AuthorizationServer, http: Client, call_api: CallApi, token: str
) -> None:
    call_api(token, "/a%0Ab%1B[31m/%C3%9C")
    http.post(server.token_url, data={"grant_type": "a\nb", "scope": "c\r\nd"})

    first, second = str(server.journal).split("\n")
    assert "GET /sc/datalake/v1/a\\nb\\x1b[31m/Ü  client" in first
    assert "grant_type=a\\nb  scope=c\\r\\nd  →" in second


def test_journal_reads_as_a_line_an_entry() -> None:
    journal = filled(3)

    assert str(journal) == "12:00:00  GET /1  → 200\n12:00:00  GET /2  → 200\n12:00:00  GET /3  → 200"
    assert str(journal.api_requests) == "12:00:00  GET /3  → 200"


def test_empty_journal_says_that_no_request_came() -> None:
    assert str(Journal(10)) == "no request came"


def test_repr_counts_the_entries() -> None:
    journal = filled(5, size=2)

    assert repr(journal) == "<Journal of 5 exchanges>"
    assert repr(journal.token_requests) == "<ExchangeLog of 4 exchanges>"


# What is never shown


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def at_token_endpoint(**request: Any) -> Send:
    return lambda server, http, token: http.post(
        server.token_url, **{name: with_token(value, token) for name, value in request.items()}
    )


def at_api(path: str = "/Tags", **request: Any) -> Send:
    return lambda server, http, token: http.open(
        server.api.url + path.format(token=token),
        **{name: with_token(value, token) for name, value in request.items()},
    )


def with_token(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return {key: with_token(text, token) for key, text in value.items()}
    return value.format(token=token) if isinstance(value, str) else value


def revoked(server: AuthorizationServer, http: Client, token: str) -> None:
    server.revoke(token)
    http.get(server.api.url, headers={"Authorization": f"Bearer {token}"})


def expired(server: AuthorizationServer, http: Client, token: str) -> None:
    server.clock.advance(days=1)
    http.get(server.api.url, headers={"Authorization": f"Bearer {token}"})


def rotated(server: AuthorizationServer, http: Client, token: str) -> None:
    server.rotate_keys(publish_old=False)
    http.get(server.api.url, headers={"Authorization": f"Bearer {token}"})


def route_raises(server: AuthorizationServer, http: Client, token: str) -> None:
    server.api.get("/Tags", lambda request, claims: {}[request.headers["Authorization"]])
    http.get(server.api.url + "/Tags", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize(
    "send",
    [
        pytest.param(at_token_endpoint(data=GRANT, auth=BASIC), id="basic"),
        pytest.param(
            at_token_endpoint(data={**GRANT, "client_id": "smart-client", "client_secret": "smart-secret"}), id="body"
        ),
        pytest.param(
            at_token_endpoint(data={**GRANT, "client_id": "smart-client", "client_secret": "smart-secret"}, auth=BASIC),
            id="basic-and-body",
        ),
        pytest.param(
            at_token_endpoint(data=GRANT, query_string={"client_id": "x", "client_secret": "smart-secret"}), id="query"
        ),
        pytest.param(at_token_endpoint(data={**GRANT, "client_secret": "smart-secret"}), id="body-without-id"),
        pytest.param(
            at_token_endpoint(
                data=b"client_secret=smart-secret&client_secret=smart-secret",
                content_type="application/x-www-form-urlencoded",
            ),
            id="body-twice",
        ),
        pytest.param(at_token_endpoint(json={"client_secret": "smart-secret"}), id="json"),
        pytest.param(at_token_endpoint(data=GRANT, headers=basic("smart-secret:smart-client")), id="exchanged"),
        pytest.param(at_token_endpoint(data=GRANT, headers=basic("smart-secret")), id="without-colon"),
        pytest.param(at_token_endpoint(data=GRANT, headers=basic("smart-client:smart-secret\n")), id="with-newline"),
        pytest.param(at_token_endpoint(data=GRANT, headers={"Authorization": "Basic smart-secret"}), id="not-base64"),
        pytest.param(at_token_endpoint(data=GRANT, headers={"Authorization": "smart-secret"}), id="no-scheme"),
        pytest.param(
            at_token_endpoint(data={**GRANT, "client_id": "smart-secret", "client_secret": "smart-client"}),
            id="exchanged-in-the-body",
        ),
        pytest.param(
            at_token_endpoint(data={**GRANT, "client_id": "smart-secret"}, auth=BASIC), id="secret-as-client-id"
        ),
        pytest.param(at_token_endpoint(data=GRANT, headers={"Authorization": "Bearer {token}"}), id="token-for-token"),
        pytest.param(at_token_endpoint(data={**GRANT, "scope": "{token}"}, auth=BASIC), id="token-as-scope"),
        pytest.param(at_token_endpoint(data={"grant_type": "{token}"}, auth=BASIC), id="token-as-grant-type"),
        pytest.param(at_api(headers={"Authorization": "Bearer {token}"}), id="bearer"),
        pytest.param(at_api(headers={"Authorization": "Bearer {token}x"}), id="bearer-altered"),
        pytest.param(at_api(headers={"Authorization": "Bearer {token},Bearer {token}"}), id="bearer-twice"),
        pytest.param(at_api(headers={"Authorization": "{token}"}), id="token-without-bearer"),
        pytest.param(at_api(headers={"Authorization": "Bearer smart-secret"}), id="secret-as-token"),
        pytest.param(at_api(query_string={"access_token": "{token}"}), id="token-in-the-query"),
        pytest.param(at_api(method="POST", data={"access_token": "{token}"}), id="token-in-the-body"),
        pytest.param(at_api("/Tags/{token}", headers={"Authorization": "Bearer {token}"}), id="token-in-the-path"),
        pytest.param(at_api("0/{token}"), id="token-in-an-unknown-path"),
        pytest.param(at_api(headers=basic("smart-client:smart-secret")), id="basic-at-the-api"),
        pytest.param(revoked, id="revoked"),
        pytest.param(expired, id="expired"),
        pytest.param(rotated, id="rotated"),
        pytest.param(route_raises, id="route-raises"),
    ],
)
def test_no_secret_and_no_whole_token_is_shown(
    server: AuthorizationServer, http: Client, token: str, send: Send
) -> None:
    send(server, http, token)

    (entry,) = server.journal
    shown = "\n".join(
        [repr(server), repr(server.journal), str(server.journal), repr(entry), str(entry), repr(list(server.journal))]
    )
    signature = token.rpartition(".")[2]
    assert "smart-secret" not in shown
    assert base64.b64encode(b"smart-secret").decode().rstrip("=") not in shown
    assert token not in shown
    assert signature not in shown
    assert signature[:20] not in shown

"""Death before time, and tokens that are handed out again: the API, introspection and the journal agree."""

import datetime
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import Client

from fake_server import AuthorizationServer, Options, Reason, RegisteredClient
from fake_server.key_source import KeySource
from fake_server.tokens import fingerprint

NOON = 1772366400
BASIC = ("smart-client", "smart-secret")
Act = Callable[[AuthorizationServer, RegisteredClient, str], None]


def make(keys: KeySource, **options: Any) -> AuthorizationServer:
    """Return a server whose clock stands at noon, with a client, and another that asks about its tokens."""
    server = AuthorizationServer(Options(**options), base_url="http://idp.test/as", keys=keys)
    server.clock.freeze()
    server.clock.move_to(NOON)
    server.register(*BASIC)
    server.register("watcher", "watcher-secret")
    return server


def ask(server: AuthorizationServer, scope: str = "ingr.api", auth: tuple[str, str] = BASIC) -> dict[str, Any]:
    form = {"grant_type": "client_credentials", "scope": scope}
    members = Client(server).post(server.token_url, data=form, auth=auth).json
    assert isinstance(members, dict)
    return members


def is_active(server: AuthorizationServer, token: str) -> bool:
    response = Client(server).post(
        str(server.introspection_url), data={"token": token}, auth=("watcher", "watcher-secret")
    )
    assert response.json is not None
    return bool(response.json["active"])


def call_api(server: AuthorizationServer, token: str) -> int:
    return Client(server).get(server.api.url, headers={"Authorization": f"Bearer {token}"}).status_code


def ended(expires_at: float | None) -> datetime.datetime | None:
    return None if expires_at is None else datetime.datetime.fromtimestamp(expires_at, datetime.timezone.utc)


# Death before time

DEATHS: dict[str, tuple[Act, Reason | None]] = {
    "nothing": (lambda server, client, token: None, None),
    "expire": (lambda server, client, token: server.expire(token), Reason.EXPIRED_TOKEN),
    "expire-all": (lambda server, client, token: server.expire_all(), Reason.EXPIRED_TOKEN),
    "revoke": (lambda server, client, token: server.revoke(token), Reason.REVOKED_TOKEN),
    "disable": (lambda server, client, token: client.disable(), Reason.TOKEN_OF_DISABLED_CLIENT),
    "rotate-and-forget": (
        lambda server, client, token: server.rotate_keys(publish_old=False),
        Reason.UNKNOWN_SIGNING_KEY,
    ),
    "rotate": (lambda server, client, token: server.rotate_keys(), None),
    "last-second": (lambda server, client, token: server.clock.advance(3599), None),
    "end": (lambda server, client, token: server.clock.advance(3600), Reason.EXPIRED_TOKEN),
}


@pytest.mark.parametrize(("act", "reason"), DEATHS.values(), ids=DEATHS)
def test_api_introspection_and_journal_agree_on_a_token(keys: KeySource, act: Act, reason: Reason | None) -> None:
    server = make(keys)
    token = ask(server)["access_token"]

    act(server, server.clients["smart-client"], token)

    assert (call_api(server, token), is_active(server, token)) == ((401, False) if reason else (200, True))
    assert [exchange.endpoint for exchange in server.journal] == ["token", "api", "introspection"]
    assert {exchange.token_id for exchange in server.journal} == {fingerprint(token)}
    assert [exchange.reason for exchange in server.journal] == [None, reason, reason]


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_token_that_lives_shorter_than_announced(keys: KeySource, token_format: str) -> None:
    server = make(keys, token_format=token_format, claims=lambda grant: {"exp": grant.issued_at + 5})

    members = ask(server)
    token = members["access_token"]
    before = call_api(server, token), is_active(server, token)
    server.clock.advance(5)

    assert members["expires_in"] == 3600
    assert (before, call_api(server, token), is_active(server, token)) == ((200, True), 401, False)
    assert server.token_requests[0].token_expires_at == ended(NOON + 5)
    assert [exchange.reason for exchange in server.journal][-2:] == [Reason.EXPIRED_TOKEN] * 2


@pytest.mark.parametrize("end", [None, "soon", 10**18, NOON + 7200])
def test_journal_has_the_end_that_the_token_has_itself(keys: KeySource, end: Any) -> None:
    server = make(keys, claims={"exp": end})

    assert ask(server)["expires_in"] == 3600
    assert server.token_requests[-1].token_expires_at == (ended(end) if end == NOON + 7200 else None)


# The same token again


def test_token_is_handed_out_again_until_it_ends_soon(keys: KeySource) -> None:
    server = make(keys, token_lifetime=100, sticky_tokens=30)
    answers = []

    for seconds in (0, 40, 29, 1, 0):
        server.clock.advance(seconds)
        answers.append(ask(server))

    assert [members["expires_in"] for members in answers] == [100, 60, 31, 100, 100]
    tokens = [members["access_token"] for members in answers]
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3] == tokens[4]
    ends = [exchange.token_expires_at for exchange in server.token_requests]
    assert ends == [ended(NOON + 100)] * 3 + [ended(NOON + 170)] * 2


@pytest.mark.parametrize("margin", [None, 100, 101])
def test_token_is_new_each_time_without_time_left(keys: KeySource, margin: int | None) -> None:
    server = make(keys, token_lifetime=100, sticky_tokens=margin)

    assert len({ask(server)["access_token"] for _ in range(3)}) == 3


def test_token_is_the_same_for_one_client_and_scope_only(keys: KeySource) -> None:
    server = make(keys, scopes=["ingr.api", "reports"], sticky_tokens=0)
    asked = [("ingr.api", BASIC), ("ingr.api reports", BASIC), ("ingr.api", ("watcher", "watcher-secret"))]

    first, second = [[ask(server, *question)["access_token"] for question in asked] for _ in range(2)]

    assert first == second
    assert len(set(first)) == 3


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize(
    ("act", "is_same"),
    [
        (DEATHS["nothing"][0], True),
        (DEATHS["expire"][0], False),
        (DEATHS["expire-all"][0], False),
        (DEATHS["revoke"][0], False),
        (DEATHS["rotate"][0], True),
        (lambda server, client, token: client.rotate_secret(BASIC[1]), True),
    ],
    ids=["nothing", "expire", "expire-all", "revoke", "rotate", "rotate-secret"],
)
def test_token_that_has_died_is_not_handed_out_again(
    keys: KeySource, token_format: str, act: Act, is_same: bool
) -> None:
    server = make(keys, token_format=token_format, sticky_tokens=0)
    token = ask(server)["access_token"]

    act(server, server.clients["smart-client"], token)
    again = ask(server)["access_token"]

    assert (again == token) is is_same
    assert call_api(server, again) == 200


def test_token_of_a_key_that_is_gone_is_not_handed_out_again(keys: KeySource) -> None:
    server = make(keys, sticky_tokens=0)
    token = ask(server)["access_token"]

    server.rotate_keys(publish_old=False)

    assert ask(server)["access_token"] != token


def test_disabled_client_gets_no_token_and_its_own_again_when_it_is_enabled(keys: KeySource) -> None:
    server = make(keys, sticky_tokens=0)
    token = ask(server)["access_token"]

    server.clients["smart-client"].disable()
    refused = ask(server)
    server.clients["smart-client"].enable()

    assert "access_token" not in refused
    assert ask(server)["access_token"] == token


@pytest.mark.parametrize("name", ["expired_token", "refused_token", "narrower_scope"])
def test_fault_hands_out_a_token_of_its_own(keys: KeySource, name: str) -> None:
    server = make(keys, sticky_tokens=0)
    token = ask(server)["access_token"]
    server.fail(name)

    odd, again = ask(server)["access_token"], ask(server)["access_token"]

    assert odd != token == again
    assert (call_api(server, odd) in (401, 403), call_api(server, again)) == (True, 200)


@pytest.mark.usefixtures("eager_threads")
def test_all_that_ask_at_once_get_the_same_token(keys: KeySource) -> None:
    server = make(keys, sticky_tokens=0)
    server.hold(8, moment=5)

    with ThreadPoolExecutor(8) as pool:
        tokens = {members["access_token"] for members in pool.map(ask, [server] * 8)}

    assert len(tokens) == 1

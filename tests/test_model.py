"""Any order of events in a server's life, against a model of it that is a few lines long."""

import os
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import Client

from fake_server import AuthorizationServer, Options
from fake_server.key_source import KeySource

LIFETIME = 3600
KEYS = KeySource()


@dataclass(eq=False)
class Known:
    """A client, as the model has it."""

    client_id: str
    secret: str
    old_secret: str = "never"
    enabled: bool = True


@dataclass(eq=False)
class Issued:
    """A token, as the model has it: good until its end, unless something ended it or withdrew its key."""

    value: str
    owner: Known
    ends_at: int
    ended: bool = False
    withdrawn: bool = False

    def is_good(self, now: int) -> bool:
        return now < self.ends_at and not self.ended and not self.withdrawn and self.owner.enabled


class Life(RuleBasedStateMachine):
    """Do to a server what tests and clients may do, and compare what it says with the model."""

    known = Bundle("known")
    issued = Bundle("issued")
    token_format = "jwt"

    def __init__(self) -> None:
        super().__init__()
        options = Options(
            dialect="rfc6749", signing_alg="ES256", token_format=self.token_format, token_lifetime=LIFETIME
        )
        self.server = AuthorizationServer(options, base_url="http://idp.test", keys=KEYS)
        self.server.clock.freeze()
        self.server.clock.move_to(0)
        self.http = Client(self.server)
        api = self.server.register()
        self.api = (api.client_id, api.client_secret)
        self.now = 0
        self.tokens: list[Issued] = []
        self.asked = 0

    def ask(self, client: Known, secret: str, scope: str = "ingr.api") -> int:
        self.asked += 1
        form = {"grant_type": "client_credentials", "scope": scope}
        self.answer = self.http.post("/token", data=form, auth=(client.client_id, secret))
        return self.answer.status_code

    @initialize(target=known)
    def begin(self) -> object:
        return self.register()

    @rule(target=known)
    def register(self) -> Known:
        client = self.server.register()
        return Known(client.client_id, client.client_secret)

    @rule(target=issued, client=known)
    def issue(self, client: Known) -> object:
        status = self.ask(client, client.secret)
        assert status == (200 if client.enabled else 401)
        if not client.enabled:
            return multiple()
        assert self.answer.get_json()["expires_in"] == LIFETIME
        self.tokens.append(Issued(self.answer.get_json()["access_token"], client, self.now + LIFETIME))
        return self.tokens[-1]

    @rule(client=known)
    def ask_with_an_old_secret(self, client: Known) -> None:
        assert self.ask(client, client.old_secret) == 401

    @rule(client=known)
    def ask_for_another_scope(self, client: Known) -> None:
        assert self.ask(client, client.secret, "ingr.admin") == (400 if client.enabled else 401)

    @rule(seconds=st.sampled_from([1, LIFETIME // 2, LIFETIME - 1, LIFETIME]))
    def advance(self, seconds: int) -> None:
        self.server.clock.advance(seconds)
        self.now += seconds

    @rule(client=known)
    def rotate_secret(self, client: Known) -> None:
        client.old_secret, client.secret = client.secret, self.server.clients[client.client_id].rotate_secret()

    @rule(client=known, enabled=st.booleans())
    def switch(self, client: Known, enabled: bool) -> None:
        registered = self.server.clients[client.client_id]
        (registered.enable if enabled else registered.disable)()
        client.enabled = enabled

    @rule(publish_old=st.booleans())
    def rotate_keys(self, publish_old: bool) -> None:
        self.server.rotate_keys(publish_old=publish_old)
        if not publish_old and self.token_format == "jwt":  # an opaque token is not signed
            for token in self.tokens:
                token.withdrawn = True

    @rule()
    def expire_all(self) -> None:
        self.server.expire_all()
        for token in self.tokens:
            token.ended = True

    @rule(token=issued, how=st.sampled_from(["revoke", "expire"]))
    def end(self, token: Issued, how: str) -> None:
        if token.withdrawn:
            with pytest.raises(ValueError, match="no token of this server"):
                getattr(self.server, how)(token.value)
        else:
            getattr(self.server, how)(token.value)
            token.ended = True

    @rule(token=issued, client=known)
    def revoke_by_http(self, token: Issued, client: Known) -> None:
        answer = self.http.post("/revoke", data={"token": token.value}, auth=(client.client_id, client.secret))
        is_anothers = client is not token.owner and not token.withdrawn
        assert answer.status_code == (401 if not client.enabled else 400 if is_anothers else 200)
        if answer.status_code == 200:
            token.ended = True

    @rule(client=known)
    def introspect_as_a_client(self, client: Known) -> None:
        answer = self.http.post("/introspect", data={"token": "x"}, auth=(client.client_id, client.secret))
        assert answer.status_code == (200 if client.enabled else 401)

    @invariant()
    def tokens_are_as_good_as_the_model_has_them(self) -> None:
        for token in self.tokens[-3:]:
            is_good = token.is_good(self.now)
            called = self.http.get("/sc/datalake/v1/Tags", headers={"Authorization": f"Bearer {token.value}"})
            assert called.status_code == (200 if is_good else 401)
            members = self.http.post("/introspect", data={"token": token.value}, auth=self.api).get_json()
            assert members["active"] == is_good
            assert members.get("exp") == (token.ends_at if is_good else None)

    @invariant()
    def journal_has_all(self) -> None:
        assert self.server.token_requests.total == self.asked
        assert self.server.errors == []


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_server_lives_as_the_model_does(token_format: str) -> None:
    life = type("Life", (Life,), {"token_format": token_format})
    examples = int(os.environ.get("HYPOTHESIS_EXAMPLES", "40"))

    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
            database=None,
        ),
    )

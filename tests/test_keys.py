"""Signing keys: what is published, of which algorithm, what a rotation changes, and that no key too many is made."""

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import Any

import jwt
import pytest
from joserfc.jwk import RSAKey
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Options, Reason, RegisteredClient
from fake_server.key_source import KeySource
from fake_server.keys import SigningKey, SigningKeys

CallApi = Callable[..., TestResponse]


def published(server: AuthorizationServer, http: Client) -> list[dict[str, Any]]:
    response = http.get(server.jwks_uri)
    assert response.json is not None
    return list(response.json["keys"])


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


# What is published


def test_jwks_has_the_public_half_of_the_key_and_nothing_else(server: AuthorizationServer, http: Client) -> None:
    (key,) = published(server, http)

    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
    assert (key["kty"], key["use"], key["alg"], key["e"]) == ("RSA", "sig", "RS256", "AQAB")


def test_kid_is_the_thumbprint_of_the_key(server: AuthorizationServer, http: Client) -> None:
    (key,) = published(server, http)

    assert key["kid"] == RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")}).thumbprint()


@pytest.mark.usefixtures("client")
def test_published_key_verifies_a_token_in_another_library(server: AuthorizationServer, http: Client) -> None:
    (key,) = published(server, http)

    token = server.mint(lifetime=10**9)

    claims = jwt.decode(
        token,
        jwt.PyJWK(key).key,
        ["RS256"],
        audience=server.options.audience,
        issuer=server.issuer,
        options={"verify_iat": False},
    )
    assert kid_of(token) == key["kid"]
    assert claims["cid"] == "smart-client"


def test_servers_with_one_source_sign_with_one_key(keys: KeySource) -> None:
    one, other = AuthorizationServer(keys=keys), AuthorizationServer(keys=keys)
    one.register()
    other.register()

    assert kid_of(one.mint()) == kid_of(other.mint())


# Other algorithms

ALGS = ["RS256", "ES256", "EdDSA", "HS256"]


def signing_with(alg: str, keys: KeySource) -> AuthorizationServer:
    server = AuthorizationServer(Options(dialect="rfc6749", signing_alg=alg), keys=keys)
    server.register()
    return server


def status_of(server: AuthorizationServer, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return Client(server).get(server.api.url + "/Tags", headers=headers).status_code


def verified(server: AuthorizationServer, token: str) -> dict[str, Any]:
    """Return the claims of a token, after PyJWT has verified it with the published or the shared key."""
    header = jwt.get_unverified_header(token)
    shared = server.signing_secret
    key: Any = base64.urlsafe_b64decode(f"{shared}==") if shared else None
    for jwk in published(server, Client(server)):
        key = jwt.PyJWK(jwk).key if jwk["kid"] == header["kid"] else key
    audience = server.options.audience
    claims: dict[str, Any] = jwt.decode(token, key, [header["alg"]], audience=audience, issuer=server.issuer)
    return claims


@pytest.mark.parametrize("alg", ALGS)
def test_token_of_every_algorithm_is_good_here_and_in_another_library(keys: KeySource, alg: str) -> None:
    server = signing_with(alg, keys)

    token = server.mint()

    assert jwt.get_unverified_header(token)["alg"] == alg
    assert verified(server, token)["client_id"] == server.credentials_of().client_id
    assert status_of(server, token) == 200


@pytest.mark.parametrize(
    ("alg", "members"),
    [
        ("RS256", {"kty": "RSA", "alg": "RS256", "e": "AQAB"}),
        ("ES256", {"kty": "EC", "alg": "ES256", "crv": "P-256"}),
        ("EdDSA", {"kty": "OKP", "alg": "EdDSA", "crv": "Ed25519"}),
    ],
)
def test_public_half_of_every_algorithm_is_published(keys: KeySource, alg: str, members: dict[str, str]) -> None:
    server = signing_with(alg, keys)

    (key,) = published(server, Client(server))

    assert members.items() <= key.items()
    assert "d" not in key
    assert server.signing_secret is None


def test_shared_key_is_not_published_but_the_tests_to_give_away(keys: KeySource) -> None:
    server = signing_with("HS256", keys)

    secret = server.signing_secret

    assert published(server, Client(server)) == []
    assert secret is not None
    assert len(base64.urlsafe_b64decode(secret + "==")) == 32
    assert "=" not in secret
    assert secret not in repr(server)


@pytest.mark.parametrize("publish_old", [True, False])
@pytest.mark.parametrize("alg", ALGS)
def test_keys_of_every_algorithm_can_be_rotated(keys: KeySource, alg: str, publish_old: bool) -> None:
    server = signing_with(alg, keys)
    before = server.mint()

    server.rotate_keys(publish_old=publish_old)
    after = server.mint()

    assert kid_of(after) != kid_of(before)
    assert verified(server, after)["sub"] == server.credentials_of().client_id
    assert (status_of(server, before), status_of(server, after)) == (200 if publish_old else 401, 200)


@pytest.mark.parametrize("alg", ALGS)
def test_altered_or_cut_signature_of_every_algorithm_is_refused(keys: KeySource, alg: str) -> None:
    server = signing_with(alg, keys)
    head, _, signature = server.mint().rpartition(".")
    altered = ("B" if signature[0] == "A" else "A") + signature[1:]

    statuses = [status_of(server, f"{head}.{changed}") for changed in (altered, signature[:-4], signature + "AAAA", "")]

    assert statuses == [401] * 4
    assert {entry.reason for entry in server.api_requests} == {Reason.BAD_SIGNATURE}
    diagnoses = [str(entry.diagnosis).partition(":")[0] for entry in server.api_requests]
    assert diagnoses == [
        "the token's signature is not this server's",
        "the token is cut short",
        "the token has something after it",
        "the token is cut short",
    ]


def test_token_of_one_algorithm_is_refused_by_a_server_of_another(keys: KeySource) -> None:
    server = signing_with("ES256", keys)

    status = status_of(server, signing_with("EdDSA", keys).mint())

    assert status == 401
    assert server.api_requests[-1].reason is Reason.WRONG_ALGORITHM
    assert server.api_requests[-1].diagnosis == "the token is not signed with ES256"


# Rotation


def test_rotated_server_signs_with_a_new_key_and_publishes_both(
    server: AuthorizationServer, client: RegisteredClient, http: Client
) -> None:
    before = server.mint(client)

    server.rotate_keys()
    after = server.mint(client)

    assert kid_of(after) != kid_of(before)
    assert [key["kid"] for key in published(server, http)] == [kid_of(after), kid_of(before)]


def test_token_of_a_published_old_key_stays_good(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    before = server.mint(client)

    server.rotate_keys()
    server.rotate_keys(publish_old=True)
    after = server.mint(client)

    assert call_api(before).status_code == 200
    assert call_api(after).status_code == 200


def test_token_of_an_old_key_no_longer_published_is_rejected(
    server: AuthorizationServer, client: RegisteredClient, http: Client, call_api: CallApi
) -> None:
    before = server.mint(client)

    server.rotate_keys(publish_old=False)
    after = server.mint(client)

    assert [key["kid"] for key in published(server, http)] == [kid_of(after)]
    assert call_api(after).status_code == 200
    assert call_api(before).status_code == 401
    assert server.api_requests[-1].reason is Reason.UNKNOWN_SIGNING_KEY


def test_rotating_before_any_token_publishes_the_first_key_too(
    server: AuthorizationServer, http: Client, keys: KeySource
) -> None:
    server.rotate_keys()

    assert [key["kid"] for key in published(server, http)][1] == keys.shared().kid


def test_revoked_token_stays_revoked_after_a_rotation(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    token = server.mint(client)

    server.revoke(token)
    server.rotate_keys()
    call_api(token)

    assert server.api_requests[-1].reason is Reason.REVOKED_TOKEN


def test_rotating_one_server_leaves_another_with_the_same_source(server: AuthorizationServer, keys: KeySource) -> None:
    other = AuthorizationServer(keys=keys)
    other.register()
    before = other.mint()

    server.rotate_keys(publish_old=False)

    assert kid_of(other.mint()) == kid_of(before)


def test_rotations_at_once_all_stay_published(keys: KeySource) -> None:
    signing = SigningKeys(keys)

    with ThreadPoolExecutor(4) as pool:
        for rotation in [pool.submit(signing.rotate, publish_old=True) for _ in range(4)]:
            rotation.result()

    kids = [key["kid"] for key in signing.as_jwks()["keys"]]
    assert len(set(kids)) == len(kids) == 5
    assert kids[-1] == keys.shared().kid


class SlowSource(KeySource):
    """A source whose fresh key is there at once, and whose shared key is under way until it is let out."""

    def __init__(self, shared: SigningKey, fresh: SigningKey) -> None:
        super().__init__()
        self.asked, self.let_out = threading.Event(), threading.Event()
        self._keys = shared, fresh

    def shared(self, alg: str = "RS256") -> SigningKey:
        self.asked.set()
        self.let_out.wait(10)
        return self._keys[0]

    def fresh(self, alg: str = "RS256") -> SigningKey:
        return self._keys[1]


@pytest.mark.parametrize("publish_old", [True, False])
def test_rotation_while_the_first_key_is_made_is_not_lost(keys: KeySource, publish_old: bool) -> None:
    fresh = keys.fresh()
    source = SlowSource(keys.shared(), fresh)
    signing = SigningKeys(source)

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(signing.as_jwks)
        source.asked.wait(10)
        rotation = pool.submit(signing.rotate, publish_old=publish_old)
        wait([rotation], timeout=0.05)  # it may not overtake the reader, who would undo it
        source.let_out.set()
        rotation.result()
        reading.result()

    assert signing.current is fresh


def test_key_is_found_by_its_kid(keys: KeySource) -> None:
    signing = SigningKeys(keys)
    first = signing.current

    signing.rotate(publish_old=True)

    assert signing.get(first.kid) is first
    assert signing.get(signing.current.kid) is signing.current
    assert signing.current is not first


@pytest.mark.parametrize("kid", [None, "", "other", 1, ["x"], {}], ids=repr)
def test_unknown_kid_finds_no_key(keys: KeySource, kid: object) -> None:
    assert SigningKeys(keys).get(kid) is None


# The source


class CountingSource(KeySource):
    """A source that counts the keys it makes."""

    made = 0

    def fresh(self, alg: str = "RS256") -> SigningKey:
        self.made += 1
        return super().fresh(alg)


def test_shared_key_is_made_once_however_many_ask_at_once() -> None:
    source = CountingSource()
    barrier = threading.Barrier(4, timeout=10)

    def ask() -> SigningKey:
        barrier.wait()
        return source.shared()

    with ThreadPoolExecutor(4) as pool:
        made = [asked.result() for asked in [pool.submit(ask) for _ in range(4)]]

    assert all(key is made[0] for key in made)
    assert source.made == 1


def test_fresh_key_is_not_the_shared_one(keys: KeySource) -> None:
    assert keys.fresh().kid != keys.shared().kid


def test_preparing_makes_the_shared_key() -> None:
    source = CountingSource()

    source.prepare()
    source.close()
    prepared = source.made
    source.shared()

    assert prepared == source.made == 1


def test_preparation_is_one_thread_that_closing_waits_for(keys: KeySource) -> None:
    source, before = SlowSource(keys.shared(), keys.shared()), set(threading.enumerate())

    source.prepare()
    source.prepare()
    under_way = set(threading.enumerate()) - before
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(source.close)
        wait([closing], timeout=0.05)
        closed_early = closing.done()
        source.let_out.set()
        closing.result()

    assert [thread.name for thread in under_way] == ["fake_server-key"]
    assert not closed_early
    assert not any(thread.is_alive() for thread in under_way)


def test_source_that_gets_no_thread_can_be_closed_and_makes_its_key(
    no_threads: Callable[[], AbstractContextManager[None]],
) -> None:
    source = CountingSource()
    with no_threads():
        with pytest.raises(RuntimeError, match="can't start new thread"):
            source.prepare()

    source.close()
    assert source.shared().kid


def test_closing_a_source_makes_no_key() -> None:
    source = CountingSource()

    source.close()

    assert source.made == 0


def test_server_makes_no_key_until_one_is_needed() -> None:
    source = CountingSource()
    server = AuthorizationServer(keys=source)
    server.register()
    before = source.made

    server.mint()
    server.mint()

    assert (before, source.made) == (0, 1)


@pytest.mark.usefixtures("client")
def test_token_of_a_withdrawn_key_is_told_from_a_foreign_one(server: AuthorizationServer, call_api: CallApi) -> None:
    token = server.mint()
    server.rotate_keys(publish_old=False)

    call_api(token)

    assert server.api_requests[-1].diagnosis == (
        f"the token's kid {kid_of(token)!r} is not among this server's keys: "
        "rotate_keys(publish_old=False) has withdrawn it"
    )

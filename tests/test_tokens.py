"""Tokens: what the API accepts, what it refuses and why, and how tokens end before their time."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import RSAKey
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Clock, Options, Reason, Refusal, RegisteredClient
from fake_server.key_source import KeySource
from fake_server.keys import SigningKey, SigningKeys
from fake_server.tokens import TokenStore, fingerprint

NOON = 1772366400
AUDIENCE = "8C1F6E0D-52B7-4A39-9D84-3E7B60A2F915"
ISSUER = "http://idp.test/as"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

CallApi = Callable[..., TestResponse]


def encoded(content: Any) -> str:
    octets = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass(frozen=True)
class Workshop:
    """What a forger has: a good token of the server, the server's key, and one of its own."""

    token: str
    key: RSAKey
    own_key: rsa.RSAPrivateKey

    @property
    def parts(self) -> list[str]:
        return self.token.split(".")

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(self.token, options={"verify_signature": False})
        return claims

    @property
    def header(self) -> dict[str, Any]:
        return dict(jwt.get_unverified_header(self.token))

    def sign(self, key: Any, alg: str = "RS256", *, kid: str | None = None, **header: Any) -> str:
        return jwt.encode(self.claims, key, alg, headers={"kid": kid or self.header["kid"], **header})

    def sign_with_server_key(self, alg: str) -> str:
        return self.sign(self.key.as_pem(private=True), alg)

    def with_header(self, header: Any) -> str:
        return ".".join([encoded(header), *self.parts[1:]])

    def with_claims(self, **changes: Any) -> str:
        return ".".join([self.parts[0], encoded({**self.claims, **changes}), self.parts[2]])

    def with_signature(self, change: Callable[[str], str]) -> str:
        return ".".join([*self.parts[:2], change(self.parts[2])])

    def with_signed_payload(self, payload: bytes) -> str:
        return jws.serialize_compact(self.header, payload, self.key)

    def hs256_by(self, secret: bytes) -> str:
        # By hand: libraries refuse a public key as a shared secret, which is what this attack relies on.
        signed = f"{encoded({'alg': 'HS256', 'kid': self.header['kid']})}.{self.parts[1]}"
        return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"

    @property
    def public_pem(self) -> bytes:
        return self.key.as_pem(private=False)


@pytest.fixture(scope="module")
def own_key() -> rsa.RSAPrivateKey:
    """A key that no server knows."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def workshop(
    server: AuthorizationServer, client: RegisteredClient, keys: KeySource, own_key: rsa.RSAPrivateKey
) -> Workshop:
    """What is at hand to forge tokens of the server."""
    key = keys.shared()
    assert isinstance(key, RSAKey)
    return Workshop(server.mint(client), key, own_key)


def own_public_jwk(workshop: Workshop) -> dict[str, Any]:
    pem = workshop.own_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {**RSAKey.import_key(pem).as_dict(private=False)}


# What is accepted


def test_good_token_is_accepted(workshop: Workshop, call_api: CallApi) -> None:
    response = call_api(workshop.token)

    assert response.status_code == 200
    assert response.json is not None
    assert response.json["claims"] == workshop.claims


def test_token_that_another_library_signed_with_the_servers_key_is_accepted(
    workshop: Workshop, call_api: CallApi
) -> None:
    token = workshop.sign_with_server_key("RS256")

    assert token != workshop.token
    assert call_api(token).status_code == 200


# What is refused

BAD_SIGNATURE = "the token's signature is not this server's: it was altered or forged"
WRONG_ALGORITHM = "the token is not signed with RS256"


def flip_first(text: str) -> str:
    return ("A" if text[0] != "A" else "B") + text[1:]


def flip_spare_bit(text: str) -> str:
    # 256 octets leave four bits of the last character without meaning; the octets stay the same.
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


@pytest.mark.parametrize(
    ("forge", "reason", "diagnosis"),
    [
        pytest.param(lambda it: it.sign(None, "none"), Reason.WRONG_ALGORITHM, WRONG_ALGORITHM, id="alg-none-unsigned"),
        pytest.param(
            lambda it: it.with_header({"alg": "none", "kid": it.header["kid"]}),
            Reason.WRONG_ALGORITHM,
            WRONG_ALGORITHM,
            id="alg-none-signature-kept",
        ),
        pytest.param(
            lambda it: it.with_header({"alg": "None", "kid": it.header["kid"]}),
            Reason.WRONG_ALGORITHM,
            WRONG_ALGORITHM,
            id="alg-none-in-another-case",
        ),
        pytest.param(
            lambda it: it.hs256_by(it.public_pem),
            Reason.WRONG_ALGORITHM,
            WRONG_ALGORITHM,
            id="hs256-by-the-public-key",
        ),
        pytest.param(
            lambda it: it.hs256_by(b""), Reason.WRONG_ALGORITHM, WRONG_ALGORITHM, id="hs256-by-an-empty-secret"
        ),
        pytest.param(
            lambda it: it.sign_with_server_key("RS384"), Reason.WRONG_ALGORITHM, WRONG_ALGORITHM, id="rs384-by-our-key"
        ),
        pytest.param(
            lambda it: it.sign_with_server_key("PS256"), Reason.WRONG_ALGORITHM, WRONG_ALGORITHM, id="ps256-by-our-key"
        ),
        pytest.param(
            lambda it: it.sign(it.own_key, kid="stranger"),
            Reason.UNKNOWN_SIGNING_KEY,
            "the token's kid 'stranger' is not among this server's keys: it is another issuer's token",
            id="unknown-kid",
        ),
        pytest.param(
            lambda it: it.with_header({"alg": "RS256"}),
            Reason.UNKNOWN_SIGNING_KEY,
            "the token's kid None is not among this server's keys: it is another issuer's token",
            id="no-kid",
        ),
        pytest.param(lambda it: it.sign(it.own_key), Reason.BAD_SIGNATURE, BAD_SIGNATURE, id="our-kid-by-another-key"),
        pytest.param(
            lambda it: it.sign(it.own_key, jwk=own_public_jwk(it)),
            Reason.MALFORMED_TOKEN,
            None,
            id="brings-its-own-key-whole",
        ),
        pytest.param(
            lambda it: it.sign(it.own_key, jku="http://idp.test/keys"),
            Reason.BAD_SIGNATURE,
            BAD_SIGNATURE,
            id="brings-its-own-keys-address",
        ),
        pytest.param(
            lambda it: it.with_claims(scp=["admin"]), Reason.BAD_SIGNATURE, BAD_SIGNATURE, id="altered-payload"
        ),
        pytest.param(
            lambda it: it.with_header({**it.header, "typ": "JWT"}),
            Reason.BAD_SIGNATURE,
            BAD_SIGNATURE,
            id="altered-header",
        ),
        pytest.param(
            lambda it: it.with_signature(flip_first), Reason.BAD_SIGNATURE, BAD_SIGNATURE, id="altered-signature"
        ),
        pytest.param(
            lambda it: it.with_signature(flip_spare_bit), Reason.BAD_SIGNATURE, BAD_SIGNATURE, id="altered-spare-bit"
        ),
        pytest.param(
            lambda it: it.with_signature(lambda text: text[:-4]),
            Reason.BAD_SIGNATURE,
            "the token is cut short: its signature has 338 characters, 342 are right",
            id="cut-short",
        ),
        pytest.param(
            lambda it: it.with_signature(lambda text: ""),
            Reason.BAD_SIGNATURE,
            "the token is cut short: its signature has 0 characters, 342 are right",
            id="without-signature",
        ),
    ],
)
def test_forged_token_is_rejected(
    server: AuthorizationServer,
    workshop: Workshop,
    call_api: CallApi,
    forge: Callable[[Workshop], str],
    reason: Reason,
    diagnosis: str | None,
) -> None:
    forged = forge(workshop)

    response = call_api(forged)

    assert response.status_code == 401
    assert response.www_authenticate["error"] == "invalid_token"
    assert server.api_requests[-1].reason is reason
    assert diagnosis in (None, server.api_requests[-1].diagnosis)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda it: "opaque", id="one-part"),
        pytest.param(lambda it: "two.parts", id="two-parts"),
        pytest.param(lambda it: "..", id="empty-parts"),
        pytest.param(lambda it: it.token + ".four", id="four-parts"),
        pytest.param(lambda it: it.token + ".four.five", id="five-parts"),
        pytest.param(lambda it: encoded({"alg": "dir", "enc": "A128GCM"}) + "..iv.text.tag", id="encrypted"),
        pytest.param(lambda it: f'"{it.token}"', id="quoted"),
        pytest.param(lambda it: f"{it.token} {it.token}", id="two-words"),
        pytest.param(lambda it: it.with_signature(lambda text: text + "=="), id="padded"),
        pytest.param(lambda it: it.with_signature(lambda text: text[:9] + "!" + text[9:]), id="not-base64"),
        pytest.param(lambda it: it.token.replace("-", "+").replace("_", "/") + "+", id="not-base64url"),
        pytest.param(lambda it: "é.é.é", id="not-ascii"),
        pytest.param(lambda it: "smart-secret", id="the-secret-itself"),
        pytest.param(lambda it: it.with_header([]), id="header-a-list"),
        pytest.param(lambda it: it.with_header(None), id="header-null"),
        pytest.param(lambda it: it.with_header(1), id="header-a-number"),
        pytest.param(lambda it: it.with_header("RS256"), id="header-a-text"),
        pytest.param(lambda it: it.with_header(b"{"), id="header-half"),
        pytest.param(lambda it: it.with_header(b"\xff\xfe"), id="header-not-utf8"),
        pytest.param(lambda it: it.with_header(b"[" * 5000 + b"]" * 5000), id="header-deep"),
        pytest.param(lambda it: it.with_header({"kid": "x"}), id="no-alg"),
        pytest.param(lambda it: it.with_header({"alg": ["RS256"]}), id="alg-a-list"),
        pytest.param(lambda it: it.with_header({"alg": None}), id="alg-null"),
        pytest.param(lambda it: it.with_header({"alg": "RS256", "kid": 1}), id="kid-a-number"),
        pytest.param(lambda it: it.with_header({"alg": "RS256", "kid": ["x"]}), id="kid-a-list"),
        pytest.param(lambda it: it.with_header({**it.header, "crit": ["x"]}), id="critical-unknown"),
        pytest.param(lambda it: it.with_signed_payload(b"[]"), id="payload-a-list"),
        pytest.param(lambda it: it.with_signed_payload(b'"text"'), id="payload-a-text"),
        pytest.param(lambda it: it.with_signed_payload(b"null"), id="payload-null"),
        pytest.param(lambda it: it.with_signed_payload(b"{"), id="payload-half"),
        pytest.param(lambda it: it.with_signed_payload(b'{"iss":"\xff"}'), id="payload-not-utf8"),
        pytest.param(lambda it: it.with_signed_payload(b'{"exp":' + b"9" * 5000 + b"}"), id="payload-endless-number"),
        pytest.param(lambda it: it.with_signed_payload(b'{"a":' * 20_000 + b"1" + b"}" * 20_000), id="payload-deep"),
        pytest.param(lambda it: it.with_signed_payload(b"[" * 2000 + b"]" * 2000), id="payload-deep-in-few-octets"),
    ],
)
def test_malformed_token_is_rejected(
    server: AuthorizationServer, workshop: Workshop, call_api: CallApi, forge: Callable[[Workshop], str]
) -> None:
    token = forge(workshop)

    response = call_api(token)

    entry = server.api_requests[-1]
    assert response.status_code == 401
    assert response.www_authenticate["error"] == "invalid_token"
    assert entry.reason is Reason.MALFORMED_TOKEN
    assert entry.diagnosis is not None
    assert entry.diagnosis.startswith(f"what came as a token, {len(token)} characters, is not a JWT: ")
    assert token not in entry.diagnosis


def test_token_of_another_issuer_with_the_same_keys_is_rejected(
    server: AuthorizationServer, keys: KeySource, call_api: CallApi
) -> None:
    other = AuthorizationServer(base_url="http://idp.test/earlier", keys=keys)
    other.clock.freeze()
    other.clock.move_to(NOON)
    token = other.mint(other.register("smart-client", "smart-secret"))

    response = call_api(token)

    assert response.status_code == 401
    assert server.api_requests[-1].reason is Reason.FOREIGN_TOKEN
    assert server.api_requests[-1].diagnosis == (
        "the token was issued by 'http://idp.test/earlier', not by this server, 'http://idp.test/as': "
        "does the code under test keep tokens in a module, from one test to the next?"
    )


MINTED: list[Any] = [
    pytest.param({"iss": None}, Reason.FOREIGN_TOKEN, None, id="no-iss"),
    pytest.param({"iss": [ISSUER]}, Reason.FOREIGN_TOKEN, None, id="iss-a-list"),
    pytest.param({"iss": ISSUER + "/"}, Reason.FOREIGN_TOKEN, None, id="iss-with-a-slash"),
    pytest.param(
        {"aud": "other"},
        Reason.WRONG_AUDIENCE,
        f"the token is for the audience 'other', the API is '{AUDIENCE}'",
        id="other-aud",
    ),
    pytest.param({"aud": AUDIENCE.lower()}, Reason.WRONG_AUDIENCE, None, id="aud-in-lower-case"),
    pytest.param({"aud": f"{AUDIENCE} other"}, Reason.WRONG_AUDIENCE, None, id="aud-two-words"),
    pytest.param({"aud": ["other"]}, Reason.WRONG_AUDIENCE, None, id="other-aud-in-a-list"),
    pytest.param({"aud": []}, Reason.WRONG_AUDIENCE, None, id="aud-an-empty-list"),
    pytest.param({"aud": {AUDIENCE: 1}}, Reason.WRONG_AUDIENCE, None, id="aud-an-object"),
    pytest.param({"aud": None}, Reason.WRONG_AUDIENCE, None, id="no-aud"),
    pytest.param(
        {"exp": NOON - 7}, Reason.EXPIRED_TOKEN, "the token expired 7 s ago by the server's clock", id="expired"
    ),
    pytest.param(
        {"exp": NOON}, Reason.EXPIRED_TOKEN, "the token expired 0 s ago by the server's clock", id="expires-now"
    ),
    pytest.param({"exp": -1e308}, Reason.EXPIRED_TOKEN, None, id="expired-for-ever"),
    pytest.param({"exp": None}, Reason.MALFORMED_TOKEN, "the token has no exp claim", id="no-exp"),
    pytest.param(
        {"exp": str(NOON + 60)},
        Reason.MALFORMED_TOKEN,
        f"the token's exp claim is '{NOON + 60}', not a number of seconds",
        id="exp-a-text",
    ),
    pytest.param({"exp": True}, Reason.MALFORMED_TOKEN, None, id="exp-a-bool"),
    pytest.param({"exp": [NOON + 60]}, Reason.MALFORMED_TOKEN, None, id="exp-a-list"),
    pytest.param({"exp": float("nan")}, Reason.MALFORMED_TOKEN, None, id="exp-nan"),
    pytest.param({"exp": float("inf")}, Reason.MALFORMED_TOKEN, None, id="exp-infinite"),
    pytest.param({"exp": 10**400}, Reason.MALFORMED_TOKEN, None, id="exp-no-float-can-hold"),
    pytest.param({"exp": -(10**400)}, Reason.MALFORMED_TOKEN, None, id="exp-no-float-can-hold-either"),
    pytest.param(
        {"nbf": NOON + 5}, Reason.TOKEN_NOT_YET_VALID, "the token is valid in 5 s by the server's clock", id="too-early"
    ),
    pytest.param({"nbf": "now"}, Reason.MALFORMED_TOKEN, None, id="nbf-a-text"),
    pytest.param({"nbf": 10**400}, Reason.MALFORMED_TOKEN, None, id="nbf-no-float-can-hold"),
    pytest.param(
        {"scp": ["other", "more"]},
        Reason.INSUFFICIENT_SCOPE,
        "the token has the scope 'other more'; the API demands 'ingr.api'",
        id="other-scope",
    ),
    pytest.param({"scp": []}, Reason.INSUFFICIENT_SCOPE, None, id="scp-an-empty-list"),
    pytest.param({"scp": None}, Reason.INSUFFICIENT_SCOPE, None, id="no-scp"),
    pytest.param({"scp": "ingr.api.read other"}, Reason.INSUFFICIENT_SCOPE, None, id="scp-a-text"),
    pytest.param({"scp": [1, {}]}, Reason.INSUFFICIENT_SCOPE, None, id="scp-of-no-texts"),
    pytest.param({"scp": ["ingr.api.read"]}, Reason.INSUFFICIENT_SCOPE, None, id="scp-that-only-begins-so"),
]


@pytest.mark.parametrize(("claims", "reason", "diagnosis"), MINTED)
def test_token_with_wrong_claims_is_rejected(
    server: AuthorizationServer,
    client: RegisteredClient,
    call_api: CallApi,
    claims: dict[str, Any],
    reason: Reason,
    diagnosis: str | None,
) -> None:
    token = server.mint(client, claims=claims)

    response = call_api(token)

    assert response.status_code == (403 if reason is Reason.INSUFFICIENT_SCOPE else 401)
    assert server.api_requests[-1].reason is reason
    assert diagnosis in (None, server.api_requests[-1].diagnosis)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": ["other", AUDIENCE]}, id="aud-among-others"),
        pytest.param({"exp": NOON + 1}, id="one-second-left"),
        pytest.param({"exp": NOON + 0.5}, id="half-a-second-left"),
        pytest.param({"exp": 1e308}, id="never-expires"),
        pytest.param({"nbf": NOON}, id="valid-since-now"),
        pytest.param({"nbf": NOON - 0.5}, id="valid-since-a-moment"),
        pytest.param({"scp": ["other", "ingr.api"]}, id="scope-among-others"),
        pytest.param({"scp": "other ingr.api"}, id="scope-among-others-in-a-text"),
        pytest.param({"iat": None}, id="no-iat"),
        pytest.param({"iat": NOON + 3600}, id="iat-to-come"),
        pytest.param({"extra": {"a": [1]}}, id="unknown-claim"),
    ],
)
def test_token_with_unusual_but_right_claims_is_accepted(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi, claims: dict[str, Any]
) -> None:
    token = server.mint(client, claims=claims)

    response = call_api(token)

    assert response.status_code == 200


def test_token_lives_exactly_as_long_as_it_says(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    token = server.mint(client, lifetime=60)

    server.clock.advance(59.999)
    before = call_api(token)
    server.clock.advance(0.001)
    after = call_api(token)

    assert before.status_code == 200
    assert after.status_code == 401
    assert server.api_requests[-1].reason is Reason.EXPIRED_TOKEN


def test_expired_token_is_good_again_when_the_clock_goes_back(
    server: AuthorizationServer, workshop: Workshop, call_api: CallApi
) -> None:
    server.clock.advance(hours=2)
    late = call_api(workshop.token)
    server.clock.advance(hours=-2)
    again = call_api(workshop.token)

    assert (late.status_code, again.status_code) == (401, 200)


# How tokens end


@pytest.mark.parametrize(
    ("end", "reason", "diagnosis"),
    [
        (AuthorizationServer.revoke, Reason.REVOKED_TOKEN, "the token was revoked"),
        (
            AuthorizationServer.expire,
            Reason.EXPIRED_TOKEN,
            "the token was expired by the test, before its exp",
        ),
    ],
    ids=["revoke", "expire"],
)
def test_ended_token_is_rejected_and_others_are_not(
    server: AuthorizationServer,
    client: RegisteredClient,
    call_api: CallApi,
    end: Callable[[AuthorizationServer, str], None],
    reason: Reason,
    diagnosis: str,
) -> None:
    token, other = server.mint(client), server.mint(client)

    end(server, token)
    refused, accepted = call_api(token), call_api(other)

    assert (refused.status_code, accepted.status_code) == (401, 200)
    assert server.api_requests[0].reason is reason
    assert server.api_requests[0].diagnosis == diagnosis


def test_ending_a_token_twice_keeps_the_later_reason(
    server: AuthorizationServer, workshop: Workshop, call_api: CallApi
) -> None:
    server.expire(workshop.token)
    server.revoke(workshop.token)
    call_api(workshop.token)

    assert server.api_requests[-1].reason is Reason.REVOKED_TOKEN


def test_token_past_its_time_can_still_be_revoked(
    server: AuthorizationServer, workshop: Workshop, call_api: CallApi
) -> None:
    server.clock.advance(hours=2)
    server.revoke(workshop.token)
    server.clock.advance(hours=-2)
    call_api(workshop.token)

    assert server.api_requests[-1].reason is Reason.REVOKED_TOKEN


@pytest.mark.parametrize("end", [AuthorizationServer.revoke, AuthorizationServer.expire], ids=["revoke", "expire"])
@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda it: "opaque", "what came as a token, 6 characters, is not a JWT: "),
        (lambda it: "", "what came as a token, 0 characters, is not a JWT: "),
        (lambda it: "\ud800", "what came as a token, 1 characters, is not a JWT: "),
        (lambda it: it.with_signature(flip_first), BAD_SIGNATURE),
        (lambda it: it.sign(it.own_key, kid="stranger"), "the token's kid 'stranger' is not among"),
    ],
    ids=["opaque", "empty", "no-character", "altered", "strange"],
)
def test_ending_what_is_no_token_of_this_server_is_an_error(
    server: AuthorizationServer,
    workshop: Workshop,
    call_api: CallApi,
    end: Callable[[AuthorizationServer, str], None],
    forge: Callable[[Workshop], str],
    why: str,
) -> None:
    with pytest.raises(ValueError, match="^this is no token of this server: ") as raised:
        end(server, forge(workshop))

    assert raised.value.__suppress_context__  # its frames hold the token
    assert why in str(raised.value)
    assert call_api(workshop.token).status_code == 200


def test_ending_a_token_of_another_server_with_the_same_keys_is_an_error(
    server: AuthorizationServer, keys: KeySource
) -> None:
    other = AuthorizationServer(base_url="http://idp.test/other", keys=keys)
    other.register()

    with pytest.raises(ValueError, match="issued by 'http://idp.test/other', not by this server"):
        server.revoke(other.mint())


def test_token_of_a_disabled_client_is_rejected_until_it_is_enabled(
    server: AuthorizationServer, client: RegisteredClient, workshop: Workshop, call_api: CallApi
) -> None:
    client.disable()
    disabled = call_api(workshop.token)
    client.enable()
    enabled = call_api(workshop.token)

    assert (disabled.status_code, enabled.status_code) == (401, 200)
    assert server.api_requests[0].reason is Reason.TOKEN_OF_DISABLED_CLIENT
    assert server.api_requests[0].diagnosis == "the token's client 'smart-client' is disabled"


def test_disabling_one_client_leaves_the_tokens_of_others(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    other = server.mint(server.register("other", "secret"))

    client.disable()

    assert call_api(other).status_code == 200


def test_rotating_the_secret_leaves_the_tokens_good(
    client: RegisteredClient, workshop: Workshop, call_api: CallApi
) -> None:
    client.rotate_secret()

    assert call_api(workshop.token).status_code == 200


# All at once


def test_expire_all_ends_every_token_and_no_later_one_of_the_same_second(
    server: AuthorizationServer, client: RegisteredClient, http: Client, call_api: CallApi
) -> None:
    def fetch() -> str:
        form = {"grant_type": "client_credentials", "scope": "ingr.api"}
        response = http.post(server.token_url, data=form, auth=(client.client_id, client.client_secret))
        assert response.json is not None
        return str(response.json["access_token"])

    earlier = [server.mint(client), fetch()]
    server.expire_all()
    later = [server.mint(client), fetch()]

    assert [call_api(token).status_code for token in earlier] == [401, 401]
    assert {entry.reason for entry in server.api_requests} == {Reason.EXPIRED_TOKEN}
    assert [call_api(token).status_code for token in later] == [200, 200]


def test_expire_all_again_ends_what_came_between(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    server.mint(client)
    server.expire_all()
    between = server.mint(client)
    server.expire_all()
    later = server.mint(client)

    assert call_api(between).status_code == 401
    assert call_api(later).status_code == 200


@pytest.mark.parametrize("seconds", [-3600, -0.5, 0, 0.5, 1, 3600])
def test_token_issued_after_expire_all_is_good_wherever_the_clock_was_moved(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi, seconds: float
) -> None:
    earlier = server.mint(client, lifetime=7200)
    server.expire_all()

    server.clock.advance(seconds)
    later = server.mint(client, lifetime=7200)

    assert call_api(earlier).status_code == 401
    assert call_api(later).status_code == 200


def test_expire_all_ends_tokens_that_a_clock_set_back_has_not_reached(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi
) -> None:
    server.clock.advance(hours=1)
    earlier = server.mint(client)
    server.clock.advance(hours=-1)

    server.expire_all()
    later = server.mint(client)

    assert call_api(earlier).status_code == 401
    assert call_api(later).status_code == 200


@pytest.mark.parametrize(
    "iat",
    [None, "noon", True, [], NOON - 0.5, NOON + 3600, 10**400, float("inf"), float("nan")],
    ids=["none", "text", "bool", "list", "earlier", "to-come", "endless", "infinite", "nan"],
)
def test_expire_all_ends_tokens_whatever_their_iat(
    server: AuthorizationServer, client: RegisteredClient, call_api: CallApi, iat: Any
) -> None:
    earlier = server.mint(client, claims={"iat": iat})
    server.expire_all()
    later = server.mint(client, claims={"iat": iat})

    assert call_api(earlier).status_code == 401
    assert call_api(later).status_code == 200


# Opaque tokens


@pytest.fixture
def opaque(keys: KeySource) -> AuthorizationServer:
    """A server with one client, whose tokens are random texts."""
    server = AuthorizationServer(Options(token_format="opaque"), base_url=ISSUER, keys=keys)
    server.clock.freeze()
    server.clock.move_to(NOON)
    server.register("smart-client", "smart-secret")
    return server


def call(server: AuthorizationServer, token: str) -> TestResponse:
    return Client(server).get(server.api.url + "/Tags", headers={"Authorization": f"Bearer {token}"})


def test_opaque_token_says_nothing_and_is_accepted(opaque: AuthorizationServer) -> None:
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    answer = Client(opaque).post(opaque.token_url, data=form, auth=("smart-client", "smart-secret")).json
    assert answer is not None

    response = call(opaque, answer["access_token"])

    assert re.fullmatch(r"[\w-]{43}", answer["access_token"], re.ASCII)
    assert list(answer) == ["token_type", "expires_in", "access_token", "scope"]
    assert response.json is not None
    assert (response.json["claims"]["cid"], response.json["claims"]["exp"]) == ("smart-client", NOON + 3600)
    assert answer["access_token"] != opaque.mint()


OPAQUE_ENDS: list[Any] = [
    pytest.param(lambda it, token: it.revoke(token), Reason.REVOKED_TOKEN, id="revoke"),
    pytest.param(lambda it, token: it.expire(token), Reason.EXPIRED_TOKEN, id="expire"),
    pytest.param(lambda it, token: it.expire_all(), Reason.EXPIRED_TOKEN, id="expire-all"),
    pytest.param(lambda it, token: it.clock.advance(3600), Reason.EXPIRED_TOKEN, id="time"),
]


@pytest.mark.parametrize(("end", "reason"), OPAQUE_ENDS)
def test_opaque_token_ends_as_others_do(
    opaque: AuthorizationServer, end: Callable[[AuthorizationServer, str], None], reason: Reason
) -> None:
    token = opaque.mint()

    end(opaque, token)

    assert (call(opaque, token).status_code, call(opaque, opaque.mint()).status_code) == (401, 200)
    assert opaque.api_requests[0].reason is reason


@pytest.mark.parametrize("kind", [{"token_format": "opaque"}, {"signing_alg": "ES256"}], ids=["opaque", "jwt"])
def test_early_tokens_are_remembered_however_many_follow(keys: KeySource, kind: dict[str, Any]) -> None:
    server = AuthorizationServer(Options(dialect="rfc6749", **kind), keys=keys)
    server.register()
    good, revoked, expired = early = [server.mint() for _ in range(3)]
    server.revoke(revoked)
    server.expire(expired)

    for _ in range(200):
        server.expire(server.mint())

    assert [call(server, token).status_code for token in early] == [200, 401, 401]
    assert [entry.reason for entry in server.api_requests] == [None, Reason.REVOKED_TOKEN, Reason.EXPIRED_TOKEN]
    assert call(server, good).status_code == 200


def test_opaque_token_outlives_a_rotation_of_keys(opaque: AuthorizationServer) -> None:
    token = opaque.mint()

    opaque.rotate_keys(publish_old=False)

    assert call(opaque, token).status_code == 200


def test_unknown_opaque_token_is_refused_with_its_likely_cause(opaque: AuthorizationServer, workshop: Workshop) -> None:
    statuses = [call(opaque, token).status_code for token in (workshop.token, opaque.mint()[:-1], "é")]

    assert statuses == [401, 401, 401]
    assert {entry.reason for entry in opaque.api_requests} == {Reason.FOREIGN_TOKEN}
    assert opaque.api_requests[1].diagnosis == (
        "this server has issued no such token (42 characters came, its own have 43): "
        "does the code under test keep tokens in a module, from one test to the next?"
    )


@pytest.mark.parametrize("value", ["", "opaque", "\ud800"], ids=["empty", "other", "surrogate"])
def test_ending_an_opaque_token_that_is_unknown_is_an_error(opaque: AuthorizationServer, value: str) -> None:
    with pytest.raises(ValueError, match="^this is no token of this server: this server has issued no such token"):
        opaque.revoke(value)


def test_opaque_token_is_known_by_all_of_it_and_not_by_its_fingerprint(
    opaque: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_server.tokens.fingerprint", lambda value: "000000000000")  # 48 bits: others have the same
    token = opaque.mint()

    responses = [
        Client(opaque).get(opaque.api.url, headers={"Authorization": f"Bearer {value}"})
        for value in (token, token[::-1])
    ]

    assert [response.status_code for response in responses] == [200, 401]


def test_claims_of_an_opaque_token_stay_what_they_were(opaque: AuthorizationServer) -> None:
    token, claims = opaque.mint(), {"tenant": 7}
    with_claims = opaque.mint(claims=claims)
    opaque.api.get("/Tags", lambda request, claims: claims.clear())

    claims["tenant"] = 8
    statuses = [call(opaque, token).status_code for _ in range(2)]
    opaque.api.get("/Tags", lambda request, claims: claims["tenant"])

    assert statuses == [200, 200]
    assert call(opaque, with_claims).json == 7


# The store itself


@pytest.fixture
def store(keys: KeySource) -> TokenStore:
    """A store of tokens whose clock stands at noon."""
    clock = Clock()
    clock.freeze()
    clock.move_to(NOON)
    return TokenStore(SigningKeys(keys), clock, issuer=ISSUER, audience=AUDIENCE)


def rotating(store: TokenStore, *, publish_old: bool) -> Callable[[str, str], dict[str, Any]]:
    """Return what makes a header, and has the keys rotated meanwhile, as another thread may."""

    def make_header(kid: str, alg: str) -> dict[str, Any]:
        store.keys.rotate(publish_old=publish_old)
        return {"kid": kid, "alg": alg}

    return make_header


def test_token_is_signed_with_the_key_that_its_header_names(store: TokenStore) -> None:
    value = store.issue(rotating(store, publish_old=True), {"iss": ISSUER})

    assert store.decode(value) == {"iss": ISSUER}


def test_token_whose_key_went_meanwhile_is_refused_for_that(store: TokenStore) -> None:
    value = store.issue(rotating(store, publish_old=False), {"iss": ISSUER})

    with pytest.raises(Refusal) as raised:
        store.decode(value)
    assert raised.value.reason is Reason.UNKNOWN_SIGNING_KEY


def test_header_is_what_the_caller_makes_and_nothing_else(store: TokenStore) -> None:
    value = store.issue(lambda kid, alg: {"alg": alg, "kid": kid}, {"iss": ISSUER})

    assert jwt.get_unverified_header(value) == {"kid": store.keys.current.kid, "alg": "RS256"}


def test_claims_of_a_callable_that_is_empty_are_asked_for(keys: KeySource) -> None:
    class Calls(list[Any]):
        def __call__(self, grant: Any) -> dict[str, Any]:
            self.append(grant)
            return {"number": len(self)}

    server = AuthorizationServer(Options(claims=Calls()), keys=keys)
    server.register()

    assert jwt.decode(server.mint(), options={"verify_signature": False})["number"] == 1


def test_opaque_token_needs_no_key() -> None:
    class NoKeys(KeySource):
        def shared(self, alg: str = "RS256") -> SigningKey:
            raise AssertionError("a key was made")

    server = AuthorizationServer(Options(token_format="opaque"), keys=NoKeys())
    server.register()

    assert call(server, server.mint()).status_code == 200


def test_fingerprint_names_a_token_and_hides_it() -> None:
    value = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

    name = fingerprint(value)

    assert name == hashlib.sha256(value.encode()).hexdigest()[:12]
    assert name != fingerprint(value + "x")

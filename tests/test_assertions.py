"""Clients that sign who they are (RFC 7521, section 4.2; RFC 7523): the keys they register, and what is refused."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import RSAAlgorithm
from werkzeug.test import Client, TestResponse

from fake_server import AuthorizationServer, Options, Reason
from fake_server.key_source import KeySource

NOON = 1772366400
TOKEN_URL = "http://idp.test/as/v1/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def private_pem(key: PrivateKeyTypes, encryption: Any = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


def public_pem(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def jwk(key: rsa.RSAPrivateKey, **members: str) -> dict[str, Any]:
    public: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    del public["key_ops"]
    return public | members


def private_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    private: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key))
    del private["key_ops"]
    return private


@pytest.fixture
def speak(keys: KeySource) -> Callable[..., AuthorizationServer]:
    """Make a server with a client that has RSA's public key, whose clock stands at noon."""

    def make(dialect: str = "okta", public_key: Any = None) -> AuthorizationServer:
        server = AuthorizationServer(Options(dialect=dialect), base_url="http://idp.test/as", keys=keys)
        server.clock.freeze()
        server.clock.move_to(NOON)
        server.register("signer", public_key=public_key or jwk(RSA, kid="one"))
        server.register("with-secret", "its-secret")
        return server

    return make


def sign(key: Any = RSA, alg: str = "RS256", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """Sign a right assertion, but for the changes; a claim that is None is left out."""
    right = {"iss": "signer", "sub": "signer", "aud": TOKEN_URL, "exp": NOON + 60, "jti": "1"}
    payload = {name: value for name, value in (right | claims).items() if value is not None}
    return jwt.encode(payload, key, alg, headers)


def sign_any(**claims: Any) -> str:
    """Sign claims that PyJWT would not."""
    return jwt.api_jws.encode(
        json.dumps({"iss": "signer", "sub": "signer", "aud": TOKEN_URL} | claims).encode(), RSA, "RS256"
    )


def sign_by_hmac(secret: bytes) -> str:
    """Sign with a public key as the secret; PyJWT itself knows better."""
    signed = jwt.encode({"iss": "signer", "sub": "signer", "aud": TOKEN_URL, "exp": NOON + 60}, "x" * 32, "HS256")
    text = signed.rpartition(".")[0]
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def ask(server: AuthorizationServer, assertion: str, *, auth: Any = None, **form: str | None) -> TestResponse:
    right = {
        "grant_type": "client_credentials",
        "scope": "ingr.api",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion,
    }
    data = {name: value for name, value in (right | form).items() if value is not None}
    return Client(server).post(server.token_url, data=data, auth=auth)


# Keys


@pytest.mark.parametrize(
    "public_key",
    [
        jwk(RSA),
        jwk(RSA, kid="one", use="sig", alg="RS256"),
        {"keys": [jwk(OTHER_RSA, kid="other"), jwk(RSA, kid="one")]},
        public_pem(RSA),
        public_pem(RSA).decode(),
        private_pem(RSA),
        private_jwk(RSA),
    ],
    ids=["jwk", "jwk-with-kid", "jwks", "pem-bytes", "pem-text", "private-pem", "private-jwk"],
)
def test_client_signs_with_the_key_that_it_registered(
    speak: Callable[..., AuthorizationServer], public_key: Any
) -> None:
    server = speak(public_key=public_key)

    response = ask(server, sign(headers={"kid": "one"}))

    client = server.clients["signer"]
    assert (response.status_code, server.journal[-1].client_id) == (200, "signer")
    assert client.client_secret == ""
    assert [key.is_private for key in client.public_keys] == [False] * len(client.public_keys)


@pytest.mark.parametrize(
    ("key", "alg"),
    [(RSA, "RS256"), (RSA, "PS256"), (P256, "ES256"), (P384, "ES384"), (ED25519, "EdDSA")],
    ids=["RS256", "PS256", "ES256", "ES384", "EdDSA"],
)
def test_assertion_is_verified_by_each_algorithm(
    speak: Callable[..., AuthorizationServer], key: PrivateKeyTypes, alg: str
) -> None:
    server = speak(public_key=public_pem(key))

    assert ask(server, sign(key, alg)).status_code == 200


ENCRYPTED = serialization.BestAvailableEncryption(b"password")


@pytest.mark.parametrize(
    ("public_key", "message"),
    [
        (5, "a public_key is a JWK, a JWK Set, or a text in PEM"),
        ({"keys": []}, "a public_key is a JWK, a JWK Set, or a text in PEM"),
        ({"keys": "abc"}, "a public_key is a JWK, a JWK Set, or a text in PEM"),
        ({"keys": ["abc"]}, "the kty of a JWK in public_key is not one of RSA, EC, OKP"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "the kty of a JWK in public_key is not one of RSA, EC, OKP"),
        ({"kty": ["RSA"]}, "the kty of a JWK in public_key is not one of RSA, EC, OKP"),
        (jwk(RSA) | {"n": 5}, "a JWK in public_key cannot be used: KeyParameterError"),
        ("abc", "the public_key is no key in PEM"),
        (b"\xff", "the public_key is no key in PEM"),
        (
            private_pem(RSA, ENCRYPTED),
            "the public_key in PEM is encrypted; pass the public half, which needs no password",
        ),
        (
            private_pem(dsa.generate_private_key(1024)),
            "the public_key in PEM is of a kind that signs no JWT",
        ),
        (
            private_pem(x25519.X25519PrivateKey.generate()),
            "the public_key is of the curve X25519; assertions take P-256, P-384, P-521, Ed25519, Ed448",
        ),
    ],
    ids=[
        "number",
        "empty-set",
        "set-of-text",
        "set-of-no-jwk",
        "shared-secret",
        "kty-is-a-list",
        "broken-jwk",
        "no-pem",
        "no-text",
        "encrypted",
        "dsa",
        "x25519",
    ],
)
def test_key_that_cannot_be_used_is_refused_and_not_shown(
    server: AuthorizationServer, public_key: Any, message: str
) -> None:
    with pytest.raises(ValueError, match="public_key") as error:
        server.register("signer", public_key=public_key)

    assert str(error.value) == message
    assert "signer" not in server.clients


@pytest.mark.parametrize("dialect", ["okta", "rfc6749", "sam", "duende", "entra"])
def test_metadata_lists_the_method_once_a_client_has_a_key(keys: KeySource, dialect: str) -> None:
    server = AuthorizationServer(Options(dialect=dialect), base_url="http://idp.test/as", keys=keys)
    http, url = Client(server), f"{server.issuer}/.well-known/openid-configuration"
    server.register("with-secret")

    before = http.get(url).json or {}
    server.register("signer", public_key=jwk(RSA))
    after = http.get(url).json or {}

    secrets = ["client_secret_basic", "client_secret_post"]
    assert before["token_endpoint_auth_methods_supported"] == secrets
    assert "token_endpoint_auth_signing_alg_values_supported" not in before
    assert after["token_endpoint_auth_methods_supported"] == [*secrets, "private_key_jwt"]
    algs = after["token_endpoint_auth_signing_alg_values_supported"]
    assert {"RS256", "PS256", "ES256", "EdDSA"} <= set(algs)
    assert not {"none", "HS256"} & set(algs)


# Refusals

ALGS = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"
ANOTHER_KEY = "the client_assertion is not signed with a key of 'signer': another key, or altered"
FAULTS: dict[str, tuple[dict[str, Any], Reason, str]] = {
    # what is asked with, and what the journal says
    "no jwt": (
        {"assertion": "abc"},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion, 3 characters, is not a JWT",
    ),
    "no assertion": (
        {"assertion": ""},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion, 0 characters, is not a JWT",
    ),
    "payload is a list": (
        {"assertion": "e30.W10.e30"},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion has no sub claim; it must be the client_id",
    ),
    "padded": (
        {"assertion": sign() + "=="},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion cannot be verified: it is not three parts of base64url, parted by dots",
    ),
    "no sub": (
        {"assertion": sign(sub=None)},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion has no sub claim; it must be the client_id",
    ),
    "unknown sub": (
        {"assertion": sign(iss="stranger", sub="stranger")},
        Reason.UNKNOWN_CLIENT,
        "the client_assertion's sub is 'stra'… (8 characters), which is no registered client",
    ),
    "iss is another": (
        {"assertion": sign(iss="https://idp.test")},
        Reason.ASSERTION_WRONG_ISSUER,
        "iss and sub must both be the client_id; they are 'https://idp.test' and 'signer'",
    ),
    "client_id is another": (
        {"assertion": sign(), "client_id": "with-secret"},
        Reason.ASSERTION_WRONG_ISSUER,
        "the client_id in the body is not the client_assertion's sub, 'signer'",
    ),
    "client without key": (
        {"assertion": sign(iss="with-secret", sub="with-secret")},
        Reason.AUTH_METHOD_NOT_ALLOWED,
        "'with-secret' is registered without a public key; register(public_key=...) gives it one",
    ),
    "wrong key": ({"assertion": sign(OTHER_RSA)}, Reason.ASSERTION_BAD_SIGNATURE, ANOTHER_KEY),
    "unknown kid": (
        {"assertion": sign(headers={"kid": "two"})},
        Reason.ASSERTION_BAD_SIGNATURE,
        "no public key of 'signer' is for the client_assertion's kid 'two' and RS256",
    ),
    "key of another kind": (
        {"assertion": sign(P256, "ES256")},
        Reason.ASSERTION_BAD_SIGNATURE,
        "no public key of 'signer' is for the client_assertion's kid None and ES256",
    ),
    "alg none": (
        {"assertion": sign(None, "none")},
        Reason.ASSERTION_WRONG_ALGORITHM,
        f"the client_assertion's alg is not one of {ALGS}",
    ),
    "public key as secret": (
        {"assertion": sign_by_hmac(public_pem(RSA))},
        Reason.ASSERTION_WRONG_ALGORITHM,
        f"the client_assertion's alg is not one of {ALGS}",
    ),
    "aud is another": (
        {"assertion": sign(aud="https://idp.test/v1/token")},
        Reason.ASSERTION_WRONG_AUDIENCE,
        f"the client_assertion is for 'https://idp.test/v1/token'; its aud must be {TOKEN_URL!r}",
    ),
    "no aud": (
        {"assertion": sign(aud=None)},
        Reason.ASSERTION_WRONG_AUDIENCE,
        f"the client_assertion is for None; its aud must be {TOKEN_URL!r}",
    ),
    "no exp": (
        {"assertion": sign(exp=None)},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion has no exp claim",
    ),
    "exp is a word": (
        {"assertion": sign_any(exp="soon")},
        Reason.MALFORMED_ASSERTION,
        "the client_assertion's exp claim is 'soon', not a number of seconds",
    ),
    "expired": (
        {"assertion": sign(exp=NOON - 5)},
        Reason.ASSERTION_EXPIRED,
        "the client_assertion expired 5 s ago by the server's clock",
    ),
    "expires now": (
        {"assertion": sign(exp=NOON)},
        Reason.ASSERTION_EXPIRED,
        "the client_assertion expired 0 s ago by the server's clock",
    ),
    "far-future exp": (
        {"assertion": sign(exp=NOON + 3601)},
        Reason.ASSERTION_TOO_LONG,
        "the client_assertion is good for 3601 s more; 3600 s are allowed",
    ),
    "nbf ahead": (
        {"assertion": sign(nbf=NOON + 30)},
        Reason.ASSERTION_NOT_YET_VALID,
        "the client_assertion's nbf is 30 s ahead of the server's clock",
    ),
    "iat ahead": (
        {"assertion": sign(iat=NOON + 30)},
        Reason.ASSERTION_NOT_YET_VALID,
        "the client_assertion's iat is 30 s ahead of the server's clock",
    ),
    "other type": (
        {"assertion": sign(), "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        Reason.WRONG_ASSERTION_TYPE,
        f"client_assertion_type is 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer'; send {JWT_BEARER}",
    ),
    "no type": (
        {"assertion": sign(), "client_assertion_type": None},
        Reason.WRONG_ASSERTION_TYPE,
        f"client_assertion_type is None; send {JWT_BEARER}",
    ),
    "secret beside it": (
        {"assertion": sign(), "client_secret": "its-secret"},
        Reason.MULTIPLE_CREDENTIALS,
        "the request has a client_assertion and other credentials; send one of them",
    ),
    "header beside it": (
        {"assertion": sign(), "auth": ("with-secret", "its-secret")},
        Reason.MULTIPLE_CREDENTIALS,
        "the request has a client_assertion and other credentials; send one of them",
    ),
}


@pytest.mark.parametrize(("request_", "reason", "diagnosis"), FAULTS.values(), ids=FAULTS)
def test_faulty_assertion_is_refused_for_its_own_reason(
    speak: Callable[..., AuthorizationServer], request_: dict[str, Any], reason: Reason, diagnosis: str
) -> None:
    server = speak()

    response = ask(server, **request_)

    entry = server.journal[-1]
    assert (entry.reason, entry.diagnosis) == (reason, diagnosis)
    assert response.status_code in (400, 401)
    if assertion := request_["assertion"]:
        assert assertion not in repr(entry) + response.text


# Status and code where they are not 401 invalid_client
ANSWERS = {
    ("okta", Reason.WRONG_ASSERTION_TYPE): (400, "invalid_request"),
    ("okta", Reason.MULTIPLE_CREDENTIALS): (401, "invalid_request"),
    ("rfc6749", Reason.WRONG_ASSERTION_TYPE): (400, "invalid_request"),
    ("rfc6749", Reason.MULTIPLE_CREDENTIALS): (400, "invalid_request"),
}


@pytest.mark.parametrize("dialect", ["okta", "rfc6749"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_assertion_is_answered_as_the_dialect_has_it(
    speak: Callable[..., AuthorizationServer], dialect: str, fault: str
) -> None:
    server = speak(dialect)
    request, reason, _ = FAULTS[fault]
    status, error = ANSWERS.get((dialect, reason), (401, "invalid_client"))

    response = ask(server, **request)

    answer = json.loads(response.data)
    assert (response.status_code, answer.get("error", answer.get("errorCode"))) == (status, error)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


# Success


def test_audience_may_be_the_issuer_or_one_of_a_list(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()

    for number, aud in enumerate([server.issuer, ["https://elsewhere.test", TOKEN_URL]]):
        assert ask(server, sign(aud=aud, jti=str(number))).status_code == 200


def test_longest_and_latest_assertion_is_good(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()

    response = ask(server, sign(exp=NOON + 3600, iat=NOON, nbf=NOON), client_id="signer")

    assert response.status_code == 200


def test_key_of_several_must_be_named(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak(public_key={"keys": [jwk(OTHER_RSA, kid="other"), jwk(RSA, kid="one")]})

    named, unnamed = ask(server, sign(headers={"kid": "one"})), ask(server, sign(jti="2"))

    assert (named.status_code, unnamed.status_code) == (200, 401)
    assert server.journal[-1].reason is Reason.ASSERTION_BAD_SIGNATURE
    assert server.journal[-1].diagnosis == "the client_assertion has no kid, and 'signer' 2 public keys for RS256"


def test_key_on_another_curve_is_refused(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak(public_key=public_pem(P384))

    response = ask(server, sign(P256, "ES256"))

    assert (response.status_code, server.journal[-1].reason) == (401, Reason.ASSERTION_BAD_SIGNATURE)


def test_client_with_a_key_and_a_secret_may_use_either(server: AuthorizationServer, http: Client) -> None:
    server.register("signer", "its-secret", public_key=jwk(RSA))
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}

    answers = [http.post(TOKEN_URL, data=form, auth=("signer", "its-secret")), ask(server, sign())]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_disabled_client_is_refused_though_it_signs(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    server.clients["signer"].disable()

    assert ask(server, sign()).status_code == 401
    assert server.journal[-1].reason is Reason.DISABLED_CLIENT


# Replay


def test_jti_is_good_once_for_each_client(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    server.register("another", public_key=jwk(RSA))
    assertion = sign()

    answers = [ask(server, assertion), ask(server, assertion), ask(server, sign(iss="another", sub="another"))]

    assert [answer.status_code for answer in answers] == [200, 401, 200]
    assert server.journal[1].reason is Reason.ASSERTION_REPLAYED
    assert server.journal[1].diagnosis == "the jti '1' was used before; sign an assertion for each request"


def test_jti_is_forgotten_when_its_assertion_has_expired(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    ask(server, sign(exp=NOON + 60))

    server.clock.advance(seconds=59)
    early = ask(server, sign(exp=NOON + 120))
    server.clock.advance(seconds=1)
    late = ask(server, sign(exp=NOON + 120))

    assert (early.status_code, late.status_code) == (401, 200)


def test_assertion_without_jti_may_be_used_again(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()

    assert [ask(server, sign(jti=None)).status_code for _ in range(2)] == [200, 200]


def test_refused_assertion_does_not_use_its_jti_up(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()

    answers = [ask(server, sign(exp=NOON - 1)), ask(server, sign(OTHER_RSA)), ask(server, sign())]

    assert [answer.status_code for answer in answers] == [401, 401, 200]


@pytest.mark.usefixtures("eager_threads")
def test_jti_is_good_once_among_many_threads(speak: Callable[..., AuthorizationServer]) -> None:
    server = speak()
    assertion = sign()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: ask(server, assertion).status_code, range(16)))

    assert sorted(statuses) == [200] + [401] * 15


@pytest.mark.parametrize("endpoint", ["introspection_url", "revocation_url"])
def test_assertion_is_for_the_other_endpoints_too(speak: Callable[..., AuthorizationServer], endpoint: str) -> None:
    server = speak()
    form = {"token": server.mint("signer"), "client_assertion_type": JWT_BEARER, "client_assertion": sign()}

    response = Client(server).post(getattr(server, endpoint), data=form)

    assert (response.status_code, server.journal[-1].client_id) == (200, "signer")

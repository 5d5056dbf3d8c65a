"""Safety: what no attacker gets past, and what is in no answer, no log and no `repr`.

Other files show the rest: `test_tokens.py` tokens that were altered, `test_keys.py` each algorithm's signature,
`test_report.py` and `test_hidden.py` what a failing run prints, `test_listener.py` and `test_tls.py` slow clients.
"""

import ast
import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import logging
import pickle
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwt as jose
from joserfc.jwk import ECKey, RSAKey
from werkzeug.test import Client

import fake_server
from fake_server import AuthorizationServer, Listener, Options, Reason
from fake_server.key_source import KeySource
from fake_server.listener import warning_of
from fake_server.tls import CertificateAuthority

BASIC = ("smart-client", "smart-secret")
GRANT = {"grant_type": "client_credentials", "scope": "ingr.api"}
FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SOURCES = sorted(Path(fake_server.__file__).parent.rglob("*.py"))

Forge = Callable[["Forger"], str]


@pytest.fixture
def served(listener: Listener) -> AuthorizationServer:
    """A server that the listener serves, with one client."""
    server = listener.serve(path="/as")
    server.register(*BASIC)
    return server


def base64url(content: Any) -> str:
    octets = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


# Where it listens


def test_listener_is_on_loopback_unless_told(listener: Listener) -> None:
    port = urlsplit(listener.url).port

    assert listener.url == f"http://127.0.0.1:{port}"
    with pytest.raises(OSError):  # noqa: PT011  # another address of this machine: refused, or not there at all
        socket.create_connection(("127.0.0.2", port), timeout=5)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "fe80::1%eth0", "build-server", "localhost.test", "127.1"]
)
def test_listener_that_others_can_reach_warns_before_it_opens_anything(host: str) -> None:
    listener = Listener(host)

    with pytest.raises(UserWarning) as raised:  # warnings are errors here
        listener.start()

    assert str(raised.value) == f"{host} can be reached from other machines; this is a server for tests"
    assert not listener.is_running


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.2", "::1"])
def test_loopback_by_any_name_is_not_warned_of(host: str) -> None:
    assert warning_of(host) is None


# Forged tokens


class Forger:
    """Have what an attacker has: a good token, the keys that the server publishes, a key and a web site."""

    def __init__(self, server: AuthorizationServer, own: rsa.RSAPrivateKey, site: str) -> None:
        self.token = server.mint()
        self.own, self.site = own, site
        self.published: dict[str, Any] = Client(server).get(server.jwks_uri).get_json(force=True)["keys"][0]
        self.head, self.payload, self.signature = self.token.split(".")
        self.header = dict(jwt.get_unverified_header(self.token))
        self.claims: dict[str, Any] = jwt.decode(self.token, options={"verify_signature": False})

    @property
    def own_jwk(self) -> dict[str, Any]:
        members = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.own.public_key()))
        return {**members, "kid": "own", "alg": "RS256", "use": "sig"}

    def signed(self, **header: Any) -> str:
        """Return the claims, signed with a key of one's own."""
        return jwt.encode(self.claims, self.own, "RS256", {**self.header, **header})

    def by_secret(self, secret: bytes) -> str:
        """Return the token with the algorithm HS256 and a public text for the shared secret."""
        # By hand: libraries know the trick.
        text = f"{base64url({**self.header, 'alg': 'HS256'})}.{self.payload}"
        return f"{text}.{base64url(hmac.digest(secret, text.encode(), hashlib.sha256))}"

    def unsigned(self, alg: str, signature: str = "") -> str:
        return f"{base64url({**self.header, 'alg': alg})}.{self.payload}.{signature}"

    def with_signature(self, change: Callable[[bytes], bytes]) -> str:
        octets = base64.urlsafe_b64decode(self.signature + "==")
        return f"{self.head}.{self.payload}.{base64url(change(octets))}"

    def with_claims(self, **changes: Any) -> str:
        return f"{self.head}.{base64url({**self.claims, **changes})}.{self.signature}"


@pytest.fixture(scope="module")
def own() -> rsa.RSAPrivateKey:
    """A key that no server knows."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def site() -> Iterator[socket.socket]:
    """A web site of the attacker's, which sees who comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


FORGED: dict[str, Forge] = {
    "none": lambda it: it.unsigned("none"),
    "none-signature-kept": lambda it: it.unsigned("none", it.signature),
    "none-in-upper-case": lambda it: it.unsigned("NONE"),
    "hs256-by-the-public-pem": lambda it: it.by_secret(RSAKey.import_key(it.published).as_pem(private=False)),
    "hs256-by-the-public-der": lambda it: it.by_secret(RSAKey.import_key(it.published).as_der(private=False)),
    "hs256-by-the-public-jwk": lambda it: it.by_secret(json.dumps(it.published).encode()),
    "hs256-by-the-canonical-jwk": lambda it: it.by_secret(
        json.dumps({name: it.published[name] for name in ("e", "kty", "n")}, separators=(",", ":")).encode()
    ),
    "hs256-by-the-modulus": lambda it: it.by_secret(it.published["n"].encode()),
    "hs256-by-the-kid": lambda it: it.by_secret(it.published["kid"].encode()),
    "unknown-kid": lambda it: it.signed(kid="own"),
    "kid-a-path": lambda it: it.signed(kid="../../dev/null"),
    "our-kid": lambda it: it.signed(),
    "jku": lambda it: it.signed(kid="own", jku=it.site),
    "jku-and-our-kid": lambda it: it.signed(jku=it.site),
    "x5u": lambda it: it.signed(kid="own", x5u=it.site),
    "x5u-and-our-kid": lambda it: it.signed(x5u=it.site),
    "x5c": lambda it: it.signed(x5c=["MIIB"]),
    "jwk": lambda it: it.signed(jwk=it.own_jwk),
    "jwk-and-own-kid": lambda it: it.signed(kid="own", jwk=it.own_jwk),
    "jku-in-the-claims": lambda it: it.with_claims(jku=it.site),
    "crit-unknown": lambda it: it.signed(crit=["exp"], exp=0),
    "crit-empty": lambda it: it.signed(crit=[]),
    "crit-b64": lambda it: it.signed(crit=["b64"], b64=True),
    "other-scope": lambda it: it.with_claims(scp=["admin"]),
    "other-lifetime": lambda it: it.with_claims(exp=it.claims["exp"] + 1),
    "other-client": lambda it: it.with_claims(cid="admin", sub="admin"),
    "signature-stripped": lambda it: it.with_signature(lambda octets: b""),
    "signature-shortened": lambda it: it.with_signature(lambda octets: octets[:-1]),
    "signature-lengthened": lambda it: it.with_signature(lambda octets: octets + b"\0"),
    "signature-led-by-zero": lambda it: it.with_signature(lambda octets: b"\0" + octets),
    "signature-of-zeros": lambda it: it.with_signature(lambda octets: bytes(len(octets))),
    "signature-of-ones": lambda it: it.with_signature(lambda octets: b"\xff" * len(octets)),
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_token_is_refused_everywhere_and_nobody_is_asked_about_it(
    server: AuthorizationServer, own: rsa.RSAPrivateKey, site: socket.socket, forge: Forge
) -> None:
    forger = Forger(server, own, f"http://127.0.0.1:{site.getsockname()[1]}/keys")
    forged = forge(forger)
    http = Client(server)

    called = http.get(server.api.url, headers={"Authorization": f"Bearer {forged}"})
    introspected = http.post(str(server.introspection_url), data={"token": forged}, auth=BASIC)
    revoked = http.post(str(server.revocation_url), data={"token": forged}, auth=BASIC)
    good = http.get(server.api.url, headers={"Authorization": f"Bearer {forger.token}"})

    assert forged != forger.token
    assert (called.status_code, called.www_authenticate["error"]) == (401, "invalid_token")
    assert introspected.text == '{"active":false}'
    assert (revoked.status_code, good.status_code) == (200, 200)
    with pytest.raises(BlockingIOError):
        site.accept()


def as_der(octets: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big"))


ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ES256_SIGNATURES: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda octets: bytes(64),  # CVE-2022-21449: a signature of everything, where nobody looks
    "r-zero": lambda octets: bytes(32) + octets[32:],
    "s-zero": lambda octets: octets[:32] + bytes(32),
    "order": lambda octets: ORDER_OF_P256.to_bytes(32, "big") * 2,
    "empty": lambda octets: b"",
    "der": as_der,
    "extended": lambda octets: octets + b"\0",
    "swapped": lambda octets: octets[32:] + octets[:32],
}


@pytest.mark.parametrize("change", ES256_SIGNATURES.values(), ids=ES256_SIGNATURES)
def test_forged_signature_of_an_elliptic_curve_is_refused(keys: KeySource, change: Callable[[bytes], bytes]) -> None:
    server = AuthorizationServer(Options(dialect="rfc6749", signing_alg="ES256"), keys=keys)
    server.register(*BASIC)
    text, _, signature = server.mint().rpartition(".")
    forged = f"{text}.{base64url(change(base64.urlsafe_b64decode(signature + '==')))}"

    called = Client(server).get(server.api.url, headers={"Authorization": f"Bearer {forged}"})
    introspected = Client(server).post(str(server.introspection_url), data={"token": forged}, auth=BASIC)

    assert called.status_code == 401
    assert introspected.text == '{"active":false}'
    assert {exchange.reason for exchange in server.journal} == {Reason.BAD_SIGNATURE}


# Another host's name


def form(**parameters: str) -> dict[str, Any]:
    text = "&".join(f"{name}={value}" for name, value in parameters.items())
    return {"method": "POST", "body": text, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


PAIR = {"client_id": "smart-client", "client_secret": "smart-secret"}
ASKED: dict[str, dict[str, Any]] = {
    "/as/.well-known/oauth-authorization-server": {},
    "/.well-known/openid-configuration/as": {},
    "/as/v1/keys": {},
    "/as/v1/token": form(**GRANT, **PAIR),
    "/as/v1/token?": form(**GRANT),
    "/as/v1/introspect": form(token="x", **PAIR),
    "/as/v1/revoke": form(token="x", **PAIR),
    "/as/sc/datalake/v1": {},
    "/as/sc/datalake/v1/description": {},
    "/as/elsewhere/v1/token": form(**GRANT, **PAIR),
    "/as/": {},
    "/as/nowhere": {},
    "/": {},
    "//evil.test/as/v1/keys": {},
}
FOREIGN: dict[str, dict[str, str]] = {
    "host": {"Host": "evil.test"},
    "host-with-port": {"Host": "evil.test:443"},
    "host-below-ours": {"Host": "127.0.0.1.evil.test"},
    "host-with-user": {"Host": "127.0.0.1@evil.test"},
    "host-with-path": {"Host": "evil.test/as?x="},
    "host-of-markup": {"Host": '"><script src=//evil.test>'},
    "forwarded": {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil.test"},
    "forwarded-by-the-rfc": {"Forwarded": "host=evil.test;proto=https", "X-Host": "evil.test"},
    "original-url": {"X-Original-URL": "/evil.test", "X-Rewrite-URL": "/evil.test", "X-Original-Host": "evil.test"},
    "rebound-page": {"Host": "evil.test", "Origin": "http://evil.test", "Referer": "http://evil.test/"},
}


def answer_of(server: AuthorizationServer, path: str, asked: dict[str, Any], headers: dict[str, str]) -> str:
    """Return status, header and body, in lower case, of the answer to a request with these headers."""
    connection = http.client.HTTPConnection(urlsplit(server.issuer).netloc, timeout=5)
    request = {"method": "GET", **asked, "headers": {**asked.get("headers", {}), **headers}}
    try:
        connection.request(url=path, **request)
        response = connection.getresponse()
        return f"{response.status}\n{response.headers}{response.read().decode()}".lower()
    finally:
        connection.close()


def without_what_differs(answer: str) -> str:
    return re.sub(r'"ey[^"]+"|"errorid":"[^"]+"|date: [^\n]+', "", answer)


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_name_of_another_host_is_in_no_answer(served: AuthorizationServer, headers: dict[str, str]) -> None:
    for path, asked in ASKED.items():
        usual = answer_of(served, path, asked, {})
        answer = answer_of(served, path, asked, headers)

        assert without_what_differs(answer) == without_what_differs(usual)
        assert "evil" not in answer.replace(path, "")
        assert "access-control-" not in answer


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_redirect_and_tokens_name_the_servers_own_host(served: AuthorizationServer, headers: dict[str, str]) -> None:
    path, asked = "/as/v1/token", form(**GRANT, **PAIR)
    token = json.loads(answer_of(served, path, asked, headers).partition("\n\n")[2])
    served.fail("redirect")
    redirect = answer_of(served, path, asked, headers)

    claims = jwt.decode(served.mint(), options={"verify_signature": False})
    assert token["token_type"] == "bearer"
    assert claims["iss"] == served.issuer
    port = urlsplit(served.issuer).port
    assert f"location: http://localhost:{port}/as/elsewhere/v1/token\n" in redirect


@pytest.mark.parametrize("path", [path for path in ASKED if path.startswith("/as")])
def test_target_with_another_host_is_answered_as_the_path_alone(served: AuthorizationServer, path: str) -> None:
    asked = ASKED[path]

    answer = answer_of(served, f"http://evil.test{path}", asked, {"Host": "evil.test"})

    assert without_what_differs(answer) == without_what_differs(answer_of(served, path, asked, {}))


def private_words(keys: KeySource, *more: RSAKey | ECKey) -> set[str]:
    """Return the words of private keys, as a JWK and as PEM have them, in lower case."""
    found: set[str] = set()
    for key in (keys.shared(), *more):
        assert isinstance(key, (RSAKey, ECKey))
        members = key.as_dict(private=True)
        found |= {str(members[name]) for name in ("d", "p", "q", "dp", "dq", "qi") if name in members}
        found |= set(key.as_pem(private=True).decode().splitlines()[1:-1])
        found.add("PRIVATE KEY")
    return {word.lower() for word in found if len(word) > 8}


def test_no_answer_has_a_secret_or_a_private_key(served: AuthorizationServer, keys: KeySource) -> None:
    words = private_words(keys) | {"smart-secret"}

    answers = [answer_of(served, path, asked, {}) for path, asked in ASKED.items()]

    assert '"n":"' in answers[2]
    assert [word for word in words for answer in answers if word in answer] == []


# What is kept to the process


def assertion(server: AuthorizationServer, key: ECKey) -> str:
    now = int(time.time())
    claims = {"iss": "signer", "sub": "signer", "aud": server.token_url, "exp": now + 60, "iat": now}
    return jose.encode({"alg": "ES256"}, claims, key)


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_nothing_secret_is_in_any_log_at_any_level(
    token_format: str, keys: KeySource, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)  # of the root: werkzeug's, urllib3's and asyncio's, too
    key, authority = ECKey.generate_key("P-256"), CertificateAuthority()
    with Listener(tls=authority) as listener, requests.Session() as session:
        session.trust_env, session.verify = False, authority.ca_file
        server = listener.serve(Options(token_format=token_format))
        server.register(*BASIC)
        server.register("signer", public_key=key.as_dict(private=False))
        assertions = [assertion(server, key), assertion(server, key)[:-4] + "AAAA"]
        pair = {**GRANT, "client_id": "smart-client"}
        by_assertion = {**GRANT, "client_assertion_type": ASSERTION_TYPE}
        with_token = [
            session.post(server.token_url, data=GRANT, auth=BASIC),
            session.post(server.token_url, data={**pair, "client_secret": "smart-secret"}),
            session.post(server.token_url, data={**by_assertion, "client_assertion": assertions[0]}),
        ]
        session.post(server.token_url, data={**by_assertion, "client_assertion": assertions[1]})
        session.post(server.token_url, data={**pair, "client_secret": "smart-secret-and-more"})
        tokens = [answer.json()["access_token"] for answer in with_token]
        server.api.get("/broken", lambda request, claims: {}[request.headers["Authorization"]])
        for token in tokens:
            bearer = {"Authorization": f"Bearer {token}"}
            session.post(str(server.introspection_url), data={"token": token}, auth=BASIC)
            session.get(server.api.url, headers=bearer)
            session.get(f"{server.api.url}/broken", headers=bearer)
            session.post(str(server.revocation_url), data={"token": token}, auth=BASIC)
            session.get(server.api.url, headers=bearer)
        server.fail("connection_reset")
        with pytest.raises(requests.ConnectionError):
            session.post(server.token_url, data=GRANT, auth=BASIC)
        secrets = {"smart-secret", base64.b64encode(b"smart-client:smart-secret").decode(), *tokens, *assertions}
        secrets |= {text.rpartition(".")[2] for text in (*tokens, *assertions)}
        secrets |= private_words(listener._keys, key)
        server.rotate_keys()
    asyncio.run(asyncio.sleep(0), debug=True)
    authority.close()

    written = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records), *capfd.readouterr()]).lower()
    assert {record.name.partition(".")[0] for record in caplog.records} >= {"asyncio", "fake_server", "urllib3"}
    assert [secret for secret in secrets if secret.lower() in written] == []


def test_no_key_and_no_secret_is_in_a_repr_or_can_be_pickled(listener: Listener, served: AuthorizationServer) -> None:
    served.mint()
    state = served._state
    words = private_words(listener._keys) | {"smart-secret"}
    things = [served, listener, state, state.tokens, state.tokens.keys, state.authenticator, listener._keys]

    for thing in [*things, listener._keys.shared(), served.clients["smart-client"], served.credentials_of()]:
        assert [word for word in words if word in f"{thing!r}{thing}{thing:}".lower()] == []
    for thing in [*things, listener._keys.shared()]:
        with pytest.raises(TypeError, match="^cannot pickle"):
            pickle.dumps(thing)


def test_file_of_the_authority_has_no_private_key() -> None:
    authority = CertificateAuthority()
    path = Path(authority.ca_file)

    files = {file.name: file.read_text() for file in path.parent.iterdir()}
    authority.close()

    assert list(files) == ["ca.pem"]
    assert re.findall("-----BEGIN .*", files["ca.pem"]) == ["-----BEGIN CERTIFICATE-----"]


SECRET = "Qm7Rt2Vx9Kp4Ls8Wd3Hn6Jb1Yc5Fg0Zq"
# How many characters of a client's own words a diagnosis keeps, and the journal of the path
PLACES: dict[str, Callable[[Client, str], object]] = {
    "scope": lambda http, word: http.post("/v1/token", data={**GRANT, "scope": word}, auth=("one", SECRET)),
    "malformed-scope": lambda http, word: http.post(
        "/v1/token", data={**GRANT, "scope": f"{word}  x"}, auth=("one", SECRET)
    ),
    "grant-type": lambda http, word: http.post("/v1/token", data={"grant_type": word}, auth=("one", SECRET)),
    "parameter": lambda http, word: http.post("/v1/token", data=f"{word}=&{word}=", content_type=FORM),
    "content-type": lambda http, word: http.post("/v1/token", data="x", content_type=f"text/{word}"),
    "assertion-type": lambda http, word: http.post("/v1/token", data={**GRANT, "client_assertion_type": word}),
    "resource": lambda http, word: http.post("/v1/token", data={**GRANT, "resource": word}, auth=("one", SECRET)),
    "kid": lambda http, word: http.get("/sc/datalake/v1", headers=bearer({"alg": "RS256", "kid": word})),
    "path": lambda http, word: http.get(f"/{word}"),
    "api-path": lambda http, word: http.get(f"/sc/datalake/v1/{word}"),
    "method": lambda http, word: http.open("/v1/token", method=word),
}
LENGTHS = [
    (1, 0),
    *((1, length - 16) for length in (40, 60, 80, 120, 200, 400)),
    *((most, 30) for most in range(2, 20)),
]


def bearer(header: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {base64url(header)}.{base64url({})}.{base64url(bytes(256))}"}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_no_part_of_a_secret_is_left_where_words_are_cut(
    place: Callable[[Client, str], object], keys: KeySource
) -> None:
    server = AuthorizationServer(Options(dialect="rfc6749"), keys=keys)
    server.register("one", SECRET)

    for times, length in LENGTHS:
        place(Client(server), f"{(SECRET + '-') * (times - 1)}{'x' * length}{SECRET}")

    shown = f"{server.journal}{[*server.journal]}".lower()
    assert server.journal.total == len(LENGTHS)
    assert [part for part in (SECRET[n : n + 4].lower() for n in range(29)) if part in shown] == []


# Who is slow


def test_client_that_reads_nothing_does_not_hold_the_end(listener: Listener, served: AuthorizationServer) -> None:
    served.api.get("/large", json="x" * 20_000_000)  # more than sockets hold: the answer cannot leave
    parts = urlsplit(served.api.url)
    request = f"GET {parts.path}/large HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.mint()!s}\r\n\r\n"
    own = [thread for thread in threading.enumerate() if thread.name == f"fake_server-{parts.port}"]

    with socket.create_connection((str(parts.hostname), int(str(parts.port))), timeout=5) as connection:
        connection.sendall(request.encode())
        first = connection.recv(1)
        listener.stop()

    assert first == b"H"
    assert [thread.is_alive() for thread in own] == [False, False]


# How secrets are compared


def names_in(node: ast.AST) -> set[str]:
    return {getattr(part, "attr", None) or getattr(part, "id", None) or "" for part in ast.walk(node)}


def test_who_is_let_in_is_decided_by_compare_digest_alone() -> None:
    # diagnoses.py tells what is wrong with a secret that was refused: so answers are not of equal length in time.
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES if path.name != "diagnoses.py"}
    nodes = [(name, node) for name, tree in trees.items() for node in ast.walk(tree)]
    kinds = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)

    compared = [
        f"{name}: {ast.unparse(node)}"
        for name, node in nodes
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], kinds)
        if any(re.search("secret|signature|digest|hmac", word) for word in names_in(node))
    ]
    calls = [name for name, node in nodes if isinstance(node, ast.Call) and "compare_digest" in names_in(node.func)]

    assert compared == []
    assert calls == ["clients.py"]

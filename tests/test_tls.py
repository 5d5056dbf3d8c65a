"""https on loopback: who trusts it, what is put back, and clients that do not finish what they begin."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fake_server import AuthorizationServer, Listener
from fake_server.key_source import KeySource
from fake_server.tls import CertificateAuthority
from pytest_sc_auth import ServerFactory
from pytest_sc_auth.environment import CA_VARIABLES

Run = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def authority() -> Iterator[CertificateAuthority]:
    """A CA with its certificate."""
    authority = CertificateAuthority()
    yield authority
    authority.close()


@pytest.fixture
def listener(authority: CertificateAuthority, keys: KeySource) -> Iterator[Listener]:
    """A listener for https, which leaves no thread behind."""
    before = set(threading.enumerate())
    with Listener(tls=authority, keys=keys) as listener:
        yield listener
    assert set(threading.enumerate()) <= before


@pytest.fixture
def secure(listener: Listener) -> AuthorizationServer:
    """A server for https with one client."""
    server = listener.serve()
    server.register()
    return server


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest on a test file in a process of its own; a warning is an error."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "no:randomly", "-W", "error", *arguments)

    return run


def connect(listener: Listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(listener.url.rpartition(":")[2])), timeout=5)


def get_token(server: AuthorizationServer, **settings: Any) -> requests.Response:
    credentials = server.credentials_of()
    return requests.post(
        server.token_url,
        data={"grant_type": "client_credentials", "scope": credentials.scope},
        auth=(credentials.client_id, credentials.client_secret),
        verify=server.ca_file,
        **settings,
    )


# The certificate


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_certificate_is_good_for_loopback_by_any_name(
    listener: Listener, authority: CertificateAuthority, name: str
) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)

    with connect(listener) as plain, context.wrap_socket(plain, server_hostname=name) as connection:
        certificate = connection.getpeercert()

    assert certificate is not None
    assert (certificate["notBefore"][-8:-4], certificate["notAfter"][-8:-4]) == ("2000", "3000")


def test_certificate_is_good_for_no_other_name(listener: Listener, authority: CertificateAuthority) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)

    with connect(listener) as plain, pytest.raises(ssl.SSLCertVerificationError, match="idp.example.com"):
        context.wrap_socket(plain, server_hostname="idp.example.com")


def test_closed_authority_removes_its_file() -> None:
    authority = CertificateAuthority()
    path = Path(authority.ca_file)
    assert path.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert repr(authority) == f"<CertificateAuthority {path}>"

    authority.close()

    assert not path.parent.exists()


# Requests


def test_request_knows_that_it_is_https(secure: AuthorizationServer) -> None:
    secure.api.get("/Tags", lambda request, claims: {"url": request.url})

    token = get_token(secure).json()["access_token"]
    answer = requests.get(f"{secure.api.url}/Tags", headers={"Authorization": f"Bearer {token}"}, verify=secure.ca_file)

    assert answer.json() == {"url": f"{secure.api.url}/Tags"}
    assert secure.issuer.startswith("https://127.0.0.1:")


@pytest.mark.parametrize(
    ("fault", "timeout", "error"),
    [
        ("hang", 0.05, requests.ReadTimeout),
        ("connection_reset", 10, requests.ConnectionError),
        ("no_response", 10, requests.ConnectionError),
        ("cut_off", 10, requests.exceptions.ChunkedEncodingError),
    ],
    ids=["hang", "reset", "no-response", "cut-off"],
)
def test_fault_is_the_same_error_as_over_http(
    secure: AuthorizationServer, fault: str, timeout: float, error: type[Exception]
) -> None:
    secure.fail(fault)

    with pytest.raises(error):
        get_token(secure, timeout=timeout)

    assert get_token(secure).status_code == 200


def test_server_that_is_down_comes_back_on_the_same_port(secure: AuthorizationServer) -> None:
    secure.down()
    with pytest.raises(requests.ConnectionError):
        get_token(secure)
    secure.up()

    assert get_token(secure).status_code == 200


# Clients that do not finish


def without_trust(listener: Listener) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(listener.url, verify=True)


def without_handshake(listener: Listener) -> None:
    with connect(listener):
        pass


def with_half_a_handshake(listener: Listener) -> None:
    with connect(listener) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")


def with_plain_http(listener: Listener) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(listener.url.replace("https", "http"))


@pytest.mark.parametrize(
    "meet",
    [without_trust, without_handshake, with_half_a_handshake, with_plain_http],
    ids=["no-trust", "no-handshake", "half-a-handshake", "plain-http"],
)
def test_client_that_is_no_https_client_disturbs_nobody(
    secure: AuthorizationServer,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    meet: Callable[[Listener], None],
) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    meet(listener)

    assert get_token(secure, timeout=5).status_code == 200
    listener.stop()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01\x02\x00\x01"], ids=["none", "some"])
def test_listener_stops_at_once_while_handshakes_are_under_way(
    secure: AuthorizationServer, listener: Listener, capfd: pytest.CaptureFixture[str], octets: bytes
) -> None:
    with connect(listener) as connection, requests.Session() as kept:
        connection.sendall(octets)
        kept.get(secure.jwks_uri, verify=secure.ca_file)  # accepted after the other: both have a thread
        begin = time.perf_counter()
        listener.stop()
        elapsed = time.perf_counter() - begin

    assert elapsed < 0.2
    assert capfd.readouterr() == ("", "")


# The marker


def test_marker_sets_the_variables_for_the_test_and_puts_them_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/of/the/user")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)

    result = run(
        f"""
        import os, pathlib, ssl, urllib.request
        import pytest, requests

        NAMES = {CA_VARIABLES!r}
        before = {{name: os.environ.get(name) for name in NAMES}}

        @pytest.mark.sc_auth(tls=True)
        def test_https(sc_auth_server, sc_auth_session, sc_auth_api):
            assert {{os.environ[name] for name in NAMES}} == {{sc_auth_server.ca_file}}
            assert pathlib.Path(sc_auth_server.ca_file).is_file()
            assert requests.get(sc_auth_server.jwks_uri).ok
            assert urllib.request.urlopen(sc_auth_server.jwks_uri.replace("127.0.0.1", "localhost")).status == 200
            assert sc_auth_session.get(sc_auth_api.url).ok

        def test_http(sc_auth_server, sc_auth_session, sc_auth_api):
            assert sc_auth_server.ca_file is None
            assert sc_auth_api.url.startswith("http://")
            assert sc_auth_session.get(sc_auth_api.url).ok
            assert {{name: os.environ.get(name) for name in NAMES}} == before
            assert before["SSL_CERT_FILE"] == "/of/the/user"
        """
    )

    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("engine", ["freezegun", "time-machine"])
@pytest.mark.parametrize("moment", ["2000-06-01", "2900-01-01"])
def test_https_works_while_time_is_held(run: Run, engine: str, moment: str) -> None:
    result = run(
        f"""
        import pytest, requests

        @pytest.mark.filterwarnings("ignore::urllib3.exceptions.SystemTimeWarning")
        @pytest.mark.sc_auth(tls=True)
        def test_it(sc_auth_clock, sc_auth_session, sc_auth_api, sc_auth_server):
            sc_auth_clock.move_to("{moment}T00:00:00Z")
            assert sc_auth_session.get(sc_auth_api.url).status_code == 200
            sc_auth_clock.advance(hours=1)
            assert sc_auth_session.get(sc_auth_api.url).status_code == 200
            assert len(sc_auth_server.token_requests) == 2
        """,
        *("-o", f"sc_auth_clock_engine={engine}"),
    )

    result.assert_outcomes(passed=1)


# The session


def test_http_and_https_are_side_by_side_and_the_file_goes_with_the_session() -> None:
    factory = ServerFactory({})

    plain, first, second = factory.make(), factory.make(tls=True), factory.make(tls=True)
    statuses = [requests.get(server.jwks_uri, verify=server.ca_file or True).status_code for server in factory.servers]
    factory.stop(first)
    after = [requests.get(server.jwks_uri, verify=second.ca_file).status_code for server in (plain, first, second)]
    factory.close()

    assert (plain.ca_file, first.ca_file) == (None, second.ca_file)
    assert (statuses, after) == ([200, 200, 200], [200, 404, 200])
    assert second.ca_file is not None
    assert not os.path.exists(second.ca_file)

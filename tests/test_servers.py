"""The servers that tests get: one socket, a path each, and a name that must be ours."""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from fake_server import AuthorizationServer, Listener, OptionError
from pytest_sc_auth import ServerFactory
from pytest_sc_auth.servers import ForeignModuleError, check_fake_server

NewFactory = Callable[..., ServerFactory]


@pytest.fixture
def new_factory() -> Iterator[NewFactory]:
    """Make factories, which are closed at the test's end."""
    made: list[ServerFactory] = []

    def make(**settings: str) -> ServerFactory:
        made.append(ServerFactory(settings))
        return made[-1]

    yield make
    for factory in made:
        factory.close()


@pytest.fixture
def factory(new_factory: NewFactory) -> ServerFactory:
    """A factory of a suite without settings."""
    return new_factory()


@pytest.fixture
def free_port() -> int:
    """A port that is free, since a listener has just closed it."""
    with Listener() as listener:
        return int(listener.url.rpartition(":")[2])


def status_of(server: AuthorizationServer) -> int:
    return requests.get(server.jwks_uri).status_code


def listening_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if re.fullmatch("fake_server-[0-9]+", thread.name)]


def test_made_server_runs_with_one_client(factory: ServerFactory) -> None:
    server = factory.make()

    credentials = server.credentials_of()
    answer = requests.post(
        credentials.token_url,
        data={"grant_type": "client_credentials", "scope": credentials.scope},
        auth=(credentials.client_id, credentials.client_secret),
    )

    assert answer.status_code == 200
    assert len(server.clients) == 1
    assert factory.servers == (server,)


def test_servers_share_the_socket_and_nothing_else(factory: ServerFactory) -> None:
    first, second = factory.make(), factory.make()

    requests.get(first.api.url)

    assert urlsplit(first.issuer).netloc == urlsplit(second.issuer).netloc
    assert first.issuer != second.issuer
    assert set(first.clients).isdisjoint(second.clients)
    assert (first.journal.total, second.journal.total) == (1, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (60, ("a", "b"))),
        ({"token_lifetime": 90}, (90, ("a", "b"))),
        ({"scopes": ["c"]}, (60, ("c",))),
    ],
    ids=["suite", "lifetime", "scopes"],
)
def test_given_options_win_over_the_settings(
    new_factory: NewFactory, options: dict[str, Any], expected: tuple[int, tuple[str, ...]]
) -> None:
    server = new_factory(token_lifetime="60", scopes="a b").make(**options)

    assert (server.options.token_lifetime, server.options.scopes) == expected


@pytest.mark.parametrize(
    ("settings", "options"),
    [({}, {"token_lifetme": 60}), ({}, {"token_lifetime": "60"}), ({"token_lifetime": "soon"}, {})],
    ids=["misspelt", "ill-typed", "setting"],
)
def test_wrong_option_opens_no_socket(
    new_factory: NewFactory, settings: dict[str, str], options: dict[str, Any]
) -> None:
    factory, before = new_factory(**settings), listening_threads()

    with pytest.raises(OptionError, match="token_lifetime"):
        factory.make(**options)

    assert factory.servers == ()
    assert listening_threads() == before


def test_stopped_server_is_gone_and_the_others_go_on(factory: ServerFactory) -> None:
    first, second = factory.make(), factory.make()

    factory.stop(first)

    assert (status_of(first), status_of(second)) == (404, 200)
    assert factory.servers == (second,)


def test_stopping_a_server_twice_changes_nothing(factory: ServerFactory) -> None:
    server, other = factory.make(), factory.make()

    factory.stop(server)
    factory.stop(server)

    assert factory.servers == (other,)


def test_closed_factory_answers_no_more(factory: ServerFactory) -> None:
    before = listening_threads()
    server = factory.make()
    assert listening_threads() != before

    factory.close()

    with pytest.raises(requests.ConnectionError):
        status_of(server)
    assert listening_threads() == before


def test_environment_is_given_back_where_a_server_cannot_come_up_again(
    factory: ServerFactory, monkeypatch: pytest.MonkeyPatch, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    server = factory.make()
    server.down()

    with no_threads():
        with pytest.raises(RuntimeError, match="can't start new thread"):
            factory.stop(server)

    assert "no_proxy" not in os.environ


def test_factory_that_made_nothing_has_nothing_to_stop(factory: ServerFactory) -> None:
    before = listening_threads()

    factory.stop(AuthorizationServer())
    factory.close()

    assert factory.servers == ()
    assert listening_threads() == before


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_listener_of_the_suites_scheme_has_the_port_and_the_other_a_free_one(free_port: int, tls: bool) -> None:
    factory = ServerFactory({"tls": str(tls).lower()}, port=free_port)

    other, own, again = factory.make(tls=not tls), factory.make(), factory.make()
    factory.close()

    assert urlsplit(own.issuer).netloc == urlsplit(again.issuer).netloc == f"127.0.0.1:{free_port}"
    assert urlsplit(other.issuer).port not in (free_port, None)


def test_path_and_client_can_be_chosen(factory: ServerFactory) -> None:
    server = factory.make(path="/idp", client_id="my-app", client_secret="my-secret", scopes=["a"])

    credentials = server.credentials_of()

    assert urlsplit(credentials.token_url).path == "/idp/v1/token"
    assert (credentials.client_id, credentials.client_secret, credentials.scope) == ("my-app", "my-secret", "a")
    with pytest.raises(ValueError, match="a server is mounted at '/idp' already"):
        factory.make(path="/idp")


def test_servers_of_one_production_url_answer_in_turn_until_they_stop() -> None:
    url = "https://idp.example.com/v1/token"
    factory = ServerFactory({}, urls={"token_url": url, "api_url": None})
    first, second = factory.make(), factory.make()

    statuses = [requests.post(url).status_code]
    factory.stop(second)
    statuses.append(requests.post(url).status_code)
    factory.close()

    assert statuses == [400, 400]
    assert (first.journal.total, second.journal.total) == (1, 1)


def test_server_of_a_bad_production_url_is_not_left_behind() -> None:
    factory = ServerFactory({}, urls={"token_url": "idp.example.com", "api_url": None})

    with pytest.raises(ValueError, match="token_url='idp.example.com' cannot be used"):
        factory.make()

    assert factory.servers == ()
    factory.close()


def test_variables_that_a_test_took_are_not_brought_back(
    factory: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    with monkeypatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", "a-tests.pem")
        server = factory.make(tls=True)
    factory.stop(server)

    assert "SSL_CERT_FILE" not in os.environ


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_threads_make_servers_at_once(factory: ServerFactory, eager_threads: None, tls: bool) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: factory.make(tls=tls), range(16)))

    assert set(factory.servers) == set(made)
    assert len({urlsplit(server.issuer).netloc for server in made}) == 1


@pytest.mark.parametrize("given", [{"client_id": 5}, {"client_id": "a", "client_secret": ""}], ids=["id", "secret"])
def test_server_of_a_bad_client_is_not_left_behind(factory: ServerFactory, given: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match="client_"):
        factory.make(**given)

    assert factory.servers == ()


def test_cas_are_trusted_while_a_server_of_https_runs(factory: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "mine.pem")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)

    first, second, _ = factory.make(tls=True), factory.make(tls=True), factory.make()
    factory.stop(first)
    trusted = requests.get(second.jwks_uri).ok and os.environ["SSL_CERT_FILE"]
    factory.stop(second)

    assert trusted == second.ca_file
    assert (os.environ["SSL_CERT_FILE"], "REQUESTS_CA_BUNDLE" in os.environ) == ("mine.pem", False)


def test_busy_port_is_named_and_another_try_is_possible(free_port: int) -> None:
    factory = ServerFactory({}, port=free_port)
    with Listener(port=free_port), pytest.raises(OSError, match=f"port {free_port} of 127.0.0.1 cannot be opened"):
        factory.make()

    server = factory.make()
    factory.close()

    assert urlsplit(server.issuer).port == free_port


# Another module of the name fake_server


def test_our_own_module_is_accepted() -> None:
    check_fake_server()


def test_module_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fake_server", None)

    with pytest.raises(ForeignModuleError, match="import fake_server finds no module, "):
        check_fake_server()


@pytest.mark.parametrize("imported", [False, True], ids=["on-the-path", "imported"])
@pytest.mark.parametrize("path", ["fake_server.py", "tests/fake_server.py", "tests/fake_server/__init__.py"])
def test_foreign_module_is_named_at_each_test_that_needs_ours(
    pytester: pytest.Pytester, path: str, imported: bool
) -> None:
    foreign = pytester.path / path
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("")
    tests = pytester.path / "tests"
    tests.mkdir(exist_ok=True)
    (tests / "test_it.py").write_text(
        ("import fake_server\n" if imported else "")
        + "def test_server(sc_auth_credentials): pass\n"
        + "def test_clock(sc_auth_clock): pass\n"
        + "def test_neither(): pass\n"
    )

    # A new process: this one has imported ours. `python -m pytest` puts the rootdir on sys.path.
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-W", "error")

    result.assert_outcomes(errors=2, passed=1)
    for name in ("test_server", "test_clock"):
        shown = result.stdout.str().partition(f"ERROR at setup of {name}")[2].splitlines()
        assert shown[1].startswith(f"import fake_server finds {foreign}, not the server that pytest-sc-auth brings (")
        assert shown[1].endswith("); rename that module, or take its folder off sys.path")
        assert shown[2].startswith(("___", "==="))


def test_folder_without_init_does_not_hide_ours(pytester: pytest.Pytester) -> None:
    pytester.mkdir("fake_server")
    pytester.makepyfile("def test_it(sc_auth_token): pass")

    result = pytester.runpytest_subprocess("-W", "error")

    result.assert_outcomes(passed=1)


def test_key_that_was_begun_for_no_server_does_not_outlive_the_factory() -> None:
    factory = ServerFactory({})
    with pytest.raises(OptionError):
        factory.make(token_lifetime="soon")

    factory.close()

    assert [thread for thread in threading.enumerate() if thread.name == "fake_server-key"] == []

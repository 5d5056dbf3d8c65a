"""Secrets and tokens in what pytest shows of a failing test: arguments, and the two sides of a comparison."""

import pytest

from fake_server import AuthorizationServer
from fake_server.hidden import Hidden

FAILING = """
    import pytest

    pytestmark = pytest.mark.sc_auth(token_format={token_format!r})

    @pytest.fixture
    def known(sc_auth_server, sc_auth_credentials, sc_auth_token, sc_auth_client):
        values = [sc_auth_credentials.client_secret, sc_auth_token, sc_auth_client.token().value]
        with open("known.txt", "a") as file:
            print(*map(str, values), sep="\\n", file=file)

    def test_arguments(known, sc_auth_token, sc_auth_env, sc_auth_credentials):
        assert not sc_auth_token

    def test_tokens(known, sc_auth_client, sc_auth_server):
        first = sc_auth_client.token()
        sc_auth_server.expire_all()
        assert sc_auth_client.fetch() == first

    def test_credentials(known, sc_auth_credentials, sc_auth_server_factory):
        assert sc_auth_credentials == sc_auth_server_factory.make().credentials_of()

    def test_foreign_token(known, sc_auth_token, sc_auth_server_factory):
        sc_auth_server_factory.make().revoke(sc_auth_token)
"""


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_failing_test_shows_no_secret_and_no_token(pytester: pytest.Pytester, token_format: str) -> None:
    pytester.makeini("[pytest]\nsc_auth_env =\n    SECRET = {client_secret}\n    URL = {token_url}")
    pytester.makepyfile(FAILING.format(token_format=token_format))

    result = pytester.runpytest("-vv", "-p", "no:randomly", "--junitxml=report.xml")

    result.assert_outcomes(failed=4)
    shown = result.stdout.str() + pytester.path.joinpath("report.xml").read_text(encoding="utf-8")
    known = pytester.path.joinpath("known.txt").read_text(encoding="utf-8").split()
    assert [value[:4] for value in known if value in shown] == []


@pytest.mark.parametrize(
    ("text", "shown"), [("eyJhbGciOi", "'eyJh…' (10 characters)"), ("short", "'…'")], ids=["long", "short"]
)
def test_repr_shows_the_beginning_of_a_long_text(text: str, shown: str) -> None:
    assert repr(Hidden(text)) == shown
    assert Hidden(text) == text


def test_credentials_are_equal_by_their_values(server: AuthorizationServer) -> None:
    server.register("one", "secret")

    assert server.credentials_of() == server.credentials_of()
    assert len({server.credentials_of(), server.credentials_of()}) == 1
    assert server.credentials_of() != "one"

"""Where a server is found: what it publishes for URLs of another host, and how it routes them."""

import pytest

from fake_server import AuthorizationServer, Options
from fake_server.key_source import KeySource

TOKEN_URL = "https://idp.example.com/oauth2/aus1/v1/token"
API_URL = "https://sc.example.com/sc/datalake/v1"


@pytest.fixture
def published(server: AuthorizationServer) -> AuthorizationServer:
    """A server, below /as, that tells production URLs."""
    server.publish(token_url=TOKEN_URL, api_url=API_URL)
    return server


@pytest.mark.parametrize(
    ("token_url", "issuer"),
    [
        (TOKEN_URL, "https://idp.example.com/oauth2/aus1"),
        (f"{TOKEN_URL}/", "https://idp.example.com/oauth2/aus1"),
        ("https://idp.example.com:8443/v1/token", "https://idp.example.com:8443"),
        ("https://IDP.Example.COM/v1/token", "https://IDP.Example.COM"),
        ("http://[::1]:8080/as/v1/token", "http://[::1]:8080/as"),
        ("https://idp.example.com/oauth/access", "https://idp.example.com/oauth"),
        ("https://idp.example.com/token", "https://idp.example.com"),
        ("https://idp.example.com/", "https://idp.example.com"),
        ("https://idp.example.com", "https://idp.example.com"),
    ],
    ids=["okta", "slash", "port", "upper-case", "ipv6", "other-name", "short", "root", "bare"],
)
def test_issuer_and_its_siblings_follow_from_the_token_url(
    server: AuthorizationServer, token_url: str, issuer: str
) -> None:
    server.publish(token_url=token_url)

    assert (server.token_url, server.issuer, server.jwks_uri) == (token_url, issuer, f"{issuer}/v1/keys")
    assert server.path_of(token_url) == "/as/v1/token"
    assert server.path_of(f"{issuer}/v1/keys") == "/as/v1/keys"
    assert server.path_of(f"{issuer}/.well-known/openid-configuration") == "/as/.well-known/openid-configuration"
    assert server.api.url == "http://idp.test/as/sc/datalake/v1"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (TOKEN_URL, "/as/v1/token"),
        (f"{TOKEN_URL}?x=1", "/as/v1/token"),
        ("https://idp.example.com:443/oauth2/aus1/v1/token", "/as/v1/token"),
        ("https://IDP.EXAMPLE.COM/oauth2/aus1/v1/token", "/as/v1/token"),
        ("https://idp.example.com/oauth2/aus1", "/as"),
        ("https://idp.example.com/oauth2/aus1/nothing", "/as/nothing"),
        (
            "https://idp.example.com/.well-known/oauth-authorization-server/oauth2/aus1",
            "/.well-known/oauth-authorization-server/as",
        ),
        (API_URL, "/as/sc/datalake/v1"),
        (f"{API_URL}/", "/as/sc/datalake/v1/"),
        (f"{API_URL}/Tags/a%2Fb/?x=1", "/as/sc/datalake/v1/Tags/a%2Fb/"),
        ("https://idp.example.com/oauth2/aus10/v1/token", None),
        ("https://idp.example.com", None),
        ("http://idp.example.com/oauth2/aus1/v1/token", None),
        ("https://idp.example.com:8443/oauth2/aus1/v1/token", None),
        ("https://sc.example.com/sc/datalake/v10", None),
        ("http://idp.test/as/v1/token", None),
    ],
    ids=[
        *("token", "query", "port", "upper-case", "issuer", "below-the-issuer", "well-known", "api"),
        *("api-slash", "api-path", "other-issuer", "root", "http", "other-port", "other-api", "loopback"),
    ],
)
def test_published_url_is_routed_and_anothers_is_not(
    published: AuthorizationServer, url: str, path: str | None
) -> None:
    assert published.path_of(url) == path


@pytest.mark.parametrize(
    ("token_url", "api_url", "paths"),
    [
        ("https://x.example/auth/v1/token", "https://x.example", ("/as/v1/keys", "/as/sc/datalake/v1/Tags")),
        ("https://x.example/auth/v1/token", "https://x.example/", ("/as/v1/keys", "/as/sc/datalake/v1/Tags")),
        ("https://x.example/v1/token", "https://x.example/v1", ("/as/sc/datalake/v1/keys", "/as/sc/datalake/v1/Tags")),
        ("https://x.example", "https://x.example/api", ("/as/v1/keys", "/as/sc/datalake/v1/Tags")),
        ("https://x.example/api/auth/v1/token", "https://x.example/api", ("/as/v1/keys", "/as/sc/datalake/v1/Tags")),
    ],
    ids=["api-at-the-root", "api-slash", "api-around-the-token", "token-at-the-root", "token-below-the-api"],
)
def test_longer_path_wins_where_both_are_at_one_host(
    server: AuthorizationServer, token_url: str, api_url: str, paths: tuple[str, str]
) -> None:
    server.publish(token_url=token_url, api_url=api_url)

    assert server.path_of(token_url) == "/as/v1/token"
    assert (server.path_of(server.jwks_uri), server.path_of(f"{server.api.url}/Tags")) == paths


def test_vendors_own_token_path_is_known(keys: KeySource) -> None:
    server = AuthorizationServer(Options(dialect="duende"), base_url="http://idp.test/as", keys=keys)

    server.publish(token_url="https://id.example.com/connect/token")

    assert server.jwks_uri == "https://id.example.com/.well-known/openid-configuration/jwks"
    assert server.path_of(server.jwks_uri) == "/as/.well-known/openid-configuration/jwks"


def test_urls_are_published_one_at_a_time(server: AuthorizationServer) -> None:
    server.publish(api_url=f"{API_URL}/")
    server.publish(token_url=TOKEN_URL)
    server.publish()

    credentials = server.register().client_id, server.credentials_of()
    assert (credentials[1].token_url, credentials[1].api_url) == (TOKEN_URL, API_URL)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "idp.example.com/v1/token",
            "//idp.example.com/v1/token",
            "ftp://idp.example.com/v1/token",
            "https:///v1",
        ),
        *("https://idp.example.com/v1/token?a=b", "https://idp.example.com/v1/token#x", "https://u:p@idp.example.com/"),
        *("https://idp.example.com:port/", "https://idp.example.com:70000/", "https://idp.example.com:0/"),
        *("https://[::1/v1/token", "https://idp.example.com/a b", "https://idp.example.com/\n", "https://ä.example/"),
    ],
)
def test_what_is_no_url_is_refused_and_changes_nothing(server: AuthorizationServer, url: str) -> None:
    before = server.token_url, server.api.url

    with pytest.raises(ValueError, match="api_url=") as error:
        server.publish(token_url=TOKEN_URL, api_url=url)

    assert str(error.value) == (
        f"api_url={url!r} cannot be used: it takes an http or https URL in ASCII, without user, query and fragment"
    )
    assert (server.token_url, server.api.url) == before

"""Where a server is found: the paths by which it routes, and the URLs that it tells its clients."""

import functools
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from fake_server.dialects import Dialect

__all__ = ["API_PATH", "TOKEN_PATH", "WELL_KNOWN", "Addresses", "Host", "host_of"]

# The token endpoint has this path in every dialect, besides the dialect's own.
TOKEN_PATH = "/v1/token"
API_PATH = "/sc/datalake/v1"
# RFC 8414, section 3, and OpenID Connect Discovery, section 4.
WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<origin>https?://[^ /?#@]+)(?P<path>(/[^ ?#@]*)?)", re.IGNORECASE)
Host = tuple[str, str | None, int | None]
_Routes = tuple[dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class Addresses:
    """Hold a server's URLs; those of another host are answered by an interception, and routed by `mount_path`."""

    dialect: Dialect
    mount_path: str
    base_url: str
    token_url: str
    api_url: str

    @classmethod
    def below(cls, base_url: str, dialect: Dialect) -> "Addresses":
        """Return the addresses of a server that is reached at its base URL. Raises ValueError for no URL."""
        mount_path = _check("base_url", base_url).rstrip("/")
        base_url = base_url.rstrip("/")
        return cls(dialect, mount_path, base_url, base_url + dialect.token_path, base_url + API_PATH)

    def published(self, token_url: str | None, api_url: str | None) -> "Addresses":
        """Return the same server's addresses at other URLs; None leaves one as it is. Raises ValueError for no URL."""
        for name, url in (("token_url", token_url), ("api_url", api_url)):
            if url is not None:
                _check(name, url)
        base_url = self.base_url
        if token_url is not None:
            parts = urlsplit(token_url)
            path = parts.path.rstrip("/")
            known = [end for end in (self.dialect.token_path, TOKEN_PATH) if path.endswith(end)]
            # A token URL of another shape has its siblings beside it.
            path = path.removesuffix(known[0]) if known else path.rpartition("/")[0]
            base_url = f"{parts.scheme}://{parts.netloc}{path}"
        return Addresses(
            self.dialect,
            self.mount_path,
            base_url,
            token_url or self.token_url,
            (api_url or self.api_url).rstrip("/"),
        )

    @property
    def issuer(self) -> str:
        """The `iss` of the tokens, and where the metadata is found."""
        return self.base_url + self.dialect.issuer_path

    @property
    def jwks_uri(self) -> str:
        """Where the signing keys are published."""
        return self.base_url + self.dialect.jwks_path

    @property
    def introspection_url(self) -> str | None:
        """Where tokens are introspected, if the vendor has that."""
        return self._below(self.dialect.introspection_path)

    @property
    def revocation_url(self) -> str | None:
        """Where tokens are revoked, if the vendor has that."""
        return self._below(self.dialect.revocation_path)

    @property
    def assertion_audiences(self) -> tuple[str, ...]:
        """What the `aud` of a client's assertion may be (RFC 7523, section 3)."""
        return self.token_url, self.issuer

    def path_of(self, url: str) -> str | None:
        """Return the path by which the server routes a request for one of its URLs, or None for another's URL."""
        parts = urlsplit(url)
        points, trees = self._routes.get(host_of(parts), ({}, {}))
        exact = points.get(parts.path.rstrip("/"))
        if exact is not None:
            return exact
        found = [path for path in trees if f"{parts.path}/".startswith(f"{path}/")]
        if not found:
            return None
        longest = max(found, key=len)
        return trees[longest] + parts.path[len(longest) :]

    @functools.cached_property
    def _routes(self) -> dict[Host, _Routes]:
        """The server's own paths by the published ones at each host: of single URLs, and of whole trees."""
        token, api, base, issuer = map(urlsplit, (self.token_url, self.api_url, self.base_url, self.issuer))
        routes: dict[Host, _Routes] = {host_of(url): ({}, {}) for url in (token, api, base)}
        points, trees = routes[host_of(base)]
        trees[base.path] = self.mount_path
        for name in WELL_KNOWN if issuer.path else ():
            points[name + issuer.path] = name + self.mount_path + self.dialect.issuer_path
        routes[host_of(api)][1][api.path] = self.mount_path + API_PATH
        routes[host_of(token)][0][token.path.rstrip("/")] = self.mount_path + self.dialect.token_path
        return routes

    def _below(self, path: str | None) -> str | None:
        return None if path is None else self.base_url + path


def _check(name: str, url: str) -> str:
    """Return the path of a URL. Raises ValueError for what is none."""
    found = _URL.fullmatch(url) if isinstance(url, str) and url.isascii() and url.isprintable() else None
    if found is None or not _is_origin(found["origin"]):
        raise ValueError(
            f"{name}={url!r} cannot be used: it takes an http or https URL in ASCII, without user, query and fragment"
        )
    return found["path"]


@functools.lru_cache  # of many servers, one
def _is_origin(url: str) -> bool:
    try:
        _, host, port = host_of(urlsplit(url))
    except ValueError:  # a port that is none, brackets without an address
        return False
    return bool(host and port)


def host_of(parts: SplitResult) -> Host:
    """Return the scheme, the host and the port of a URL. Raises ValueError for a port that is none."""
    return _host(parts.scheme, parts.netloc)


@functools.lru_cache  # clients ask one host again and again
def _host(scheme: str, netloc: str) -> Host:
    parts = SplitResult(scheme, netloc, "", "", "")
    return scheme, parts.hostname, _PORTS.get(scheme) if parts.port is None else parts.port

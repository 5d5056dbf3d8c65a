"""The clients that a server knows (RFC 6749, section 2)."""

import hmac
import secrets
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fake_server.dialects import Grant
from fake_server.dialects.identifiers import random_hex
from fake_server.keys import SigningKey
from fake_server.secret_shapes import shapes_of

__all__ = ["ClientRegistry", "RegisteredClient", "new_client_id", "new_client_secret"]


class RegisteredClient:
    """Be one client that the server knows: its credentials, and what it may ask for.

    `scopes` are those it may be granted, `grant_types` those it may use, and `token_lifetime` is
    its tokens' in seconds. `client_secret` is left out of the `repr`; it is empty for a client that has
    `public_keys` instead, and signs who it is. `claims` are added to its tokens.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        scopes: tuple[str, ...],
        token_lifetime: int,
        grant_types: tuple[str, ...] = ("client_credentials",),
        public_keys: tuple[SigningKey, ...] = (),
        claims: Mapping[str, Any] | Callable[[Grant], Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.scopes = scopes
        self.token_lifetime = token_lifetime
        self.grant_types = grant_types
        self.public_keys = public_keys
        self.claims = claims
        self.earlier_secrets: tuple[str, ...] = ()
        self.enabled = True
        self._shapes: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __repr__(self) -> str:
        state = "" if self.enabled else ", disabled"
        return f"<RegisteredClient {self.client_id!r}, scopes {' '.join(self.scopes)!r}{state}>"

    def has_secret(self, candidate: str) -> bool:
        """Tell whether the secret is this one, in a time that does not depend on where they differ."""
        is_same = hmac.compare_digest(candidate.encode(), self.client_secret.encode())
        return is_same and bool(self.client_secret)

    def rotate_secret(self, client_secret: str | None = None) -> str:
        """Give the client another secret, a new random one unless given, and return it; the old one ends.

        Raises ValueError for one that is no text, or empty.
        """
        __tracebackhide__ = True
        secret = new_client_secret() if client_secret is None else client_secret
        _check_secret(self.client_id, secret)
        self.earlier_secrets += (self.client_secret,)
        self.client_secret = secret
        return secret

    def secret_shapes(self) -> tuple[str, ...]:
        """Return its secret and the earlier ones as they may be written, in lower case; worked out once."""
        known = (self.client_secret, *self.earlier_secrets)
        shapes = self._shapes.get(known)
        if shapes is None:
            shapes = tuple(shape for secret in known for shape in shapes_of(secret))
            self._shapes = {known: shapes}
        return shapes

    def disable(self) -> None:
        """Refuse this client and the tokens it holds until it is enabled again."""
        self.enabled = False

    def enable(self) -> None:
        """Let a disabled client in again, and its unexpired tokens."""
        self.enabled = True


def _check_secret(client_id: str, secret: object) -> None:
    __tracebackhide__ = True  # the value is not shown
    if not isinstance(secret, str):
        raise ValueError(f"the client_secret of {client_id!r} is no text, but of the type {type(secret).__name__}")
    if not secret:
        raise ValueError(f"the client_secret of {client_id!r} must not be empty")
    if any("\ud800" <= character <= "\udfff" for character in secret):
        raise ValueError(f"the client_secret of {client_id!r} has half a surrogate pair, which cannot be sent in UTF-8")


# Letters and digits only, after the shape of Okta's: a client that percent-encodes "-" and one
# that does not are both understood by every server, so the default must not tell them apart.
def new_client_id() -> str:
    """Return a client id that no other server has: `0oa` and 17 letters and digits."""
    return "0oa" + random_hex(9)[:17]


def new_client_secret() -> str:
    """Return a client secret of 40 letters and digits."""
    return secrets.token_hex(20)


class ClientRegistry(Mapping[str, RegisteredClient]):
    """Hold a server's clients by their id, in the order of registration."""

    def __init__(self) -> None:
        self._clients: dict[str, RegisteredClient] = {}

    def __getitem__(self, client_id: str) -> RegisteredClient:
        return self._clients[client_id]

    def __iter__(self) -> Iterator[str]:
        # A copy: a test may register a client while a request reads. No tuple of the dict itself: making one may
        # collect garbage when the reading has begun, and so let another thread in.
        return iter(self._clients.copy())

    def __len__(self) -> int:
        return len(self._clients)

    def __repr__(self) -> str:
        return f"<ClientRegistry {list(self._clients)}>"

    def add(self, client: RegisteredClient) -> None:
        """Register a client. Raises ValueError for an id that is taken, or an id or a secret that cannot be."""
        __tracebackhide__ = True
        name = client.client_id
        if not isinstance(name, str) or not name or not name.isprintable():
            raise ValueError(f"{name!r} cannot be a client_id: it takes a printable text that is not empty")
        if client.client_secret or not client.public_keys:
            _check_secret(name, client.client_secret)
        if self._clients.setdefault(client.client_id, client) is not client:
            raise ValueError(f"a client {client.client_id!r} is registered already; choose another client_id")

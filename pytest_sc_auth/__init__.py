"""Test consumers of OAuth 2.0 client-credentials APIs: fixtures, and a token client that works."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sc_auth.token_client import AccessToken, BearerAuth, TokenClient, TokenError

__all__ = ["AccessToken", "BearerAuth", "TokenClient", "TokenError"]


def __getattr__(name: str) -> Any:
    # pytest imports this package at every start, for the plugin; requests may wait for the first use.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_sc_auth import token_client

    return getattr(token_client, name)

"""Test consumers of OAuth 2.0 client-credentials APIs: fixtures, and a token client that works."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_sc_auth.bearer_auth import BearerAuth
    from pytest_sc_auth.servers import ServerFactory
    from pytest_sc_auth.time_control import ProcessClock
    from pytest_sc_auth.token_client import TokenClient
    from pytest_sc_auth.token_response import AccessToken, TokenError

_MODULES = {
    "AccessToken": "token_response",
    "BearerAuth": "bearer_auth",
    "ProcessClock": "time_control",
    "ServerFactory": "servers",
    "TokenClient": "token_client",
    "TokenError": "token_response",
}

__all__ = ["AccessToken", "BearerAuth", "ProcessClock", "ServerFactory", "TokenClient", "TokenError"]


def __getattr__(name: str) -> Any:
    # pytest imports this package at every start, for the plugin; requests and freezegun wait for the first use.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

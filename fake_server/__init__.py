"""A fake OAuth 2.0 authorization server for client credentials, and a protected API that takes its tokens."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_server.public import *  # noqa: F403  # its __all__ says which


def __getattr__(name: str) -> Any:
    # Late: who makes keys can begin before the rest is loaded, which takes as long as a key does.
    public = importlib.import_module("fake_server.public")
    if name != "__all__" and name not in public.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(public, name)


def __dir__() -> list[str]:
    return [*globals(), *__getattr__("__all__")]

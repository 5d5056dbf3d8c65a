"""The environment variables that the code under test reads its settings from, by the project's own mapping."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_server import Credentials

__all__ = [
    "CA_VARIABLES",
    "FIELDS",
    "HeldVariables",
    "check_no_real_values",
    "environment_for",
    "read_mapping",
    "without_proxy",
]

# Where requests, OpenSSL's users, curl and Node look for the CAs that they trust.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
# What a line of `sc_auth_env` can name: the fields of fake_server.Credentials, which may not be imported at start.
FIELDS = ("token_url", "client_id", "client_secret", "scope", "api_url")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_NO_PROXY = ("no_proxy", "NO_PROXY")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAME = re.compile(r"[^\s=]+")


def read_mapping(lines: Iterable[str]) -> dict[str, str]:
    """Return the templates of lines such as `API_TOKEN_URL = {token_url}` by their variable's name.

    Raises ValueError for a line of another shape, a variable that is set twice, and a field that is none of `FIELDS`.
    """
    mapping = {}
    for line in lines:
        name, equals, template = (part.strip() for part in line.partition("="))
        if not equals or not template or not _NAME.fullmatch(name):
            raise ValueError(f"{line!r} in sc_auth_env is not of the shape NAME = {{token_url}}")
        if name in mapping:
            raise ValueError(f"sc_auth_env sets {name} twice")
        mapping[name] = template
    _fill(mapping, dict.fromkeys(FIELDS, ""))
    return mapping


def environment_for(mapping: Mapping[str, str], credentials: "Credentials") -> dict[str, str]:
    """Return the variables' values for these credentials."""
    return _fill(mapping, {field: getattr(credentials, field) for field in FIELDS})


def _fill(mapping: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    filled = {}
    for name, template in mapping.items():
        try:
            filled[name] = template.format_map(values)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            fields = ", ".join(f"{{{field}}}" for field in values)
            raise ValueError(f"{name} in sc_auth_env has {template!r}; the fields are {fields}") from error
    return filled


def check_no_real_values(environment: Mapping[str, str], present: Mapping[str, str] = os.environ) -> None:
    """Raise ValueError when a variable holds another value than the fake's. The value is not shown."""
    real = [name for name, value in environment.items() if (present.get(name) or value) != value]
    if real:
        raise ValueError(
            f"{' and '.join(real)} {'holds' if len(real) == 1 else 'hold'} a value that is not the fake server's, and "
            "sc_auth_forbid_real_credentials is on; unset it before the tests"
        )


def without_proxy(present: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that keep loopback away from a proxy, where one is set."""
    if not any(map(present.get, _PROXIES)):
        return {}
    hosts = dict.fromkeys(host for name in _NO_PROXY for host in present.get(name, "").split(",") if host)
    # An asterisk is for all hosts, and means nothing with others beside it.
    return dict.fromkeys(_NO_PROXY, "*" if "*" in hosts else ",".join({**hosts, **dict.fromkeys(_LOOPBACK)}))


class HeldVariables:
    """Set environment variables for as long as something needs them; their values are asked for when it begins."""

    def __init__(self, values: Callable[[], Mapping[str, str]]) -> None:
        self._values = values
        self._held: dict[str, tuple[str, str | None]] | None = None

    def hold(self, needed: bool) -> None:
        """Set the variables, or put back what they were before, but for those that another has set meanwhile."""
        if needed and self._held is None:
            self._held = {name: (value, os.environ.get(name)) for name, value in self._values().items()}
            os.environ.update({name: value for name, (value, _) in self._held.items()})
        elif not needed and self._held is not None:
            for name, (value, before) in self._held.items():
                if os.environ.get(name) == value:
                    _set_variable(name, before)
            self._held = None


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value

"""The dialects, by the name that `Options(dialect=...)` takes."""

from collections.abc import Mapping
from types import MappingProxyType

from fake_server.dialects.dialect import SIGNING_ALGS, Dialect
from fake_server.dialects.entra import ENTRA, entra_tenant
from fake_server.dialects.hexagon import HEXAGON
from fake_server.dialects.identityserver import DUENDE, SAM
from fake_server.dialects.okta import OKTA
from fake_server.dialects.terms import ErrorAnswer, Grant, Members, ServerFacts

__all__ = ["DIALECTS", "SIGNING_ALGS", "Dialect", "ErrorAnswer", "Grant", "Members", "ServerFacts", "entra_tenant"]

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            OKTA,
            HEXAGON,
            Dialect(name="rfc6749", token_types=("at+jwt", "application/at+jwt")),
            SAM,
            DUENDE,
            ENTRA,
        )
    }
)

"""The dialects, by the name that `Options(dialect=...)` takes."""

from collections.abc import Mapping
from types import MappingProxyType

from fake_server.dialects.dialect import Dialect, ErrorAnswer, Grant, ServerFacts
from fake_server.dialects.okta import OKTA

__all__ = ["DIALECTS", "Dialect", "ErrorAnswer", "Grant", "ServerFacts"]

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (OKTA,)})

"""The head of a request as it comes over the wire (RFC 9112, sections 3 and 5), read strictly and once."""

import re
from http import HTTPStatus
from io import BufferedIOBase
from typing import NamedTuple

__all__ = ["RequestHead", "Unreadable", "read_head"]

_MAX_LINE = 65536
_MAX_FIELDS = 100
_VERSION = re.compile(rb"HTTP/1\.[0-9]")
# RFC 9110, section 5.6.2: a token.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unreadable(Exception):
    """Say why a request cannot be read, and with which status that is answered."""

    def __init__(self, why: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(why)
        self.status = status


class RequestHead(NamedTuple):
    """Hold a request's line and its header's fields, their octets as latin-1, in the order they came."""

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]


def read_head(file: BufferedIOBase) -> RequestHead | None:
    """Return the next request's head, or None where the client sends no other. Raises Unreadable, and OSError."""
    line = file.readline(_MAX_LINE + 1)
    if not line:
        return None
    if len(line) > _MAX_LINE:
        raise Unreadable(f"the request line is longer than {_MAX_LINE} octets", HTTPStatus.REQUEST_URI_TOO_LONG)
    words = line.split()
    if len(words) != 3:
        # Two are HTTP/0.9, which has no header: to look for one would wait for what does not come.
        raise Unreadable("the request line is not a method, a target and the version of HTTP, parted by blanks")
    method, target, version = words
    if not _VERSION.fullmatch(version):
        raise Unreadable("the request line names no version of HTTP that this server speaks, which is HTTP/1.1")
    return RequestHead(method.decode("latin-1"), target.decode("latin-1"), version.decode(), _read_fields(file))


def _read_fields(file: BufferedIOBase) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    while (line := file.readline(_MAX_LINE + 1)) not in (b"\r\n", b"\n"):
        if len(line) > _MAX_LINE or len(fields) == _MAX_FIELDS:
            raise Unreadable(
                f"the header has more than {_MAX_FIELDS} fields, or one that is longer than {_MAX_LINE} octets",
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            )
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t\r\n")
        if not colon or b"\r" in value or not _NAME.fullmatch(name):
            raise Unreadable("a line of the header is not a name, a colon and a value")
        fields.append((name.decode(), value.decode("latin-1")))
    return fields

"""A request as WSGI has it (PEP 3333), whichever door it came by."""

import functools
import io
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["BODY", "UNDERSCORED", "environ_of_origin", "make_environ", "put_body"]

# Where the whole body is, which need not be read once more.
BODY = "fake_server.body"
# Where the names of headers with an underscore are, which no WSGI server hands on.
UNDERSCORED = "fake_server.underscored_headers"
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")


def environ_of_origin(scheme: str, host: str, port: int) -> "WSGIEnvironment":
    """Return what all requests that come to one place have in common."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def make_environ(
    origin: "WSGIEnvironment", method: str, path: str, query: str, fields: Iterable[tuple[str, str]]
) -> "WSGIEnvironment":
    """Return the environ of a request without its body; `path` is percent-encoded, and octets are latin-1's."""
    environ = origin.copy()
    environ["REQUEST_METHOD"] = method
    environ["PATH_INFO"] = unquote_to_bytes(path.encode("latin-1")).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = query
    environ[UNDERSCORED] = []
    for name, value in fields:
        key = _key_of(name)
        if key is None:
            environ[UNDERSCORED].append(name)
        elif key in environ:  # RFC 9110, section 5.3
            environ[key] += f", {value}"
        else:
            environ[key] = value
    return environ


def put_body(environ: "WSGIEnvironment", body: bytes) -> None:
    """Give a request the body that came with it; a `Content-Length` that announced another stays, for all to see."""
    environ["wsgi.input"] = io.BytesIO(body)
    environ[BODY] = body
    environ.setdefault("CONTENT_LENGTH", str(len(body)))


@functools.lru_cache
def _key_of(name: str) -> str | None:
    if "_" in name:
        return None
    key = name.upper().replace("-", "_")
    return key if key in _UNPREFIXED else f"HTTP_{key}"

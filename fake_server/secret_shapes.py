"""The shapes in which a client's secret comes where it should not be."""

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

__all__ = ["shapes_of"]

_SHORTEST = 4  # characters of a secret that can be told from other words


def shapes_of(secret: str) -> tuple[str, ...]:
    """Return a secret as clients write it, encoded or not, in lower case, the longest first."""
    if len(secret) < _SHORTEST:
        return ()
    encoded = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    as_header = secret.encode().decode("latin-1")  # WSGI has headers so
    escaped = {as_header, *(repr(text)[1:-1] for text in (secret, as_header))}
    shapes = encoded | escaped | {part for text in encoded for part in _in_base64(text)}
    return tuple(sorted({shape.lower() for shape in shapes}, key=lambda shape: (-len(shape), shape)))


def _in_base64(text: str) -> Iterable[str]:
    """Return what base64 makes of a text, whatever stands before it and behind it, as in Basic credentials."""
    for shift, strange in enumerate((0, 2, 3)):
        octets = b"\0" * shift + text.encode()
        part = base64.b64encode(octets).decode()[strange : len(octets) * 8 // 6]
        yield from {part, quote(part, safe="")}

"""What opaque tokens stand for: only the server knows, and so it keeps the claims of all that it issued."""

import hashlib
import json
import zlib

from fake_server.jose import Claims, compact_json

__all__ = ["OpaqueTokens", "digest"]


def digest(token: str) -> bytes:
    """Return 128 bits that name a token: no two share them."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()[:16]


class OpaqueTokens:
    """Keep the claims of tokens in little space; nobody ever asks for most of them again."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        # The first claims, which the others resemble: what they share is kept once.
        self._samples: dict[str, bytes] = {}

    def add(self, token: str, claims: Claims) -> None:
        """Keep the claims of a token."""
        text = compact_json(claims).encode()
        sample = self._samples.setdefault("first", text)
        # The window and the memory of the least size: to clear those of the usual one takes longer than all the rest.
        packer = zlib.compressobj(1, zlib.DEFLATED, -10, 2, zlib.Z_FIXED, sample)
        self._packed[digest(token)] = packer.compress(text) + packer.flush()

    def get(self, token: str) -> Claims | None:
        """Return the claims of a token, or None for one that was not kept."""
        packed = self._packed.get(digest(token))
        if packed is None:
            return None
        unpacker = zlib.decompressobj(-10, self._samples["first"])
        claims: Claims = json.loads(unpacker.decompress(packed) + unpacker.flush())
        return claims

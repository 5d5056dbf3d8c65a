"""Random texts that name what a server makes; they keep nothing secret."""

import base64
import os
import random
from typing import Any

__all__ = ["random_hex", "random_text"]

# A generator of its own: tests seed the module's. The system's would be asked once for each token.
_random = random.Random()
# Processes that are forked would all make the same ids; where there is no fork, there is nothing to register.
_register_at_fork: Any = getattr(os, "register_at_fork", dict)
_register_at_fork(after_in_child=_random.seed)


def random_hex(octets: int) -> str:
    """Return so many random octets in hexadecimal digits."""
    return _random.randbytes(octets).hex()


def random_text(octets: int) -> str:
    """Return so many random octets in base64url, without padding."""
    return base64.urlsafe_b64encode(_random.randbytes(octets)).rstrip(b"=").decode()

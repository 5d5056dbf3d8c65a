"""A connection's octets as a file, whose reading and writing give up after a while."""

import io
import socket
import ssl
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = ["SocketStream"]

# Where the system counts the time itself, one call of it does for each octet string. A socket's time-out of Python's
# makes two, and lets other threads in between.
_COUNTED_BY_SYSTEM = sys.platform != "win32"


class SocketStream(io.RawIOBase):
    """Read and write a socket; each raises TimeoutError where the other side keeps it waiting for so many seconds."""

    def __init__(self, connection: socket.socket, patience: float) -> None:
        self._connection = connection
        self.wait_for(patience)

    def wait_for(self, patience: float | None) -> None:
        """Wait for so many seconds from now on, None for ever."""
        if isinstance(self._connection, ssl.SSLSocket) or not _COUNTED_BY_SYSTEM:
            self._connection.settimeout(patience)
            return
        self._connection.settimeout(None)
        microseconds = round((patience or 0) * 1e6)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", *divmod(microseconds, 1_000_000)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        try:
            return self._connection.recv_into(buffer)
        except BlockingIOError as error:
            raise TimeoutError("timed out") from error

    def write(self, octets: "ReadableBuffer") -> int:
        try:
            self._connection.sendall(octets)
        except BlockingIOError as error:
            raise TimeoutError("timed out") from error
        return len(octets)  # type: ignore[arg-type]

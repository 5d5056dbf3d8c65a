"""The floor: a thread for each connection that signs by RS256 and looks at nothing."""

import base64
import contextlib
import json
import socket
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_KEY = rsa.generate_private_key(65537, 2048)


def _part(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _token() -> str:
    now = int(time.time())
    claims = {"iss": "http://127.0.0.1", "aud": "urn:api", "iat": now, "exp": now + 3600, "jti": str(time.time_ns())}
    signed = _part(b'{"alg":"RS256","kid":"1"}') + b"." + _part(json.dumps(claims).encode())
    return (signed + b"." + _part(_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):  # wrk sends a request in one piece
            body = json.dumps({"token_type": "Bearer", "expires_in": 3600, "access_token": _token()}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/token", flush=True)
        while True:
            accepted, _ = listening.accept()
            threading.Thread(target=_serve, args=(accepted,), daemon=True).start()

"""pytest-iam's server, from its fixture, until the standard input ends."""

import sys
from typing import Any


def test_serve(iam_server: Any) -> None:
    client = iam_server.models.Client(
        client_id="my-client",
        client_secret="my-secret",
        client_name="benchmark",
        grant_types=["client_credentials"],
        redirect_uris=["http://127.0.0.1/"],
        scope=["profile"],
        token_endpoint_auth_method="client_secret_basic",
    )
    iam_server.backend.save(client)
    print(f"\n{iam_server.url}oauth/token", flush=True)
    sys.stdin.read()

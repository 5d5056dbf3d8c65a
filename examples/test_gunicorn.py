"""The server under gunicorn, in two processes that take each other's tokens."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

pytest.importorskip("gunicorn", reason="the examples need pytest-sc-auth alone, and this one gunicorn besides")

AUTH = ("my-client", "my-secret")
FORM = {"grant_type": "client_credentials", "scope": "ingr.api"}


@pytest.fixture
def url() -> Iterator[str]:
    """The base URL of a server that gunicorn runs; its socket is open before, so that nobody has to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = f"fake_server:create_app({url!r}, {AUTH[0]!r}, {AUTH[1]!r}, token_lifetime=60)"
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"]
        command += ["--bind", f"fd://{listening.fileno()}", "--log-level", "error", app]
        with subprocess.Popen(command, pass_fds=[listening.fileno()]) as process:
            yield url
            process.terminate()
    assert process.returncode == 0


@contextlib.contextmanager
def busy_worker(url: str) -> Iterator[None]:
    """Keep one of the two workers waiting for the end of a request."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /v1/token HTTP/1.1\r\nHost: idp\r\n")
        yield


def get_token(url: str) -> requests.Response:
    return requests.post(f"{url}/v1/token", data=FORM, auth=AUTH, timeout=20)


def test_processes_take_each_others_tokens(url: str) -> None:
    with busy_worker(url):
        first = get_token(url).json()  # of the other worker
    second = get_token(url).json()
    with busy_worker(url):
        answers = [
            requests.get(
                f"{url}/sc/datalake/v1", headers={"Authorization": f"Bearer {issued['access_token']}"}, timeout=20
            )
            for issued in (first, second)
        ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["claims"]["iss"] for answer in answers] == [url, url]
    assert first["expires_in"] == 60


def test_wrong_secret_is_refused(url: str) -> None:
    answer = requests.post(f"{url}/v1/token", data=FORM, auth=("my-client", "wrong"), timeout=20)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

"""Programs that read their configuration once: one server for the session, and a program in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import werkzeug.test

from fake_server import AuthorizationServer, Credentials
from pytest_sc_auth import ServerFactory

PROGRAM = str(Path(__file__).with_name("smart_tags.py"))

# The app under test: a WSGI application that is configured when it is made, and keeps its token in memory.


class TagCounter:
    """Answer with the number of tags, for a dashboard."""

    def __init__(self, settings: Credentials) -> None:
        self._settings = settings
        self._token = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        answer = self._tags()
        if answer.status_code == 401:
            self._token = self._new_token()
            answer = self._tags()
        start_response("200 OK" if answer.ok else "502 Bad Gateway", [("Content-Type", "text/plain")])
        return [str(len(answer.json()["value"])).encode() if answer.ok else b"?"]

    def _tags(self) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        return requests.get(f"{self._settings.api_url}/Tags", headers=headers, timeout=10)

    def _new_token(self) -> str:
        answer = requests.post(
            self._settings.token_url,
            data={"grant_type": "client_credentials", "scope": self._settings.scope},
            auth=(self._settings.client_id, self._settings.client_secret),
            timeout=10,
        )
        return str(answer.json().get("access_token", ""))


# One app and one server for the session


@pytest.fixture(scope="session")
def session_server(sc_auth_server_factory: ServerFactory) -> AuthorizationServer:
    server = sc_auth_server_factory.make(token_lifetime=86400)
    server.api.get("/Tags", json={"value": [{"Name": "P-101"}, {"Name": "P-102"}]})
    return server


@pytest.fixture(scope="session")
def app(session_server: AuthorizationServer) -> TagCounter:
    return TagCounter(session_server.credentials_of())


@pytest.fixture
def server(session_server: AuthorizationServer) -> Iterator[AuthorizationServer]:
    """The session's server, as each test wants to find it: no token is good, and no fault is armed."""
    session_server.expire_all()
    yield session_server
    session_server.clear_faults()


@pytest.mark.parametrize("number", [1, 2])
def test_app_counts_the_tags(app: TagCounter, server: AuthorizationServer, number: int) -> None:
    before = len(server.token_requests)

    assert [werkzeug.test.Client(app).get("/").text for _ in range(2)] == ["2", "2"]
    assert len(server.token_requests) == before + 1


def test_app_lives_through_a_server_that_gives_no_token(app: TagCounter, server: AuthorizationServer) -> None:
    server.fail("temporarily_unavailable")

    assert [werkzeug.test.Client(app).get("/").status_code for _ in range(2)] == [502, 200]


# A program in a process of its own


def run_program(settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "SMART_API_TOKEN_URL": settings["token_url"],
        "SMART_API_URL": settings["api_url"],
        "SMART_API_CLIENT_ID": settings["client_id"],
        "SMART_API_CLIENT_SECRET": settings["client_secret"],
    }
    command = [sys.executable, PROGRAM, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)


def test_program_in_another_process_lists_the_tags(
    sc_auth_server: AuthorizationServer, sc_auth_credentials: Credentials
) -> None:
    sc_auth_server.api.get("/Tags", json={"value": [{"Name": "P-101"}]})

    ended = run_program(vars(sc_auth_credentials))

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "P-101\n", "")
    assert [exchange.client_id for exchange in sc_auth_server.token_requests] == [sc_auth_credentials.client_id]


def test_program_in_another_process_says_that_its_secret_is_wrong(
    sc_auth_server: AuthorizationServer, sc_auth_credentials: Credentials
) -> None:
    ended = run_program({**vars(sc_auth_credentials), "client_secret": "wrong"})

    assert (ended.returncode, ended.stderr) == (1, "smart_tags: no token: invalid_client\n")


def test_program_and_server_are_both_processes() -> None:
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        settings = json.loads(process.stdout.readline())
        ended = run_program({**settings, "client_id": "unknown"})
        process.terminate()

    assert ended.stderr == "smart_tags: no token: invalid_client\n"
    assert process.returncode == 0

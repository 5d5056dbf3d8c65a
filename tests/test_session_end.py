"""The end of a session, however it comes: nothing survives it, and no client holds it up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Tells before the session and after it, as the last thing, what could be left of it.
CONFTEST = """
    import json
    import os
    import socket
    import threading
    import time

    import freezegun
    import pytest
    import requests.adapters
    import responses

    ports = []

    def surroundings():
        return {
            "environment": {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "temporary files": os.listdir(os.environ["TMPDIR"]),
            "threads": [thread.name for thread in threading.enumerate()],
            "send": requests.adapters.HTTPAdapter.send is send,
            "responses": [getattr(responses.RequestsMock, name) is hooked[name] for name in hooked],
            "time": [time.time is clock, time.monotonic is monotonic, time.time().__class__.__name__],
        }

    send, clock, monotonic = requests.adapters.HTTPAdapter.send, time.time, time.monotonic
    hooked = {name: getattr(responses.RequestsMock, name) for name in ("_find_match", "_on_request", "stop")}

    def is_open(port):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    @pytest.fixture(autouse=True)
    def listening(sc_auth_server, sc_auth_server_factory):
        for server in sc_auth_server_factory.servers:
            ports.append(int(server.credentials_of().token_url.split("/")[2].rpartition(":")[2]))

    def pytest_configure(config):
        config.before = surroundings()

    def pytest_unconfigure(config):
        told = {"before": config.before, "after": surroundings(), "ports": [is_open(port) for port in ports]}
        with open(os.environ["TOLD"], "w") as file:
            json.dump(told, file)
"""

# What a test asks for that changes the process: https and its CA, variables, the clock, and interception.
EVERYTHING = """
    import contextlib
    import os
    import socket

    import pytest
    import requests

    kept = []

    @pytest.fixture
    def everything(sc_auth_server, sc_auth_server_factory, sc_auth_clock, sc_auth_env, sc_auth_intercept):
        https = sc_auth_server_factory.make(tls=True)
        other = sc_auth_server_factory.make()
        sc_auth_server_factory.intercept(other, "https://idp.example.com/v1/token", "https://sc.example.com/api")
        assert os.environ["SMART_URL"] == sc_auth_server.token_url
        assert os.environ["SSL_CERT_FILE"] == https.ca_file
        assert requests.get("https://idp.example.com/v1/token").status_code == 405
        sc_auth_clock.advance(days=1)
        return https

    def address(server):
        host, port = server.token_url.split("/")[2].split(":")
        return host, int(port)

    def connect(server, octets):
        connection = socket.create_connection(address(server), timeout=20)
        connection.sendall(octets)
        kept.append(connection)
        return connection

    def ask(server):
        c = server.credentials_of()
        form = {"grant_type": "client_credentials", "scope": c.scope}
        return requests.post(c.token_url, data=form, auth=(c.client_id, c.client_secret))
"""

# The end, the test that comes to it, and what pytest says of it.
ENDS: dict[str, tuple[str, list[str], dict[str, int], int]] = {
    "passed": ("def test_it(everything): pass", [], {"passed": 1}, 0),
    "failed-x": ("def test_it(everything): assert 0\n\n    def test_other(): pass", ["-x"], {"failed": 1}, 1),
    "setup-error": (
        "@pytest.fixture\n    def crash(everything): 1 / 0\n\n    def test_it(crash): pass",
        [],
        {"errors": 1},
        1,
    ),
    "teardown-error": (
        "@pytest.fixture\n    def crash(everything):\n        yield\n        1 / 0\n\n    def test_it(crash): pass",
        [],
        {"passed": 1, "errors": 1},
        1,
    ),
    "exit-in-a-test": ("def test_it(everything): pytest.exit('over', 3)", [], {}, 3),
    "exit-in-a-fixture": (
        "@pytest.fixture\n    def leave(everything): pytest.exit('over', 3)\n\n    def test_it(leave): pass",
        [],
        {},
        3,
    ),
    "exit-in-a-teardown": (
        "@pytest.fixture\n    def leave(everything):\n        yield\n        pytest.exit('over', 3)\n\n"
        "    def test_it(leave): pass",
        [],
        {"passed": 1},
        3,
    ),
    "system-exit": ("def test_it(everything): raise SystemExit(4)", [], {"failed": 1}, 1),
    "interrupt": ("def test_it(everything): raise KeyboardInterrupt", [], {}, 2),
    "slow-clients": (
        """def test_it(everything, sc_auth_server, sc_auth_token, monkeypatch):
        # It is not the server's patience that ends them.
        monkeypatch.setattr("fake_server.connection.Handler.timeout", 3600)
        sc_auth_server.api.get("/much", json="x" * 20_000_000)
        connect(sc_auth_server, b"P")
        connect(sc_auth_server, b"POST / HTTP/1.1\\r\\nContent-Length: 9\\r\\n\\r\\n1")
        path = sc_auth_server.api.url.partition(address(sc_auth_server)[0])[2].partition("/")[2]
        header = f"GET /{path}/much HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {sc_auth_token}\\r\\n\\r\\n"
        assert connect(sc_auth_server, header.encode()).recv(5) == b"HTTP/"
        connect(everything, b"")
        connect(everything, b"\\x16\\x03\\x01\\x02")
        requests.get(sc_auth_server.jwks_uri)
        requests.get(everything.jwks_uri)""",
        [],
        {"passed": 1},
        0,
    ),
}

# Waits for an answer until it is interrupted.
INTERRUPTED = """
    @pytest.mark.sc_auth(claims=lambda grant: {"at": print("asked", flush=True)})
    @pytest.mark.parametrize("fault", [{"fault": "hang"}, {"fault": "slow", "delay": 3600}])
    def test_it(everything, sc_auth_server, fault):
        sc_auth_server.fail(**fault)
        ask(sc_auth_server)
"""


@pytest.fixture
def start(pytester: pytest.Pytester, tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start pytest in a process of its own, whose temporary files have a directory of their own."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TOLD": str(pytester.path / "told.json")}
    pytester.makeini("[pytest]\nsc_auth_env = SMART_URL = {token_url}")
    pytester.makeconftest(CONFTEST)

    def start(source: str, *arguments: str) -> "subprocess.Popen[str]":
        pytester.makepyfile(EVERYTHING + "\n    " + source.strip())
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=environment, cwd=pytester.path, **pipes)

    return start


def check_nothing_is_left(pytester: pytest.Pytester, tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads((pytester.path / "told.json").read_text())
    assert told["after"] == told["before"]
    assert told["before"]["threads"] == ["MainThread"]
    assert told["before"]["temporary files"] == []
    assert told["ports"] == [False] * len(told["ports"]) != []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("source", "arguments", "outcomes", "status"), ENDS.values(), ids=ENDS)
def test_nothing_is_left_after_a_session_that(
    source: str,
    arguments: list[str],
    outcomes: dict[str, int],
    status: int,
    start: Callable[..., "subprocess.Popen[str]"],
    pytester: pytest.Pytester,
    tmp_path: Path,
) -> None:
    with start(source, *arguments) as process:
        output, _ = process.communicate(timeout=25)

    assert process.returncode == status, output
    assert pytest.RunResult.parse_summary_nouns(output.splitlines()) == outcomes
    check_nothing_is_left(pytester, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("fault", ["fault0", "fault1"], ids=["hang", "slow"])
def test_nothing_is_left_after_ctrl_c_during(
    fault: str, start: Callable[..., "subprocess.Popen[str]"], pytester: pytest.Pytester, tmp_path: Path
) -> None:
    with start(INTERRUPTED, "-s", "-k", fault) as process:
        assert process.stdout is not None
        assert any("asked" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=25)

    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    check_nothing_is_left(pytester, tmp_path)

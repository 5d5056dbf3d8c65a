"""A server in a process of its own, as programs in other languages use it, and a test that controls it over HTTP."""

import json
import subprocess
import sys

import pytest
import requests


@pytest.fixture
def facts():
    """What `python -m fake_server --json` prints when it is ready: its URLs, and a client."""
    command = [sys.executable, "-m", "fake_server", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False  # the server is on loopback: no proxy
        yield session


def test_hour_passes_in_the_other_process(facts, http):
    form = {"grant_type": "client_credentials", "scope": facts["scope"]}
    token = http.post(facts["token_url"], data=form, auth=(facts["client_id"], facts["client_secret"])).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert http.get(facts["api_url"], headers=headers).status_code == 200

    http.post(f"{facts['control_url']}/clock/advance", json={"hours": 1})

    assert http.get(facts["api_url"], headers=headers).status_code == 401
    refused = http.get(f"{facts['control_url']}/journal/api").json()["result"][-1]
    assert refused["reason"] == "expired_token"

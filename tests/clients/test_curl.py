"""curl over https, by CURL_CA_BUNDLE, as a shell script uses it."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.sc_auth(tls=True)


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--noproxy", "*", *arguments], capture_output=True, text=True)


def fetch_token(c, *, secret=None):
    form = ["--data", "grant_type=client_credentials", "--data-urlencode", f"scope={c.scope}"]
    return curl("--user", f"{c.client_id}:{secret or c.client_secret}", *form, c.token_url)


def call(c, token, *options):
    return curl("--header", f"Authorization: Bearer {token}", *options, f"{c.api_url}/Tags")


def test_token_is_good_for_an_hour(sc_auth_credentials, sc_auth_clock):
    token = json.loads(fetch_token(sc_auth_credentials).stdout)["access_token"]
    assert call(sc_auth_credentials, token, "--fail").returncode == 0
    sc_auth_clock.advance(hours=1)
    assert call(sc_auth_credentials, token, "--fail").returncode == 22


def test_token_that_the_server_ended_is_refused(sc_auth_credentials, sc_auth_server):
    token = json.loads(fetch_token(sc_auth_credentials).stdout)["access_token"]
    sc_auth_server.expire_all()
    answer = call(sc_auth_credentials, token, "--output", "-", "--write-out", "%{http_code}")
    assert answer.stdout.endswith("401")


def test_trap_a_wrong_secret_is_a_success_without_fail(sc_auth_credentials):
    answer = fetch_token(sc_auth_credentials, secret="wrong")
    assert json.loads(answer.stdout)["error"] == "invalid_client"
    assert answer.returncode == 0

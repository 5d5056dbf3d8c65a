"""requests by hand, with its production URLs: the program keeps its token, and renews it in time and after a 401."""

import dataclasses
import time

import pytest
import requests

from fake_server import Reason


class Api:
    def __init__(self, credentials):
        self.credentials, self.token, self.expires_at = credentials, None, 0

    def login(self):
        c = self.credentials
        form = {"grant_type": "client_credentials", "scope": c.scope}
        answer = requests.post(c.token_url, data=form, auth=(c.client_id, c.client_secret), timeout=10)
        answer.raise_for_status()
        self.token, self.expires_at = answer.json()["access_token"], time.time() + answer.json()["expires_in"]

    def get(self, path):
        for _ in range(2):
            if time.time() >= self.expires_at:
                self.login()
            headers = {"Authorization": f"Bearer {self.token}"}
            answer = requests.get(self.credentials.api_url + path, headers=headers, timeout=10)
            if answer.status_code != 401:
                break
            self.expires_at = 0
        return answer


@pytest.fixture
def credentials(sc_auth_intercept):
    return sc_auth_intercept(
        token_url="https://idp.example.com/oauth2/aus1/v1/token", api_url="https://sc.example.com/sc/datalake/v1"
    )


def test_token_is_renewed_after_its_hour(credentials, sc_auth_server, sc_auth_clock):
    api = Api(credentials)
    assert api.get("/Tags").ok
    sc_auth_clock.advance(hours=1)
    assert api.get("/Tags").ok
    assert [exchange.status for exchange in sc_auth_server.api_requests] == [200, 200]
    sc_auth_server.assert_token_requests(2)


def test_token_that_the_server_ended_is_renewed_once(credentials, sc_auth_server):
    api = Api(credentials)
    api.get("/Tags")
    sc_auth_server.expire_all()
    assert api.get("/Tags").ok
    sc_auth_server.assert_renewed_once()


def test_wrong_secret_is_an_http_error(credentials, sc_auth_server):
    with pytest.raises(requests.HTTPError) as error:
        Api(dataclasses.replace(credentials, client_secret="wrong")).get("/Tags")
    assert error.value.response.status_code == 401
    assert sc_auth_server.token_requests[-1].reason is Reason.WRONG_SECRET


def test_trap_a_netrc_replaces_the_token(credentials, sc_auth_server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine sc.example.com login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert Api(credentials).get("/Tags").status_code == 401
    assert sc_auth_server.api_requests[-1].reason is Reason.NO_TOKEN  # Basic is none
